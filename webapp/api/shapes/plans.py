"""Plans and trials of training."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.runs.models import Plan, Trial
from webapp.runs.queue import NOW, WHENS
from webapp.runs.start import RECIPES

RULE = "What a candidate has to meet: metric, must_be, margin, min_groups, labels, max_ms, max_size; {}: nothing"
FREEZE = "Options of the snapshot that is frozen for each run, as of freezings"


CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"


class ClockField(s.RegexField):
    """A time of day to the minute, as people write it."""

    def to_representation(self, value: Any) -> str:
        return f"{value:%H:%M}"


class PlanShape(s.Serializer[Plan]):
    id = s.UUIDField(source="uid")
    project = s.SlugField(source="project.slug")
    name = s.CharField()
    is_on = s.BooleanField()
    trigger = s.ChoiceField(choices=Plan.Trigger.choices)
    at = ClockField(CLOCK, allow_null=True)
    weekday = s.IntegerField(allow_null=True, help_text="0 is Monday")
    time_zone = s.CharField()
    after_reviews = s.IntegerField(allow_null=True)
    recipe = s.CharField()
    config = s.DictField()
    freeze = s.DictField()
    gate = s.DictField()
    then = s.ChoiceField(choices=Plan.Then.choices)
    when = s.ChoiceField(choices=WHENS)
    next_at = s.DateTimeField(allow_null=True)
    began_at = s.DateTimeField(allow_null=True)
    said = s.CharField(help_text="What came of it the last time")
    by = s.CharField(source="by.username", default=None, allow_null=True, help_text="With whose rights it acts")


class NewPlan(s.Serializer[Any]):
    name = s.CharField(max_length=80)
    trigger = s.ChoiceField(choices=Plan.Trigger.choices)
    is_on = s.BooleanField(required=False)
    at = ClockField(CLOCK, required=False, allow_null=True, help_text="Of daily and weekly: 02:30, in time_zone")
    weekday = s.IntegerField(required=False, allow_null=True, min_value=0, max_value=6, help_text="0 is Monday")
    time_zone = s.CharField(required=False, help_text="Such as Europe/Paris; UTC without it")
    after_reviews = s.IntegerField(
        required=False, allow_null=True, min_value=1, help_text="Of reviews: so many new ones"
    )
    recipe = s.ChoiceField(choices=RECIPES, required=False)
    config = s.DictField(required=False, help_text="Settings of training, as `key: value`")
    freeze = s.DictField(required=False, help_text=FREEZE)
    gate = s.DictField(required=False, help_text=RULE)
    then = s.ChoiceField(choices=Plan.Then.choices, required=False, help_text="Of what is let through; needs a gate")
    when = s.ChoiceField(choices=WHENS, required=False, help_text=f"Of its runs; {NOW} without it")


class ChangedPlan(NewPlan):
    """Only what is given changes."""

    name = s.CharField(max_length=80, required=False)
    trigger = s.ChoiceField(choices=Plan.Trigger.choices, required=False)


class TrialShape(s.Serializer[Trial]):
    id = s.UUIDField(source="uid")
    project = s.SlugField(source="project.slug")
    snapshot = s.UUIDField(source="snapshot.uid")
    start_version = s.IntegerField(source="start_version_id", allow_null=True)
    recipe = s.CharField()
    state = s.ChoiceField(choices=Trial.State.choices)
    code = s.CharField()
    reason = s.CharField()
    device = s.CharField()
    seconds = s.FloatField(source="result.seconds", default=None, allow_null=True)
    low = s.FloatField(source="result.low", default=None, allow_null=True, help_text="It will hardly take less")
    high = s.FloatField(source="result.high", default=None, allow_null=True, help_text="It will hardly take more")
    images_per_second = s.FloatField(source="result.images_per_second", default=None, allow_null=True)
    words = s.CharField(default="", help_text="Such as: about 4 minutes (3 to 6)")
    created_at = s.DateTimeField()


class NewTrial(s.Serializer[Any]):
    recipe = s.ChoiceField(choices=RECIPES, required=False, default="head")
    snapshot = s.UUIDField(required=False, allow_null=True, default=None, help_text="The newest unless given")
    model = s.IntegerField(required=False, allow_null=True, default=None, help_text="As of runs")
    config = s.DictField(required=False, default=dict, help_text="As of runs")
