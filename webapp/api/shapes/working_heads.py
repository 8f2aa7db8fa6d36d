"""Heads that learned while people worked."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.runs.models import WorkingHead


class WorkingHeadShape(s.Serializer[Any]):
    id = s.UUIDField()
    state = s.ChoiceField(choices=WorkingHead.State.choices)
    reason = s.CharField()
    learned_from = s.IntegerField(help_text="Verdicts it learned from")
    version = s.IntegerField(allow_null=True, help_text="Once it was accepted and made")
    images = s.IntegerField(help_text="Images that it, and the heads before it in its chain, had not seen")
    groups = s.IntegerField(help_text="Groups of these: bursts, visits, near-duplicates")
    right = s.IntegerField()
    before = s.IntegerField(help_text="Right by what suggested then")
    difference = s.FloatField(allow_null=True)
    interval = s.ListField(
        child=s.FloatField(), allow_null=True, help_text="95 %, at all looks together; null under 20 groups"
    )
    suggested = s.CharField(help_text="The version it is held against")
    sentence = s.CharField()
    created_at = s.DateTimeField()
    offered_at = s.DateTimeField(allow_null=True)
    decided_at = s.DateTimeField(allow_null=True)
    decided_by = s.CharField(allow_null=True)
