"""Evaluations and comparisons."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from training.contract import PARTS, TEST
from webapp.runs.comparing.gallery import ALL, KINDS, LIMIT, LONGEST, SIDES, B
from webapp.runs.models import Comparison, Evaluation
from webapp.runs.report_tables import LABELS, TABLES

VERDICTS = ("better", "worse", "no evidence", "too few groups")


class EvaluationShape(s.Serializer[Evaluation]):
    id = s.IntegerField(source="pk")
    project = s.SlugField(source="snapshot.project.slug")
    version = s.IntegerField(source="version_id")
    snapshot = s.UUIDField(source="snapshot.uid")
    part = s.CharField()
    state = s.ChoiceField(choices=Evaluation.State.choices)
    code = s.CharField(help_text="Why it failed: evaluation-failed, ended-worker, \u2026")
    reason = s.CharField()
    progress = s.DictField(help_text="How far it is: done, of, seconds_left")
    seen = s.IntegerField(help_text="Images of the part that the version saw while it was trained")
    device = s.CharField()
    by = s.CharField(source="by.username", default=None, allow_null=True)
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)


class EvaluationDetail(EvaluationShape):
    report = s.DictField(
        help_text="The whole report once it is done: metrics with intervals, classes, confusion, \u2026"
    )


class NewEvaluation(s.Serializer[Any]):
    version = s.IntegerField()
    snapshot = s.UUIDField(required=False, allow_null=True, default=None, help_text="The newest unless given")
    part = s.ChoiceField(choices=PARTS, required=False, default=TEST)


class ComparisonShape(s.Serializer[Comparison]):
    id = s.UUIDField(source="uid")
    project = s.SlugField(source="project.slug")
    version_a = s.IntegerField(source="version_a_id", help_text="The one in use")
    version_b = s.IntegerField(source="version_b_id", help_text="The candidate")
    snapshot = s.UUIDField(source="snapshot.uid")
    snapshot_name = s.CharField(source="snapshot.name")
    part = s.CharField()
    state = s.ChoiceField(choices=Comparison.State.choices)
    code = s.CharField(help_text="Why there is none: seen-images, other-images, evaluation-failed, \u2026")
    reason = s.CharField()
    offer = s.DictField(
        help_text="What can be done instead: `act` is compare (with a, b, snapshot, part), freeze or train"
    )
    verdict = s.CharField(help_text="Of b: better, worse, no evidence, too few groups; empty until it is done")
    sentence = s.CharField(help_text="The headline")
    by = s.CharField(source="by.username", default=None, allow_null=True)
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)


class DifferenceShape(s.Serializer[Any]):
    a = s.FloatField()
    b = s.FloatField()
    difference = s.FloatField(help_text="b less a")
    interval = s.ListField(child=s.FloatField(), allow_null=True, help_text="95 %, over groups; null: too few of them")
    p = s.FloatField(allow_null=True)
    verdict = s.ChoiceField(choices=VERDICTS)


class ComparisonDetail(ComparisonShape):
    """Before it is done only the fields above are there, and how far the two evaluations are."""

    evaluations = EvaluationShape(many=True, help_text="Of a and of b, as far as they were begun")
    metrics = s.DictField(child=DifferenceShape(), required=False, help_text="By name, on all images of the part")
    p = s.FloatField(required=False, allow_null=True, help_text="Of the deciding figure, by swapping whole groups")
    groups = s.IntegerField(required=False)
    images = s.IntegerField(required=False)
    mcnemar_p = s.FloatField(required=False, help_text="Assumes independent images; never decides")
    mcnemar_note = s.CharField(required=False)
    decided_by = s.CharField(required=False)
    fixed = s.IntegerField(required=False, help_text="Images that b has right and a has not")
    broken = s.IntegerField(required=False)
    both_wrong = s.IntegerField(required=False)
    both_right = s.IntegerField(required=False)
    intersection = s.DictField(required=False, help_text="The same figures on images whose label both versions know")
    only_a_knows = s.ListField(child=s.CharField(), required=False)
    only_b_knows = s.ListField(child=s.CharField(), required=False)
    merged = s.DictField(required=False)
    classes = s.ListField(child=s.DictField(), required=False, help_text="Recall by label, the largest change first")
    correction = s.CharField(required=False)
    matrix = s.ListField(child=s.DictField(), required=False, help_text="Cells of both confusion matrices")
    slices = s.ListField(child=s.DictField(), required=False, help_text="By site, camera, hour, light, \u2026")
    pareto = s.ListField(child=s.DictField(), required=False, help_text="Versions evaluated on the same part")
    settings = s.ListField(child=s.DictField(), required=False, help_text="Settings of training that differ")
    notes = s.ListField(child=s.CharField(), required=False)
    a = s.DictField(required=False, help_text="Version a as it stands here: calibration, reject curve, speed, size")
    b = s.DictField(required=False)


class NewComparison(s.Serializer[Any]):
    a = s.IntegerField(
        required=False, allow_null=True, default=None, help_text="A version; what is in use unless given"
    )
    b = s.IntegerField(help_text="The candidate, a version")
    snapshot = s.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Unless given the newest one that b was trained or evaluated on",
    )
    part = s.ChoiceField(choices=PARTS, required=False, default=TEST)


class GalleryQuery(s.Serializer[Any]):
    kind = s.ChoiceField(choices=KINDS, required=False, default=ALL)
    truth = s.CharField(required=False, default="", help_text="A label key")
    answer = s.CharField(required=False, default="", help_text="A label key, the answer of `side`; `-` for none")
    side = s.ChoiceField(
        choices=SIDES, required=False, default=B, help_text="changed: one version gave that answer, the other did not"
    )
    by = s.CharField(required=False, default="", help_text="Of a slice, as in `slices`: site, camera, hour, …")
    value = s.CharField(required=False, default="", help_text="The slice: an image is in it")
    cursor = s.IntegerField(required=False, default=0, min_value=0, help_text="From `next` of the page before")
    limit = s.IntegerField(required=False, default=LIMIT, min_value=1, max_value=LONGEST)

    def get_fields(self) -> dict[str, s.Field[Any, Any, Any, Any]]:
        """With `class`, which is no name in Python."""
        words = "A label key: the truth, or an answer of either"
        return {**super().get_fields(), "class": s.CharField(required=False, default="", help_text=words)}


class ToldQuery(s.Serializer[Any]):
    truth = s.CharField(required=False, default="", help_text="A label key")
    answer = s.CharField(required=False, default="", help_text="A label key; `-` for none")
    wrong = s.BooleanField(required=False, default=False, help_text="Only those that were answered wrongly")
    cursor = s.IntegerField(required=False, default=0, min_value=0, help_text="From `next` of the page before")
    limit = s.IntegerField(required=False, default=LIMIT, min_value=1, max_value=LONGEST)


class TableQuery(s.Serializer[Any]):
    of = s.ChoiceField(choices=TABLES, required=False, default=LABELS, help_text="One line for each of these")


class AnswerShape(s.Serializer[Any]):
    key = s.CharField(allow_blank=True)
    name = s.CharField()
    score = s.FloatField()


class NamedShape(s.Serializer[Any]):
    key = s.CharField(allow_blank=True)
    name = s.CharField()


class GalleryImageShape(s.Serializer[Any]):
    image = s.IntegerField()
    path = s.CharField(allow_blank=True)
    kind = s.ChoiceField(choices=KINDS)
    truth = NamedShape()
    a = AnswerShape()
    b = AnswerShape()
    thumbnail = s.URLField()


class ToldShape(s.Serializer[Any]):
    image = s.IntegerField()
    path = s.CharField(allow_blank=True)
    truth = NamedShape()
    answer = AnswerShape()
    thumbnail = s.URLField()


class ToldPageShape(s.Serializer[Any]):
    results = ToldShape(many=True)
    total = s.IntegerField()
    next = s.URLField(allow_null=True)


class GalleryPageShape(s.Serializer[Any]):
    results = GalleryImageShape(many=True)
    total = s.IntegerField()
    next = s.URLField(allow_null=True)
