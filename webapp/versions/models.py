"""Model folders as rows, the pipelines made of them, and the events that put one in use."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from webapp.projects.models import Project


class Version(models.Model):
    """An immutable model folder of one role. `digest` is that of the folder; `card` a copy of its card."""

    class Role(models.TextChoices):
        CLASSIFIER = "classifier", "classifier"
        DETECTOR = "detector", "detector"
        IDENTIFIER = "identifier", "identifier"
        EXTERNAL = "external", "somebody else's results"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(
        Project,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="versions",
        help_text="Empty: any project may use it",
    )
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=10, choices=Role)
    digest = models.CharField(max_length=64, editable=False, db_index=True)
    storage_key = models.CharField(max_length=200, blank=True, editable=False)
    architecture = models.CharField(max_length=120, blank=True)
    card = models.JSONField(default=dict, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)
    is_starter = models.BooleanField(default=False)
    origin = models.TextField(blank=True)
    licence = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    broken_at = models.DateTimeField(null=True, blank=True, help_text="When its folder was found damaged")
    broken_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "digest"], name="folder_once_per_project"),
        ]

    def __str__(self) -> str:
        return self.name


class Pipeline(models.Model):
    """Which versions answer together and how: immutable, known by the digest of its content."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pipelines")
    digest = models.CharField(max_length=64, editable=False)
    detector = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    classifier = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    identifier = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    external = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    thresholds = models.JSONField(default=dict, blank=True)
    crop_margin = models.FloatField(default=0)
    whole_image_when_nothing_found = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "digest"], name="pipeline_once_per_project"),
            models.CheckConstraint(
                condition=Q(detector__isnull=False)
                | Q(classifier__isnull=False)
                | Q(identifier__isnull=False)
                | Q(external__isnull=False),
                name="pipeline_has_a_version",
            ),
        ]

    def __str__(self) -> str:
        return self.digest[:12]


class Activation(models.Model):
    """A pipeline was put in use: the newest row of a project and slot is what holds. Only ever added to."""

    class Slot(models.TextChoices):
        LIVE = "live", "answers"
        ALSO = "also", "tries beside"
        SUGGEST = "suggest", "suggests in review"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="activations")
    slot = models.CharField(max_length=8, choices=Slot, default=Slot.LIVE)
    previous = models.ForeignKey(Pipeline, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.PROTECT, null=True, blank=True, related_name="activations")
    at = models.DateTimeField(default=timezone.now, editable=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    note = models.TextField(blank=True)
    gate = models.JSONField(default=dict, blank=True)
    rolls_back = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "slot", "-id"], name="activation_newest")]

    def __str__(self) -> str:
        return f"{self.project}: {self.pipeline} {self.slot} since {self.at:%Y-%m-%d %H:%M}"
