"""Training jobs, what they reported, and how versions compare."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.datasets.models import Snapshot
from webapp.leases import LeasedRow
from webapp.projects.models import Project
from webapp.versions.models import Version


class Run(LeasedRow):
    """One training job on one snapshot; while it waits or is under way, the work item itself (see `webapp.leases`)."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "training"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        REJECTED = "rejected", "rejected by its gate"
        CANCELLED = "cancelled", "cancelled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="runs")
    recipe = models.CharField(max_length=16)
    config = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    start_version = models.ForeignKey(Version, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    version = models.ForeignKey(
        Version,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="runs",
        help_text="What it published; the same data and settings may give the same version twice",
    )
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    when = models.CharField(max_length=8, default="now", help_text="now, tonight or idle")
    not_before = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=40, blank=True, help_text="Of a failure: learned-nothing, ended-worker, …")
    progress = models.JSONField(default=dict, blank=True, help_text="How far it is: the newest of each thing it said")
    log = models.TextField(blank=True, help_text="The last lines that its process wrote")
    gate = models.JSONField(default=dict, blank=True)
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    host = models.CharField(max_length=200, blank=True)
    device = models.CharField(max_length=120, blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="run_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="run_to_do"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.recipe}, {self.state})"


class RunEvent(models.Model):
    """One line of a run's progress. `number` is the byte of progress.jsonl at which the line ends: none comes twice."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)
    kind = models.CharField(max_length=16)
    detail = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "number"], name="run_event_number_unique")]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of run {self.run_id}"


class Evaluation(models.Model):
    """One version's report on one part of a snapshot; per-image outcomes lie in storage for pairing."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="evaluations")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="evaluations")
    part = models.CharField(max_length=16, default="test")
    report = models.JSONField(default=dict)
    outcomes_key = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "snapshot", "part"], name="one_evaluation_per_part")
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.part} of {self.snapshot}"


class Comparison(models.Model):
    """Two versions on the same frozen test images, with statistics by group."""

    a = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="+")
    b = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="+")
    result = models.JSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["a", "b"], name="one_comparison_per_pair")]

    def __str__(self) -> str:
        return f"{self.a} against {self.b}"
