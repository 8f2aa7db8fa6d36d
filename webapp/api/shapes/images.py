"""Images, what machine and people say of them, and uploads."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.api.shapes.answers import Answer, Box, Number
from webapp.datasets.selection import CHOICES, ORDERS
from webapp.images.models import ImageState, Item, Upload
from webapp.reviews.models import Finding, Review
from webapp.reviews.quality import KINDS as QUALITIES


class SelectionShape(s.Serializer[Any]):
    """Filters of the grid. Each is optional; together they must all hold."""

    label = s.CharField(required=False, max_length=200, help_text="Key or name; none or -: without a label")  # type: ignore[assignment]
    machine_label = s.CharField(required=False, max_length=200, help_text="What the machine said, key or name")
    individual = s.CharField(required=False, max_length=36, help_text="Id; -: none")
    source = s.ChoiceField(  # type: ignore[assignment]
        choices=list(CHOICES["source"]), required=False, help_text="verified: by a person here or by an import"
    )
    review_state = s.ChoiceField(choices=ImageState.ReviewState.choices, required=False)
    site = s.CharField(required=False, max_length=36, help_text="Id; -: none")
    visit = s.CharField(required=False, max_length=36, help_text="Id; -: none")
    sequence = s.CharField(required=False, max_length=36, help_text="Id; -: none")
    upload = s.UUIDField(required=False)
    part = s.CharField(required=False, max_length=64, help_text="Part of an imported split")
    above = Number(required=False, min_value=0, max_value=1, help_text="Only answers at least this sure")
    below = Number(required=False, min_value=0, max_value=1, help_text="Only answers less sure than this")
    captured_from = s.CharField(required=False, max_length=40, help_text="A day or a moment")
    captured_to = s.CharField(required=False, max_length=40, help_text="A day, to its end, or a moment")
    version = s.IntegerField(required=False, min_value=1, max_value=2**53, help_text="A version that answered it")
    failed = s.BooleanField(required=False, allow_null=True)
    damaged = s.BooleanField(required=False, allow_null=True)
    timed = s.BooleanField(required=False, allow_null=True, help_text="Whether it is known when they were taken")
    finding = s.ChoiceField(choices=Finding.Kind.choices, required=False)
    group = s.IntegerField(required=False, min_value=0, max_value=2**53, help_text="Group of that kind of finding")
    cluster = s.CharField(required=False, max_length=18, help_text="Cluster of near-duplicates, or any")
    quality = s.ChoiceField(choices=list(QUALITIES), required=False, help_text="What is wrong with the picture")
    snapshot = s.UUIDField(required=False)
    snapshot_part = s.CharField(required=False, max_length=16)
    text = s.CharField(
        required=False,
        max_length=200,
        help_text="Part of the path. A page looks through 10,000 images, so it may hold few, or none, and a `next`",
    )
    order = s.ChoiceField(
        choices=list(ORDERS),
        required=False,
        default="newest",
        help_text="captured and least-sure leave out images without that; priority holds those not reviewed yet",
    )


class ImageQuery(SelectionShape):
    """Which images, and in which order."""

    project = s.CharField(max_length=64)


class StandingLabel(s.Serializer[Any]):
    """One label of the standing verdict, with how many animals it counts."""

    key = s.CharField()
    name = s.CharField()
    count = s.IntegerField()


class ImageShape(s.Serializer[Any]):
    id = s.IntegerField()
    project = s.CharField()
    path = s.CharField()
    part = s.CharField(help_text="Part of an imported split")
    sha256 = s.CharField()
    size_bytes = s.IntegerField()
    media_type = s.CharField()
    width = s.IntegerField()
    height = s.IntegerField()
    captured_at = s.CharField(help_text="As the camera wrote it; empty: unknown")
    captured_at_utc = s.DateTimeField(allow_null=True)
    camera = s.CharField()
    latitude = s.FloatField(allow_null=True)
    longitude = s.FloatField(allow_null=True)
    coordinates = s.ChoiceField(choices=["exact", "coarse", "withheld", "unknown"])
    site = s.UUIDField(allow_null=True)
    site_name = s.CharField(allow_null=True)
    visit = s.UUIDField(allow_null=True)
    visit_name = s.CharField(allow_null=True)
    sequence = s.UUIDField(allow_null=True)
    upload = s.UUIDField()
    damaged_share = s.FloatField(allow_null=True)
    missing = s.BooleanField(help_text="The original is not where it should be: a disk is away")
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    label_key = s.CharField(allow_null=True)
    labels = StandingLabel(many=True, help_text="All that the standing verdict names")
    score = s.FloatField(allow_null=True)
    machine_label = s.CharField(allow_null=True, help_text="What the machine said")
    machine_label_key = s.CharField(allow_null=True)
    source = s.ChoiceField(choices=ImageState.Source.choices)  # type: ignore[assignment]
    review_state = s.ChoiceField(choices=ImageState.ReviewState.choices)
    queue_reason = s.CharField(help_text="Why somebody should look at it; empty: no reason")
    failure = s.CharField()
    thumbnail = s.URLField()
    created_at = s.DateTimeField()


class NewUpload(s.Serializer[Any]):
    class Entry(s.Serializer[Any]):
        path = s.CharField(max_length=1000)
        size = s.IntegerField(min_value=0, max_value=2**53, required=False, allow_null=True, default=None)
        modified_at_ms = s.IntegerField(
            min_value=-(2**53), max_value=2**53, required=False, allow_null=True, default=None
        )
        claimed_label = s.CharField(max_length=200, required=False, allow_blank=True, default="")
        part = s.CharField(max_length=64, required=False, allow_blank=True, default="")

    project = s.CharField(max_length=64)
    name = s.CharField(max_length=200, required=False, allow_blank=True, default="")
    manifest = Entry(many=True, required=False, default=list, help_text="At most 5,000 at once; send more later")


class ManifestPiece(s.Serializer[Any]):
    manifest = NewUpload.Entry(many=True, help_text="At most 5,000 at once")


class UploadChange(s.Serializer[Any]):
    state = s.ChoiceField(
        choices=[Upload.State.CLOSED.value, Upload.State.OPEN.value],
        help_text="closed: no more files will come; open: go on with it",
    )


class UploadQuery(s.Serializer[Any]):
    project = s.CharField(max_length=64)


class UploadShape(s.Serializer[Any]):
    id = s.UUIDField()
    project = s.CharField()
    name = s.CharField()
    kind = s.ChoiceField(choices=Upload.Kind.choices)
    state = s.ChoiceField(choices=Upload.State.choices)
    reason = s.CharField()
    counts = s.DictField(child=s.IntegerField(), help_text="Item state -> how many")
    side_files = s.DictField(child=s.IntegerField())
    done = s.BooleanField(help_text="Every file is in a final state and none will come")
    created_at = s.DateTimeField()
    closed_at = s.DateTimeField(allow_null=True)
    page = s.URLField()


class LabelCountShape(s.Serializer[Any]):
    key = s.CharField()
    name = s.CharField()
    count = s.IntegerField()


class UploadDetail(UploadShape):
    labels = LabelCountShape(many=True, help_text="What its images show now, most frequent first")


class Announced(s.Serializer[Any]):
    added = s.IntegerField()
    known = s.IntegerField()
    left_out = s.ListField(child=s.CharField(), help_text="Cameras' side files, which are not expected")


class Job(s.Serializer[Any]):
    """A batch was taken in; ask `job` how far it is."""

    state = s.CharField()
    job = s.URLField()
    upload = s.UUIDField()
    counts = s.DictField(child=s.IntegerField())


class CheckQuestion(s.Serializer[Any]):
    """Either bare hashes, or files by path; those that are here already are then settled as duplicates."""

    sha256 = s.ListField(child=s.RegexField(r"^[0-9a-f]{64}$"), max_length=5000, required=False, default=list)
    files = s.DictField(
        child=s.RegexField(r"^[0-9a-f]{64}$"), required=False, default=dict, help_text="Path -> SHA-256"
    )


class CheckAnswer(s.Serializer[Any]):
    here = s.DictField(child=s.IntegerField(), help_text="SHA-256 -> image, of those that need not be sent")


class BatchQuery(s.Serializer[Any]):
    project = s.CharField(max_length=64, required=False, default="animals")
    name = s.CharField(max_length=200, required=False, allow_blank=True, default="")


class FileQuery(s.Serializer[Any]):
    path = s.CharField(max_length=1000, required=False, default="", allow_blank=True)
    priority = s.ChoiceField(choices=["interactive", "bulk"], required=False, default="bulk")


class ItemQuery(s.Serializer[Any]):
    state = s.ChoiceField(choices=Item.State.choices, required=False)
    label = s.CharField(required=False, max_length=200)  # type: ignore[assignment]
    low_confidence = Number(required=False, min_value=0, max_value=1)
    empties = s.BooleanField(required=False, default=False, help_text="Only pictures without an animal")
    after = s.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    limit = s.IntegerField(required=False, default=100, min_value=1, max_value=1000)


class ItemShape(s.Serializer[Any]):
    id = s.IntegerField()
    path = s.CharField()
    part = s.CharField(help_text="The part of an imported split it came in")
    claimed_label = s.CharField(help_text="What an import said of it")
    state = s.ChoiceField(choices=Item.State.choices)
    code = s.CharField()
    reason = s.CharField()
    sha256 = s.CharField()
    image = s.IntegerField(allow_null=True)
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    score = s.FloatField(allow_null=True)
    damaged = s.BooleanField(help_text="Whether a part of the picture cannot be read")
    damaged_share = s.FloatField(allow_null=True, help_text="Share of its rows; null: not looked at yet")
    thumbnail = s.URLField(allow_null=True)


class FileTaken(s.Serializer[Any]):
    """What became of one file of an upload."""

    state = s.CharField(help_text="new or duplicate; unpacking for a zip")
    item = s.IntegerField(allow_null=True)
    image = s.IntegerField(allow_null=True)
    prediction = s.IntegerField(allow_null=True)
    job = s.URLField(allow_null=True)


class Retried(s.Serializer[Any]):
    retried = s.IntegerField()


class ResultsQuery(s.Serializer[Any]):
    format = s.ChoiceField(choices=["csv", "json"], required=False, default="csv")


class ResultRow(s.Serializer[Any]):
    path = s.CharField()
    state = s.CharField()
    label = s.CharField(allow_null=True)  # type: ignore[assignment]
    score = s.FloatField(allow_null=True)
    source = s.CharField()  # type: ignore[assignment]
    reason = s.CharField()
    image = s.IntegerField(allow_null=True)
    sha256 = s.CharField()
    captured_at = s.CharField()
    damaged = s.BooleanField()
    damaged_share = s.FloatField(allow_null=True)


class PredictionShape(Answer):
    id = s.IntegerField()
    purpose = s.CharField()
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)


class ScoresQuery(s.Serializer[Any]):
    scores = s.ChoiceField(choices=["top", "all"], required=False, default="top")


class AnnotationShape(s.Serializer[Any]):
    box = Box(allow_null=True)
    label = s.CharField(allow_null=True, help_text="Key")  # type: ignore[assignment]
    individual = s.UUIDField(allow_null=True)
    count = s.IntegerField()
    values = s.DictField(help_text="The project's own fields")
    flags = s.DictField(child=s.BooleanField())


class ReviewShape(s.Serializer[Any]):
    id = s.UUIDField()
    image = s.IntegerField()
    by = s.CharField(allow_null=True)
    at = s.DateTimeField()
    verdict = s.ChoiceField(choices=Review.Verdict.choices)
    how = s.ChoiceField(choices=Review.How.choices)
    note = s.CharField()
    annotations = AnnotationShape(many=True)


class HistoryShape(s.Serializer[Any]):
    """One line of an image's history: a review or a prediction."""

    at = s.DateTimeField()
    who = s.CharField()
    what = s.CharField()
    stands = s.BooleanField(help_text="Whether it holds now")
    is_undone = s.BooleanField()
    review = s.UUIDField(source="review.uid", default=None, allow_null=True)
    prediction = s.IntegerField(source="prediction.pk", default=None, allow_null=True)


