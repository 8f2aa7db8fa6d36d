"""Results as REST shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.datasets.results import GROUPS, ResultRow, Totals


class ResultsQuery(s.Serializer[Any]):
    by = s.ChoiceField(choices=list(GROUPS), required=False, default="visit")
    format = s.ChoiceField(choices=["json", "csv"], required=False, default="json")


class ResultShape(s.Serializer[ResultRow]):
    site = s.CharField()
    visit = s.CharField()
    label = s.CharField()  # type: ignore[assignment]
    label_key = s.CharField()
    scientific_name = s.CharField()
    kind = s.CharField()
    verified = s.IntegerField()
    by_rule = s.IntegerField()
    machine_only = s.IntegerField()
    sequences = s.IntegerField(help_text="Bursts in which it was verified")
    mean_score = s.FloatField(allow_null=True, help_text="Of the machine, where nobody looked")


class TotalsShape(s.Serializer[Totals]):
    images = s.IntegerField()
    verified = s.IntegerField()
    by_rule = s.IntegerField()
    machine_only = s.IntegerField()
    unanswered = s.IntegerField()


class ResultsShape(s.Serializer[Any]):
    totals = TotalsShape()
    results = ResultShape(many=True)
