"""Training jobs, what they reported, and how versions compare."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.datasets.models import Freezing, Snapshot
from webapp.leases import LeasedRow
from webapp.projects.models import Project
from webapp.versions.models import Pipeline, Version


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
    plan = models.ForeignKey("Plan", on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    gate = models.JSONField(default=dict, blank=True, help_text="The rule it was given; once decided: passed, and why")
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


class Evaluation(LeasedRow):
    """One version's report on one part of a snapshot; per-image outcomes lie in storage for pairing."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "being evaluated"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="evaluations")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="evaluations")
    part = models.CharField(max_length=16, default="test")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    code = models.CharField(max_length=40, blank=True)
    progress = models.JSONField(default=dict, blank=True)
    report = models.JSONField(default=dict, blank=True)
    outcomes_key = models.CharField(max_length=200, blank=True)
    seen = models.PositiveIntegerField(default=0, help_text="Images of the part that it saw while it was trained")
    device = models.CharField(max_length=120, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "snapshot", "part"], name="one_evaluation_per_part")
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="evaluation_to_do")
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.part} of {self.snapshot}"


class Comparison(LeasedRow):
    """Two versions on the same frozen images, with statistics by group; it waits until both are evaluated on them."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "being compared"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="comparisons")
    version_a = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    version_b = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="comparisons")
    part = models.CharField(max_length=16, default="test")
    a = models.ForeignKey(Evaluation, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    b = models.ForeignKey(Evaluation, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    code = models.CharField(max_length=40, blank=True, help_text="Why not: seen-images, other-images, …")
    offer = models.JSONField(default=dict, blank=True, help_text="What could be compared instead")
    result = models.JSONField(default=dict, blank=True, help_text="Everything but the galleries")
    result_key = models.CharField(max_length=200, blank=True, help_text="The whole of it in the store")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version_a", "version_b", "snapshot", "part"], name="one_comparison_a_pair")
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="comparison_to_do"),
            models.Index(fields=["project", "-id"], name="comparison_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.version_b} against {self.version_a} on {self.part} of {self.snapshot}"


class Plan(models.Model):
    """When a project makes a candidate by itself, by which recipe, and what a gate asks of it."""

    class Trigger(models.TextChoices):
        DAILY = "daily", "every day"
        WEEKLY = "weekly", "every week"
        REVIEWS = "reviews", "after so many new reviews"
        SNAPSHOT = "snapshot", "after each new snapshot"

    class Then(models.TextChoices):
        KEEP = "keep", "keep it as a candidate"
        BESIDE = "beside", "try it beside"
        ACTIVATE = "activate", "activate it"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="plans")
    name = models.CharField(max_length=80)
    is_on = models.BooleanField(default=True)
    trigger = models.CharField(max_length=8, choices=Trigger)
    at = models.TimeField(null=True, blank=True, help_text="In the zone of whoever made it")
    weekday = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 is Monday")
    time_zone = models.CharField(max_length=64, default="UTC")
    after_reviews = models.PositiveIntegerField(null=True, blank=True)
    recipe = models.CharField(max_length=16, default="head")
    config = models.JSONField(default=dict, blank=True)
    freeze = models.JSONField(default=dict, blank=True, help_text="How it freezes a snapshot of what there is by then")
    gate = models.JSONField(default=dict, blank=True, help_text="The rule; empty: every candidate is kept")
    then = models.CharField(max_length=8, choices=Then, default=Then.KEEP)
    when = models.CharField(max_length=8, default="now", help_text="Of its runs: now, tonight or idle")
    freezing = models.ForeignKey(
        Freezing,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The snapshot that is being made for its next run",
    )
    counted_from = models.BigIntegerField(default=0, help_text="The newest review or snapshot when it last began")
    next_at = models.DateTimeField(null=True, blank=True)
    began_at = models.DateTimeField(null=True, blank=True)
    said = models.TextField(blank=True, help_text="What came of it the last time")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="plan_name_once")]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_trigger_display()})"


class Trial(LeasedRow):
    """A few steps of a run, to say how long the whole of it would take on this machine."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "trying"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="trials")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="+")
    start_version = models.ForeignKey(Version, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    recipe = models.CharField(max_length=16)
    config = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    code = models.CharField(max_length=40, blank=True)
    result = models.JSONField(default=dict, blank=True, help_text="seconds, low, high, images_per_second, …")
    device = models.CharField(max_length=120, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="trial_to_do")
        ]

    def __str__(self) -> str:
        return f"trial {self.pk} ({self.recipe}, {self.state})"


class Backfill(LeasedRow):
    """A pipeline is asked about every image of its project again; leased while the questions are queued."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "being queued"
        ASKED = "asked", "under way"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "stopped"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="backfills")
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="backfills")
    purpose = models.CharField(max_length=7, help_text="history: its answers count; also: they are shown beside")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    images = models.PositiveIntegerField(default=0, help_text="How many there were when it was asked for")
    asked = models.PositiveIntegerField(default=0, help_text="How many of them it had not answered")
    after = models.BigIntegerField(default=0, help_text="The image up to which the questions are queued")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="backfill_newest"),
            models.Index(
                fields=["id"], condition=models.Q(state__in=["waiting", "leased", "asked"]), name="backfill_to_do"
            ),
        ]

    def __str__(self) -> str:
        return f"backfill {self.pk} ({self.purpose}, {self.state})"


class WorkingHead(LeasedRow):
    """A last layer that learned from verdicts while people worked; it is scored only on verdicts given since."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "learning"
        SCORED = "scored", "being scored on new verdicts"
        OFFERED = "offered", "offered for suggestions"
        ACCEPTED = "accepted", "suggests"
        DISMISSED = "dismissed", "not wanted"
        REPLACED = "replaced", "replaced by a newer one"
        FAILED = "failed", "failed"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="working_heads")
    space = models.ForeignKey(
        Version, on_delete=models.CASCADE, related_name="+", help_text="Whose embeddings it reads"
    )
    version = models.ForeignKey(Version, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    code = models.CharField(max_length=40, blank=True)
    learned_from = models.PositiveIntegerField(default=0, help_text="Verdicts it learned from")
    up_to = models.BigIntegerField(default=0, help_text="The newest review among them: it is scored on later ones")
    scored_up_to = models.BigIntegerField(default=0)
    score = models.JSONField(default=dict, blank=True, help_text="verdicts, groups, right, right_before, interval, p")
    head_key = models.CharField(max_length=200, blank=True, help_text="Its weights in the store")
    offered_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "-id"], name="working_head_newest"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="working_head_to_do"),
        ]

    def __str__(self) -> str:
        return f"working head {self.pk} of {self.project} ({self.state})"
