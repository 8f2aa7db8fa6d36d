"""What people say of an image: verdicts that are only ever added to."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.images.models import Image, Upload
from webapp.leases import LeasedRow
from webapp.predictions.models import Prediction
from webapp.projects.models import Individual, Label, Project


class Change(models.Model):
    """Several reviews made by one act, undone by one act."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="changes")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    what = models.CharField(max_length=200, blank=True)
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="change_newest"),
            models.Index(fields=["project", "by", "-id"], name="change_newest_of_person"),
        ]

    def __str__(self) -> str:
        return self.what or f"change {self.pk}"


class Review(models.Model):
    """One verdict on one image. Zero annotations and verdict `labelled`: looked, and it is empty."""

    class Verdict(models.TextChoices):
        LABELLED = "labelled", "labelled"
        CANNOT_TELL = "cannot-tell", "cannot tell"
        BAD_IMAGE = "bad-image", "bad image"
        WITHDRAWN = "withdrawn", "taken back"

    class How(models.TextChoices):
        """How the verdict came about; test parts of a snapshot choose by this."""

        BLIND = "blind", "blind"
        SUGGESTED = "suggested", "with a suggestion shown"
        BULK = "bulk", "in bulk"
        RULE = "rule", "by a rule"
        IMPORTED = "imported", "imported"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="reviews",
    )
    at = models.DateTimeField(default=timezone.now, editable=False)
    verdict = models.CharField(max_length=11, choices=Verdict, default=Verdict.LABELLED)
    how = models.CharField(max_length=9, choices=How)
    queue = models.CharField(max_length=40, blank=True)
    sampling_probability = models.FloatField(null=True, blank=True)
    prediction = models.ForeignKey(
        Prediction,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="seen_by",
        help_text="The answer that was on the screen",
    )
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, null=True, blank=True, related_name="reviews")
    change = models.ForeignKey(Change, on_delete=models.PROTECT, null=True, blank=True, related_name="reviews")
    undoes = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    second_reading = models.BooleanField(default=False)
    settles = models.BooleanField(default=False, help_text="A curator's verdict: the ones before it no longer stand")
    client_id = models.UUIDField(
        null=True, blank=True, unique=True, help_text="Made by the page, so that a repeated save is one review"
    )
    seconds = models.FloatField(null=True, blank=True, help_text="How long the image was on the screen")
    fields = models.JSONField(default=dict, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["image", "-id"], name="review_newest"),
            models.Index(fields=["reviewer", "-id"], name="review_newest_of_person"),
            models.Index(
                fields=["image", "-id"], condition=models.Q(second_reading=True), name="review_second_reading"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} on image {self.image_id}"


class Annotation(models.Model):
    """One animal or group of a verdict; no box means somewhere in the image."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="annotations")
    position = models.PositiveSmallIntegerField(default=0)
    x = models.FloatField(null=True, blank=True)
    y = models.FloatField(null=True, blank=True)
    width = models.FloatField(null=True, blank=True)
    height = models.FloatField(null=True, blank=True)
    label = models.ForeignKey(Label, on_delete=models.PROTECT, null=True, blank=True, related_name="annotations")
    individual = models.ForeignKey(
        Individual, on_delete=models.PROTECT, null=True, blank=True, related_name="annotations"
    )
    count = models.PositiveIntegerField(default=1)
    fields = models.JSONField(default=dict, blank=True)
    occluded = models.BooleanField(null=True, blank=True)
    truncated = models.BooleanField(null=True, blank=True)
    group_of = models.BooleanField(null=True, blank=True)
    depiction = models.BooleanField(null=True, blank=True)
    inside = models.BooleanField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["review", "position"], name="annotation_position_unique")
        ]

    def __str__(self) -> str:
        name = str(self.label or "?")
        return name if self.count == 1 else f"{name} x {self.count}"


class Analysis(LeasedRow):
    """One pass over a project's data: near-duplicates, suspects, what looks new; the work item itself.

    waiting -> leased(token, until, attempts) -> done | failed. Its findings replace those of the pass before.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "under way"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="analyses")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    step = models.CharField(max_length=80, blank=True, help_text="What it does now")
    share = models.FloatField(default=0, help_text="How much of it is done")
    report = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="analysis_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="analysis_to_do"),
        ]

    def __str__(self) -> str:
        return f"analysis {self.pk} ({self.state})"


class Finding(models.Model):
    """Why somebody should look at an image: one row an image and kind, replaced by the next analysis or draw."""

    class Kind(models.TextChoices):
        SUSPECT = "suspect", "label looks wrong"
        DUPLICATES_DISAGREE = "duplicates-disagree", "near-duplicates with different labels"
        LOOKS_NEW = "looks-new", "looks like nothing labelled so far"
        CLUSTER = "cluster", "unlabelled pictures that look alike"
        RARE = "rare", "perhaps a rare label"
        AUDIT = "audit", "drawn at random"
        SECOND = "second", "drawn for a second reading"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=20, choices=Kind)
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="findings")
    score = models.FloatField(help_text="Higher is looked at first")
    why = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    group = models.BigIntegerField(null=True, blank=True, help_text="Which cluster, where the kind has any")
    sampling_probability = models.FloatField(null=True, blank=True)
    label = models.ForeignKey(
        Label, on_delete=models.CASCADE, null=True, blank=True, related_name="+", help_text="The label it proposes"
    )
    settled_at = models.DateTimeField(null=True, blank=True, help_text="Somebody looked")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "kind", "image"], name="finding_once_per_kind")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["project", "kind", "-score", "image"],
                condition=models.Q(settled_at=None),
                name="finding_open",
            ),
            models.Index(fields=["project", "kind", "group", "image"], name="finding_by_group"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: image {self.image_id}"


class NearDuplicate(models.Model):
    """Which near-duplicate cluster an image lies in; images without a twin have no row.

    A cluster is named by the smallest image id it ever had, so that its name stays while it grows.
    """

    image = models.OneToOneField(Image, on_delete=models.CASCADE, primary_key=True, related_name="near_duplicate")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    cluster = models.BigIntegerField()
    how = models.CharField(max_length=16, blank=True, help_text="hash or embedding")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "cluster", "image"], name="near_duplicate_cluster")]

    def __str__(self) -> str:
        return f"image {self.image_id} in cluster {self.cluster}"


class Hold(models.Model):
    """A unit of review that one person has on the screen until its lease ends, or that a person skipped for now.

    `unit` is s12 for a sequence, i3 for a lone image, g5 for a cluster. One row stands for a unit that is held, and it
    is taken over only once its lease has ended, by the database's clock.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    unit = models.CharField(max_length=24)
    queue = models.CharField(max_length=40)
    until = models.DateTimeField()
    is_skipped = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["project", "unit"], condition=models.Q(is_skipped=False), name="unit_held_by_one"
            ),
            models.UniqueConstraint(
                fields=["project", "reviewer", "unit"], condition=models.Q(is_skipped=True), name="unit_skipped_once"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["project", "until"], name="hold_by_end")]

    def __str__(self) -> str:
        return f"{self.reviewer} holds {self.unit}"


NOT_A_PERSONS = (Review.How.RULE, Review.How.IMPORTED)
"""Verdicts of which nobody knows that a person looked at the picture."""
