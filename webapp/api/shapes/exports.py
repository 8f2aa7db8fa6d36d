"""Exports as REST takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.datasets.export_records import WHOSE
from webapp.datasets.exporting import FORMATS
from webapp.datasets.models import Export, JobState


class NewExport(s.Serializer[Any]):
    format = s.ChoiceField(choices=FORMATS)
    snapshot = s.UUIDField(required=False, allow_null=True, default=None, help_text="As it was frozen")
    selection = s.DictField(required=False, default=dict, help_text="The filters of the list of images")
    whose = s.ChoiceField(choices=WHOSE, required=False, default="verified", help_text="Whose labels")
    options = s.DictField(required=False, default=dict, help_text="`with_images`, and what the format knows")


class LeftOutShape(s.Serializer[Any]):
    code = s.CharField()
    reason = s.CharField()
    count = s.IntegerField()
    examples = s.ListField(child=s.CharField())


class ExportShape(s.Serializer[Export]):
    id = s.UUIDField(source="uid")
    project = s.CharField(source="project.slug")
    snapshot = s.UUIDField(source="snapshot.uid", default=None, allow_null=True)
    selection = s.DictField()
    format = s.CharField()
    options = s.DictField()
    state = s.ChoiceField(choices=JobState.choices)
    done = s.IntegerField()
    total = s.IntegerField()
    counts = s.DictField(child=s.IntegerField())
    left_out = LeftOutShape(many=True, help_text="What the format cannot hold or you may not have, and why")
    size_bytes = s.IntegerField()
    reason = s.CharField()
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)
    file = s.URLField(default=None, allow_null=True, help_text="Once it is done")
