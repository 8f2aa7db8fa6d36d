"""Snapshots, and snapshots on their way."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.datasets.models import JobState, Snapshot


class SnapshotShape(s.Serializer[Snapshot]):
    id = s.UUIDField(source="uid")
    name = s.CharField()
    digest = s.CharField(help_text="SHA-256 of the manifest: another one whenever an image or a label differs")
    parent = s.UUIDField(source="parent.uid", default=None, allow_null=True)  # type: ignore[assignment]
    seed = s.IntegerField()
    parts = s.DictField(source="counts.parts", child=s.IntegerField())
    used = s.IntegerField(source="counts.used")
    leaks = s.IntegerField(source="leak_report.total")
    leak_signed_by = s.CharField(source="leak_signed_by.username", default=None, allow_null=True)
    notes = s.CharField()
    frozen_by = s.CharField(source="frozen_by.username", default=None, allow_null=True)
    frozen_at = s.DateTimeField()


class SnapshotDetail(SnapshotShape):
    options = s.DictField()
    counts = s.DictField(help_text="By part: labels, groups, how labels came about; and what was left out, and why")
    leak_report = s.DictField()


class NewSnapshot(s.Serializer[Any]):
    name = s.CharField(required=False, default="", allow_blank=True, max_length=120)
    options = s.DictField(
        required=False,
        default=dict,
        help_text="split, shares, counts, group_by, seed, folds, class_by, min_images, per_class, singletons, "
        "test_labels, cannot_tell, damaged, negatives, unknown",
    )
    parent = s.CharField(  # type: ignore[assignment]
        required=False, default="newest", max_length=40, help_text="Whose sides are kept: newest, none, or an id"
    )
    notes = s.CharField(required=False, default="", allow_blank=True, max_length=10_000)
    sign_leak = s.CharField(
        required=False, default="", allow_blank=True, max_length=500, help_text="Why an admin lets a leak pass"
    )
    dry_run = s.BooleanField(required=False, default=False, help_text="Count only; keep nothing")


class FreezingShape(s.Serializer[Any]):
    """A snapshot on its way. `report` holds the counts of a dry run, or the leaks of a refusal."""

    id = s.UUIDField()
    job = s.URLField()
    state = s.ChoiceField(choices=JobState.choices)
    dry_run = s.BooleanField()
    step = s.CharField()
    done = s.IntegerField()
    total = s.IntegerField()
    code = s.CharField()
    reason = s.CharField()
    report = s.DictField()
    snapshot = s.UUIDField(allow_null=True)


class LeakReports(s.Serializer[Any]):
    report = s.DictField(help_text="When it was frozen")
    now = s.DictField(
        help_text="By what is known today: clusters that joined, images withdrawn, labels changed. Of a large snapshot "
        "a worker counts it, every ten minutes while somebody asks; empty until it has"
    )
    counted_at = s.DateTimeField(allow_null=True)


class DifferenceQuery(s.Serializer[Any]):
    before = s.UUIDField(required=False, allow_null=True, default=None, help_text="The parent unless given")


class DifferenceShape(s.Serializer[Any]):
    before = s.DictField()
    after = s.DictField()
    same = s.IntegerField()
    added = s.IntegerField()
    removed = s.IntegerField()
    relabelled = s.IntegerField()
    moved = s.IntegerField()
    redrawn = s.IntegerField()
    labels = s.DictField()
    images = s.DictField(help_text="The first of each kind")


class DifferenceAwaited(s.Serializer[Any]):
    state = s.ChoiceField(choices=["counting"], help_text="A worker counts it; ask again")
    before = s.UUIDField()
    after = s.UUIDField()


class Restore(s.Serializer[Any]):
    what = s.ChoiceField(choices=["labels", "snapshot"], help_text="Its labels as new verdicts, or a snapshot like it")
    name = s.CharField(required=False, default="", allow_blank=True, max_length=120)


class RestoredShape(s.Serializer[Any]):
    change = s.UUIDField(allow_null=True, help_text="Undo it as one")
    images = s.IntegerField()
    left = s.IntegerField(help_text="Call again to go on with them")
    missing_words = s.IntegerField(help_text="Images whose label or individual is gone")
    snapshot = s.UUIDField(allow_null=True)


class Note(s.Serializer[Any]):
    text = s.CharField(max_length=2000)