class NewAnnotation(s.Serializer[Any]):
    label = s.CharField(max_length=200, required=False, allow_null=True, default=None, help_text="Key or name")  # type: ignore[assignment]
    box = Box(required=False, allow_null=True, default=None)
    count = s.IntegerField(required=False, default=1, min_value=1, max_value=1_000_000)
    individual = s.UUIDField(required=False, allow_null=True, default=None)
    values = s.DictField(child=s.JSONField(), required=False, default=dict, help_text="The project's fields -> value")
    flags = s.DictField(child=s.BooleanField(), required=False, default=dict)


class NewReview(s.Serializer[Any]):
    """No annotations and verdict `labelled`: looked, and it is empty."""

    verdict = s.ChoiceField(
        choices=[choice for choice in Review.Verdict.choices if choice[0] != Review.Verdict.WITHDRAWN],
        required=False,
        default=Review.Verdict.LABELLED,
    )
    annotations = NewAnnotation(many=True, required=False, default=list)
    how = s.ChoiceField(
        choices=[Review.How.BLIND.value, Review.How.SUGGESTED.value, Review.How.BULK.value],
        required=False,
        default=Review.How.SUGGESTED,
    )
    prediction = s.IntegerField(required=False, allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    client_id = s.UUIDField(required=False, allow_null=True, default=None, help_text="A repeated save is one review")
    seconds = Number(required=False, allow_null=True, default=None, min_value=0)
    values = s.DictField(child=s.JSONField(), required=False, default=dict, help_text="The project's fields -> value")
    queue = s.CharField(required=False, default="", allow_blank=True, max_length=40)
    note = s.CharField(required=False, default="", allow_blank=True, max_length=2000)
