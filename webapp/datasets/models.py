"""Frozen data: the only thing a run may train on."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from webapp.images.models import Image
from webapp.projects.models import Label, Project


class Snapshot(models.Model):
    """A frozen, hashed manifest with parts. The manifest file is the truth; entries are its index."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="snapshots")
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=120)
    digest = models.CharField(max_length=64, editable=False)
    manifest_key = models.CharField(max_length=200, editable=False)
    options = models.JSONField(default=dict, blank=True)
    seed = models.BigIntegerField(default=0)
    counts = models.JSONField(default=dict, blank=True)
    leak_report = models.JSONField(default=dict, blank=True)
    leak_signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    notes = models.TextField(blank=True)
    frozen_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    frozen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="snapshot_name_unique")]

    def __str__(self) -> str:
        return self.name


class SnapshotEntry(models.Model):
    """One image of a snapshot, with its side, label and group as they were when it was frozen."""

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="entries")
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    part = models.CharField(max_length=16)
    label = models.ForeignKey(Label, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    group = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["snapshot", "image"], name="image_once_per_snapshot")]
        indexes: ClassVar = [models.Index(fields=["snapshot", "part"], name="entry_by_part")]

    def __str__(self) -> str:
        return f"{self.part}: image {self.image_id}"
