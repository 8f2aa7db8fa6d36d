"""Training runs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.runs.models import Run
from webapp.runs.queue import NOW, WHENS
from webapp.runs.start import RECIPES


class RunShape(s.Serializer[Run]):
    id = s.UUIDField(source="uid")
    project = s.SlugField(source="project.slug")
    recipe = s.CharField()
    state = s.ChoiceField(choices=Run.State.choices)
    code = s.CharField(help_text="Why it failed: learned-nothing, training-failed, ended-worker, …")
    reason = s.CharField()
    when = s.ChoiceField(choices=WHENS)
    not_before = s.DateTimeField(allow_null=True)
    snapshot = s.UUIDField(source="snapshot.uid")
    start_version = s.IntegerField(source="start_version_id", allow_null=True)
    version = s.IntegerField(source="version_id", allow_null=True, help_text="What it published; not in use yet")
    device = s.CharField()
    plan = s.UUIDField(source="plan.uid", default=None, allow_null=True, help_text="The plan that started it")
    gate = s.DictField(help_text="The rule it was given; once decided: passed, and why, a list of sentences")
    progress = s.DictField(help_text="How far it is: stage, epoch, images_per_second, seconds_left (of the stage), …")
    started_by = s.CharField(source="started_by.username", default=None, allow_null=True)
    created_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    done_at = s.DateTimeField(allow_null=True)


class RunDetail(RunShape):
    before = s.IntegerField(help_text="Runs of this site that come first")
    seed = s.IntegerField()
    config = s.DictField(help_text="The settings that were asked for; the others have their defaults")
    evaluation = s.IntegerField(allow_null=True, help_text="That of `report`: its images and tables are there")
    report = s.DictField(allow_null=True, help_text="Of its version, on the test part")


class CurvesQuery(s.Serializer[Any]):
    format = s.ChoiceField(choices=["json", "csv"], required=False, default="json")


class CurvePoint(s.Serializer[Any]):
    stage = s.IntegerField(help_text="2: the second one of recipe two-stage")
    epoch = s.IntegerField(help_text="Recipe head: a strength of weight decay; sweep: a trial")
    learning_rate = s.FloatField(required=False)
    train_loss = s.FloatField(required=False)
    validation_loss = s.FloatField(required=False)
    accuracy = s.FloatField(required=False)
    balanced_accuracy = s.FloatField(required=False)
    macro_f1 = s.FloatField(required=False)
    best = s.BooleanField()


class NewRun(s.Serializer[Any]):
    recipe = s.ChoiceField(choices=RECIPES, required=False, default="head")
    snapshot = s.UUIDField(required=False, allow_null=True, default=None, help_text="The newest unless given")
    model = s.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Where it starts; what answers now unless given",
    )
    config = s.DictField(required=False, default=dict, help_text="Settings of training, as `key: value`")
    when = s.ChoiceField(choices=WHENS, required=False, default=NOW)
    gate = s.DictField(
        required=False,
        default=dict,
        help_text="What comes out has to meet this rule against what is in use, else it ends as rejected",
    )
