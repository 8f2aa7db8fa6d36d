"""Data coming in, frozen, and going out: imports, snapshots (the only thing a run may train on) and exports."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.images.models import Image, Upload
from webapp.leases import LeasedRow
from webapp.projects.models import Label, Project
from webapp.versions.models import Pipeline


class JobState(models.TextChoices):
    """Of imports and exports: waiting -> leased(token, until, attempts) -> done | failed | stopped."""

    WAITING = "waiting", "waiting"
    LEASED = "leased", "under way"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    STOPPED = "stopped", "stopped"


class Import(LeasedRow):
    """An import while it runs and what came of it; its files are the items of its upload. The work item itself.

    `cursor` counts the source's images that are dealt with, in the source's own order, so that another worker, or the
    same command again, goes on where one ended.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="imports")
    upload = models.OneToOneField(Upload, on_delete=models.CASCADE, related_name="job")
    state = models.CharField(max_length=7, choices=JobState, default=JobState.WAITING)
    format = models.CharField(max_length=32)
    root = models.TextField(help_text="Folder or file on the server, or the storage key of what was sent")
    in_place = models.BooleanField(default=False)
    mapping = models.JSONField(default=dict, blank=True, help_text="Which column means what")
    options = models.JSONField(default=dict, blank=True)
    pipeline = models.ForeignKey(
        Pipeline,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The external version whose results came in",
    )
    forecast = models.JSONField(default=dict, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    notices = models.JSONField(default=list, blank=True, help_text="What a person should know: synonyms, missing files")
    cursor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="import_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="import_to_do"),
        ]

    def __str__(self) -> str:
        return f"import {self.uid} ({self.state})"


class Snapshot(models.Model):
    """A frozen, hashed manifest with parts. The manifest file is the truth; entries are its index."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, editable=False)
    manifest_key = models.CharField(max_length=200, editable=False)
    options = models.JSONField(default=dict, blank=True)
    seed = models.BigIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    leak_report = models.JSONField(default=dict, blank=True)
    leak_signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    notes = models.TextField(blank=True)
    frozen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    frozen_at = models.DateTimeField(default=timezone.now, editable=False)
    since = models.JSONField(default=dict, blank=True, help_text="What has become of a large one since")
    since_at = models.DateTimeField(null=True, blank=True)
    since_asked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="snapshot_name_unique")]

    def __str__(self) -> str:
        return self.name


class Difference(models.Model):
    """What changed between two large snapshots, counted once by a worker: both stay as they are."""

    before = models.ForeignKey(Snapshot, on_delete=models.CASCADE, db_index=False, related_name="+")
    after = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="+")
    content = models.JSONField(default=dict, blank=True)
    reason = models.TextField(blank=True, help_text="Why it could not be counted")
    asked_at = models.DateTimeField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["before", "after"], name="difference_once")]

    def __str__(self) -> str:
        return f"{self.before} to {self.after}"


class SnapshotEntry(models.Model):
    """One image of a snapshot, with its side, label and group as they were when it was frozen."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="entries")
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    part = models.CharField(max_length=64)
    left_out = models.CharField(max_length=32, blank=True, help_text="Why, where the part is left-out")
    label = models.ForeignKey(Label, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    group = models.CharField(max_length=120, blank=True)
    fold = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["snapshot", "image"], name="image_once_per_snapshot")]
        indexes: ClassVar = [models.Index(fields=["snapshot", "part"], name="entry_by_part")]

    def __str__(self) -> str:
        return f"{self.part}: image {self.image_id}"


class Freezing(LeasedRow):
    """A snapshot on its way, or one that was refused and why. The work item itself; a dry run only counts."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="freezings")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    options = models.JSONField(default=dict, blank=True)
    is_dry_run = models.BooleanField(default=False)
    state = models.CharField(max_length=7, choices=JobState, default=JobState.WAITING)
    step = models.CharField(max_length=80, blank=True, help_text="What it does now")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    report = models.JSONField(default=dict, blank=True, help_text="Parts, leaks and what was left out")
    code = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="freezing_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="freezing_to_do"),
        ]

    def __str__(self) -> str:
        return f"freezing {self.uid} ({self.state})"


class Export(LeasedRow):
    """A file or folder made for somebody to take away, with what could not be put in and why. The work item itself."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="exports")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, null=True, blank=True, related_name="exports")
    selection = models.JSONField(default=dict, blank=True, help_text="The filters of the grid; empty: all")
    format = models.CharField(max_length=32)
    options = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=7, choices=JobState, default=JobState.WAITING)
    storage_key = models.CharField(max_length=200, blank=True, editable=False)
    size_bytes = models.PositiveBigIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    left_out = models.JSONField(default=list, blank=True, help_text="What cannot be exported, and why")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="export_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="export_to_do"),
        ]

    def __str__(self) -> str:
        return f"export {self.uid} ({self.format}, {self.state})"
