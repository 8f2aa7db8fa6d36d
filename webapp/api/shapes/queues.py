"""Queues, decisions, changes, draws and agreement."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.api.shapes.answers import Box, Number
from webapp.api.shapes.images import AnnotationShape
from webapp.images.models import ImageState
from webapp.reviews.audits import LEVELS
from webapp.reviews.decide import MOST_IMAGES
from webapp.reviews.draws import MOST_DRAWN
from webapp.reviews.holds import MOST_UNITS as MOST_HELD
from webapp.reviews.models import Review
from webapp.reviews.next_units import MOST_UNITS

BIGGEST = 2**63 - 1
VERDICTS = [choice for choice in Review.Verdict.choices if choice[0] != Review.Verdict.WITHDRAWN]


class FacetShape(s.Serializer[Any]):
    key = s.CharField(help_text="What the filter takes; -: has none")
    name = s.CharField()
    count = s.IntegerField()


class FacetsShape(s.Serializer[Any]):
    """How many images have each value; lists run from the most frequent down."""

    all = s.IntegerField()
    label = FacetShape(many=True)  # type: ignore[assignment]
    machine_label = FacetShape(many=True)
    site = FacetShape(many=True)
    visit = FacetShape(many=True)
    review = FacetShape(many=True, help_text="Filter: review_state")
    source = FacetShape(many=True)  # type: ignore[assignment]
    failure = FacetShape(many=True)
    damaged = s.IntegerField()


class ReviewQueueShape(s.Serializer[Any]):
    key = s.CharField()
    name = s.CharField()
    why = s.CharField()
    count = s.IntegerField(help_text="Images that wait in it")
    is_at_least = s.BooleanField(help_text="There are more than `count`")
    blind = s.BooleanField()
    for_curators = s.BooleanField()


class NextQuestion(s.Serializer[Any]):
    limit = s.IntegerField(required=False, default=8, min_value=1, max_value=MOST_UNITS)
    unit = s.ChoiceField(choices=["sequence", "image"], required=False, default="sequence")
    selection = s.DictField(child=s.JSONField(), required=False, default=dict, help_text="Filters as of images.list")
    have = s.ListField(
        child=s.CharField(max_length=24),
        required=False,
        allow_null=True,
        default=None,
        max_length=MOST_HELD,
        help_text="Units the page shows; others that you hold are then given again. Left out: none are given again",
    )


class GuessShape(s.Serializer[Any]):
    label_key = s.CharField()
    label = s.CharField()  # type: ignore[assignment]
    score = s.FloatField()


class SuggestionShape(GuessShape):
    says = s.CharField(help_text="Who suggests it: the model, or the other labels of the project")
    pooled = s.CharField(help_text="From what: the frame, or how many frames were pooled")


class SeenRegion(s.Serializer[Any]):
    box = Box()
    label = s.CharField()  # type: ignore[assignment]
    label_key = s.CharField()
    score = s.FloatField(allow_null=True)


class CurrentVerdict(s.Serializer[Any]):
    by = s.CharField()
    at = s.DateTimeField()
    verdict = s.ChoiceField(choices=Review.Verdict.choices)
    how = s.ChoiceField(choices=Review.How.choices)
    annotations = AnnotationShape(many=True)
    values = s.DictField()
    note = s.CharField()


class UnitImage(s.Serializer[Any]):
    """One frame. In a blind unit all that machine and people said is left out."""

    id = s.IntegerField()
    prediction = s.IntegerField(allow_null=True)
    captured_at = s.CharField()
    captured_at_utc = s.DateTimeField(allow_null=True)
    width = s.IntegerField()
    height = s.IntegerField()
    path = s.CharField()
    thumbnail = s.URLField()
    preview = s.URLField()
    original = s.URLField()
    score = s.FloatField(allow_null=True)
    label_key = s.CharField(allow_null=True)
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    machine_label = s.CharField(allow_null=True)
    review_state = s.ChoiceField(choices=ImageState.ReviewState.choices, allow_null=True)
    source = s.ChoiceField(choices=ImageState.Source.choices, allow_null=True)  # type: ignore[assignment]
    regions = SeenRegion(many=True)
    damaged = s.BooleanField()
    current = CurrentVerdict(allow_null=True, help_text="The newest standing verdict")
    standing = CurrentVerdict(many=True, help_text="All that stand, where reviewers disagree")


class UnitShape(s.Serializer[Any]):
    """A sequence (s12), a lone image (i3) or a cluster (g5), held for you until `until`."""

    unit = s.CharField()
    queue = s.CharField()
    why = s.CharField()
    reason = s.CharField(help_text="Key of the queue that it came from")
    blind = s.BooleanField()
    second_reading = s.BooleanField()
    sampling_probability = s.FloatField(allow_null=True)
    until = s.DateTimeField()
    suggestion = SuggestionShape(allow_null=True)
    guesses = GuessShape(many=True, help_text="At most 9, best first; none in a blind unit")
    site = s.CharField(allow_null=True)
    visit = s.CharField(allow_null=True)
    telling = s.IntegerField(help_text="The frame that says most")
    images = UnitImage(many=True)


class NextAnswer(s.Serializer[Any]):
    units = UnitShape(many=True)
    left = s.IntegerField(help_text="Images that wait in the queue, counted up to 10,000")
    at_my_pace_seconds = s.FloatField(allow_null=True, help_text="How long they take you; null: not known yet")


class OneUnit(s.Serializer[Any]):
    unit = s.CharField(max_length=24)


class SomeUnits(s.Serializer[Any]):
    units = s.ListField(child=s.CharField(max_length=24), max_length=MOST_HELD)


class UnitsAnswer(s.Serializer[Any]):
    units = s.ListField(child=s.CharField(), help_text="Those that you still hold")


class DecidedAnnotation(s.Serializer[Any]):
    label_key = s.CharField(max_length=200, required=False, allow_null=True, allow_blank=True, default="")
    box = Box(required=False, allow_null=True, default=None)
    count = s.IntegerField(required=False, default=1, min_value=1, max_value=1_000_000)
    individual = s.UUIDField(required=False, allow_null=True, default=None)
    fields = s.DictField(child=s.JSONField(), required=False, default=dict)  # type: ignore[assignment]
    flags = s.DictField(child=s.BooleanField(allow_null=True), required=False, default=dict)


class DecidedImage(s.Serializer[Any]):
    annotations = DecidedAnnotation(many=True, required=False, default=list)
    verdict = s.ChoiceField(choices=VERDICTS, required=False, allow_null=True, default=None)
    values = s.DictField(child=s.JSONField(), required=False, allow_null=True, default=None)


class NewDecision(s.Serializer[Any]):
    """One decision on a unit. `images`: ids, or the word `selection` for all images of the filters beside it."""

    client_id = s.UUIDField(help_text="Made by the page; sent again it is the same decision, and the change's id")
    images = s.JSONField(help_text=f"Ids, or `selection`; at most {MOST_IMAGES:,} images")
    selection = s.DictField(child=s.JSONField(), required=False, default=dict)
    verdict = s.ChoiceField(choices=VERDICTS, required=False, default=Review.Verdict.LABELLED)
    annotations = DecidedAnnotation(many=True, required=False, default=list)
    per_image = s.DictField(
        child=DecidedImage(), required=False, default=dict, help_text="Image id -> what it differs in"
    )
    values = s.DictField(child=s.JSONField(), required=False, default=dict, help_text="The project's fields -> value")
    how = s.ChoiceField(
        choices=[Review.How.BLIND.value, Review.How.SUGGESTED.value, Review.How.BULK.value],
        required=False,
        default=Review.How.SUGGESTED,
        help_text="Of a queue the server says it: blind only what a blind draw gave out; of a `selection`: bulk",
    )
    queue = s.CharField(required=False, default="", allow_blank=True, max_length=40)
    sampling_probability = Number(required=False, allow_null=True, help_text="Ignored: the draw's own is stored")
    second_reading = s.BooleanField(required=False, default=False, help_text="Ignored: the queue `second` makes them")
    seconds = Number(required=False, allow_null=True, default=None, min_value=0)
    predictions = s.DictField(
        child=s.IntegerField(min_value=1, max_value=BIGGEST, allow_null=True),
        required=False,
        default=dict,
        help_text="Image id -> the prediction that was on the screen",
    )
    note = s.CharField(required=False, default="", allow_blank=True, max_length=2000)


class NewDecisions(s.Serializer[Any]):
    """Up to 200 decisions, in the order in which they were made. One that is refused stops none of the others."""

    decisions = s.ListField(child=s.DictField(child=s.JSONField(allow_null=True)), min_length=1, max_length=200)


class DecisionsBody(s.Serializer[Any]):
    decisions = NewDecision(many=True)


class DecisionResult(s.Serializer[Any]):
    client_id = s.CharField(allow_null=True)
    state = s.ChoiceField(choices=["saved", "refused"])
    change = s.UUIDField(allow_null=True)
    images = s.IntegerField()
    code = s.CharField(help_text="Empty, or why it was refused; it need not be sent again")
    detail = s.CharField()


class DecisionsAnswer(s.Serializer[Any]):
    results = DecisionResult(many=True)


class UndoBody(s.Serializer[Any]):
    client_id = s.UUIDField(required=False, allow_null=True, default=None)


class UndoneShape(s.Serializer[Any]):
    change = s.UUIDField(help_text="The change that took the other back")
    images = s.IntegerField()


class ChangeQuery(s.Serializer[Any]):
    mine = s.BooleanField(required=False, default=False)


class ChangeShape(s.Serializer[Any]):
    id = s.UUIDField()
    at = s.DateTimeField()
    by = s.CharField(allow_null=True)
    what = s.CharField()
    images = s.IntegerField()
    undoes = s.UUIDField(allow_null=True)
    undone_by = s.UUIDField(allow_null=True)


class NewDraw(s.Serializer[Any]):
    size = s.IntegerField(required=False, default=200, min_value=1, max_value=MOST_DRAWN)
    selection = s.DictField(child=s.JSONField(), required=False, default=dict)
    seed = s.IntegerField(required=False, allow_null=True, default=None, min_value=0, max_value=2**53)


class NewAudit(NewDraw):
    level = s.ChoiceField(choices=LEVELS, required=False, default="sequence")


class DrawShape(s.Serializer[Any]):
    id = s.UUIDField(source="uid")
    seed = s.IntegerField()
    level = s.ChoiceField(choices=LEVELS)
    units = s.IntegerField(help_text="Drawn")
    frame = s.IntegerField(help_text="Drawn from")
    images = s.IntegerField(help_text="In the drawn units")
    sampling_probability = s.FloatField()


class LabelAgreementShape(s.Serializer[Any]):
    label_key = s.CharField()
    label = s.CharField()  # type: ignore[assignment]
    kappa = s.FloatField(allow_null=True)
    n = s.IntegerField(help_text="Pairs in which either reader named it")
    agree = s.IntegerField()


class AgreementShape(s.Serializer[Any]):
    pairs = s.IntegerField()
    agree = s.IntegerField()
    kappa = s.FloatField(allow_null=True)
    labels = LabelAgreementShape(many=True)
