"""What people say of an image: verdicts that are only ever added to."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.images.models import Image, Upload
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
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="reviews"
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
        indexes: ClassVar = [models.Index(fields=["image", "-id"], name="review_newest")]

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
        return f"{self.label or '?'} x {self.count}"
