"""What the machine says of an image, and the work that is still to be done."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from webapp.images.models import Image
from webapp.projects.models import Label
from webapp.versions.models import Pipeline, Version

WORTH_A_TRY = frozenset(
    {"original-missing", "original-changed", "unreadable", "out-of-memory", "no-answer", "internal", "ended-worker"}
)
"""Codes of failures that another try may mend; any other is the picture's own, and its item is rejected for good."""


class Priority(models.IntegerChoices):
    """Lower is claimed first: a person waiting on one answer never stands behind a folder."""

    CALL = 0, "a call waits for it"
    INTERACTIVE = 10, "a person watches"
    BULK = 50, "bulk"
    BESIDE = 70, "beside"  # from here on nobody waits: worked on only while nothing above is there
    HISTORY = 90, "history"


class Prediction(models.Model):
    """One pipeline's answer to one image; while pending, the work item itself. Its pipeline is bound at birth.

    pending -> leased(token, until, attempts) -> done | failed. Only done is final: retry moves failed to pending.
    """

    class Purpose(models.TextChoices):
        LIVE = "live", "live"
        ALSO = "also", "beside"
        HISTORY = "history", "history"
        MEASURE = "measure", "measured only"  # for a project without a pipeline: measures and an embedding, no answer

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        LEASED = "leased", "being worked on"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="predictions")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, related_name="predictions")
    purpose = models.CharField(max_length=7, choices=Purpose, default=Purpose.LIVE)
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    priority = models.SmallIntegerField(default=Priority.BULK)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    label = models.ForeignKey(Label, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    label_key = models.CharField(max_length=120, blank=True)
    score = models.FloatField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    worker = models.CharField(max_length=120, blank=True)
    milliseconds = models.FloatField(null=True, blank=True, help_text="In the networks, of its share of the batch")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image", "pipeline", "purpose"], name="one_answer_per_pipeline")
        ]
        indexes: ClassVar = [
            models.Index(fields=["priority", "id"], condition=Q(state="pending"), name="prediction_to_claim"),
            models.Index(fields=["lease_until"], condition=Q(state="leased"), name="prediction_leases"),
            models.Index(fields=["pipeline", "state", "image"], name="prediction_by_pipeline"),
        ]

    def __str__(self) -> str:
        return f"prediction {self.pk} ({self.state})"


class Region(models.Model):
    """One box of a prediction, or, with no box, the whole image. `scores` is little-endian float16 in card order."""

    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE, related_name="regions")
    position = models.PositiveSmallIntegerField(default=0)
    x = models.FloatField(null=True, blank=True)
    y = models.FloatField(null=True, blank=True)
    width = models.FloatField(null=True, blank=True)
    height = models.FloatField(null=True, blank=True)
    detection_label = models.CharField(max_length=120, blank=True)
    detection_score = models.FloatField(null=True, blank=True)
    label = models.ForeignKey(Label, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    label_key = models.CharField(max_length=120, blank=True)
    score = models.FloatField(null=True, blank=True)
    scores = models.BinaryField(default=bytes)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["prediction", "position"], name="region_position_unique")
        ]

    def __str__(self) -> str:
        return f"region {self.position} of prediction {self.prediction_id}"


class Embedding(models.Model):
    """Where an image or a region lies in a network's feature space: float16, L2-normalised, little-endian.

    `space` names the backbone: versions that share one share their embeddings. Lists never join this table.
    """

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="embeddings")
    region = models.ForeignKey(Region, on_delete=models.CASCADE, null=True, blank=True, related_name="embeddings")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="embeddings")
    space = models.CharField(max_length=64)
    vector = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["space", "image"], condition=Q(region__isnull=True), name="embedding_of_image_once"
            ),
            models.UniqueConstraint(
                fields=["space", "region"], condition=Q(region__isnull=False), name="embedding_of_region_once"
            ),
        ]

    def __str__(self) -> str:
        return f"embedding of image {self.image_id}"


class Worker(models.Model):
    """A worker's heartbeat; health and the admin pages judge workers by this alone."""

    name = models.CharField(max_length=200, primary_key=True)
    queue = models.CharField(max_length=16)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    device = models.CharField(max_length=120, blank=True)
    pipelines = models.JSONField(default=dict, blank=True)
    doing = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True, help_text="What is wrong with it, if anything")
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.name
