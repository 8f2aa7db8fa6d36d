"""The health of a project's data as REST takes and shows it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.reviews.models import Analysis, Finding


class AnalysisShape(s.Serializer[Analysis]):
    id = s.IntegerField(source="pk")
    state = s.ChoiceField(choices=Analysis.State.choices)
    step = s.CharField(help_text="What it does now")
    share = s.FloatField(help_text="How much of it is done, 0 to 1")
    reason = s.CharField()
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)


class HealthShape(s.Serializer[Any]):
    analysis = AnalysisShape(allow_null=True, help_text="The pass that the report is of")
    under_way = AnalysisShape(allow_null=True, help_text="A later pass that is not done yet")
    report = s.DictField(help_text="As `./osprey health --json` prints it; empty before the first pass")


class NewMinimums(s.Serializer[Any]):
    images = s.IntegerField(help_text="Labelled images that each label shall have")
    sites = s.IntegerField(help_text="Sites that they shall come from")


class TwinShape(s.Serializer[Any]):
    id = s.IntegerField()
    path = s.CharField()
    label = s.CharField(help_text="The key of the label that stands now; empty: none")  # type: ignore[assignment]
    part = s.CharField(help_text="Where it came with a part of a split")


class ClusterShape(s.Serializer[Any]):
    cluster = s.IntegerField(help_text="Its name, which stays; also a filter of images")
    count = s.IntegerField()
    images = TwinShape(many=True, help_text="The first 200 of them")


class FindingQuery(s.Serializer[Any]):
    kind = s.ChoiceField(choices=Finding.Kind.choices, default=Finding.Kind.SUSPECT)
    settled = s.BooleanField(default=False, help_text="1: those that somebody looked at")


class FindingShape(s.Serializer[Finding]):
    id = s.IntegerField(source="pk")
    kind = s.ChoiceField(choices=Finding.Kind.choices)
    image = s.IntegerField(source="image_id")
    path = s.CharField(source="image.path")
    score = s.FloatField(help_text="Higher is looked at first")
    why = s.CharField()
    proposed = s.CharField(source="label.key", default=None, allow_null=True)
    group = s.IntegerField(allow_null=True, help_text="The cluster, where the kind has any")
    detail = s.DictField()
    settled_at = s.DateTimeField(allow_null=True)
