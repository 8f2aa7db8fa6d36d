"""A candidate tried beside, and predicting again."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.runs.models import Backfill


class NewTrialBeside(s.Serializer[Any]):
    version = s.IntegerField(min_value=1, max_value=2**63 - 1, help_text="Takes its place in the pipeline in use")
    note = s.CharField(required=False, default="", allow_blank=True, max_length=2000)


class DifferingShape(s.Serializer[Any]):
    live = s.CharField(help_text="What the version in use says, by key")
    beside = s.CharField(help_text="What the candidate says")
    count = s.IntegerField()
    images = s.ListField(child=s.IntegerField(), help_text="The newest of them")


class BesideShape(s.Serializer[Any]):
    pipeline = s.CharField()
    version = s.CharField()
    since = s.DateTimeField()
    note = s.CharField()
    images = s.IntegerField(help_text="Pictures that both answered: the newest 10,000 at most")
    same = s.IntegerField(help_text="Of these, given the same label by both")
    differing = DifferingShape(many=True)
    waiting = s.IntegerField()
    failed = s.IntegerField()
    live_ms = s.FloatField(allow_null=True, help_text="Mean milliseconds a picture in the networks, of the one in use")
    beside_ms = s.FloatField(
        allow_null=True, help_text="The same of the candidate; null: it needs only the embedding that is there"
    )
    reviewed = s.IntegerField(help_text="Of these, labelled by people")
    live_right = s.IntegerField()
    beside_right = s.IntegerField()


class NewBackfill(s.Serializer[Any]):
    version = s.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=2**63 - 1,
        help_text="Without it the version in use, whose answers then count; another one's are only shown beside",
    )


class BackfillShape(s.Serializer[Any]):
    id = s.UUIDField()
    state = s.ChoiceField(choices=Backfill.State.choices)
    reason = s.CharField()
    pipeline = s.CharField()
    version = s.CharField()
    counts = s.BooleanField(help_text="Whether its answers are the machine's from then on")
    images = s.IntegerField(help_text="Images there were when it was asked for")
    asked = s.IntegerField(help_text="Of these, not yet answered by this version; final once `is_queued`")
    done = s.IntegerField()
    failed = s.IntegerField()
    left = s.IntegerField()
    is_queued = s.BooleanField()
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)
    by = s.CharField(allow_null=True)
