"""Versions, pipelines and what is in use."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.api.shapes.answers import Number
from webapp.versions.models import Activation, Pipeline, Version


class VersionShape(s.Serializer[Version]):
    id = s.IntegerField()
    uid = s.UUIDField(help_text="The same on every site it was moved to")
    name = s.CharField()
    role = s.ChoiceField(choices=Version.Role.choices)
    project = s.CharField(source="project.slug", default=None, allow_null=True, help_text="null: any project")
    architecture = s.CharField()
    digest = s.CharField()
    size_bytes = s.IntegerField()
    is_starter = s.BooleanField()
    origin = s.CharField()
    licence = s.CharField()
    parent = s.IntegerField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    created_at = s.DateTimeField()
    broken = s.CharField(source="broken_reason", help_text="Why it cannot be used; empty when it can")


class VersionDetail(VersionShape):
    card = s.DictField()


class PipelineShape(s.Serializer[Pipeline]):
    id = s.CharField(source="digest")
    detector = s.IntegerField(source="detector_id", allow_null=True, help_text="Version")
    classifier = s.IntegerField(source="classifier_id", allow_null=True, help_text="Version")
    identifier = s.IntegerField(source="identifier_id", allow_null=True, help_text="Version")
    thresholds = s.DictField()
    crop_margin = s.FloatField()
    whole_image_when_nothing_found = s.BooleanField()
    created_at = s.DateTimeField()


class NewPipeline(s.Serializer[Any]):
    detector = s.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    classifier = s.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    identifier = s.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    thresholds = s.DictField(child=Number(min_value=0, max_value=1), required=False, default=dict)
    crop_margin = Number(required=False, default=0, min_value=0, max_value=1)
    whole_image_when_nothing_found = s.BooleanField(required=False, default=True)


class ActivationShape(s.Serializer[Activation]):
    id = s.IntegerField()
    slot = s.ChoiceField(choices=Activation.Slot.choices)
    pipeline = s.CharField(source="pipeline.digest", default=None, allow_null=True)
    previous = s.CharField(source="previous.digest", default=None, allow_null=True)
    at = s.DateTimeField()
    by = s.CharField(source="by.username", default=None, allow_null=True)
    note = s.CharField()
    rolls_back = s.BooleanField()


class NewActivation(s.Serializer[Any]):
    pipeline = s.CharField(max_length=64, required=False, default="", help_text="The pipeline's id")
    version = s.IntegerField(
        min_value=1, required=False, default=None, allow_null=True, help_text="Or a version, in the place of its role"
    )
    slot = s.ChoiceField(choices=Activation.Slot.choices, required=False, default=Activation.Slot.LIVE)
    note = s.CharField(required=False, default="", allow_blank=True, max_length=2000)


class RollBack(s.Serializer[Any]):
    note = s.CharField(required=False, default="", allow_blank=True, max_length=2000)
