"""A project and the words its people use: labels, individuals, sites, visits, fields."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

TIMED = "By which the times of its images were counted; see webapp.images.recount_times"


class Project(models.Model):
    """One recognition job with its own labels, people, fields and pipeline."""

    class Pictures(models.TextChoices):
        """What kind of pictures the project holds; the template sets fields, labels, splits and queues."""

        CAMERA_TRAP = "camera-trap", "camera trap"
        DECK = "deck", "deck of a vessel"
        FLUKES = "flukes", "whale flukes"
        BOATS = "boats", "boats"
        OTHER = "other", "other"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    pictures = models.CharField(max_length=16, choices=Pictures, default=Pictures.OTHER)
    description = models.TextField(blank=True)
    notice = models.TextField(blank=True, help_text="Plain words shown wherever the project answers")
    time_zone = models.CharField(max_length=64, default="UTC")
    timed_zone = models.CharField(max_length=64, default="UTC", editable=False, help_text=TIMED)
    open_to_guests = models.BooleanField(
        default=False, help_text="May be used without signing in where the site is in open mode"
    )
    sequence_gap_seconds = models.PositiveIntegerField(default=60)
    sequence_longest_seconds = models.PositiveIntegerField(default=900)
    coordinates_decimals = models.SmallIntegerField(
        default=2,  # about a kilometre: exact places of rare animals draw poachers
        null=True,
        blank=True,
        help_text="Decimals of a degree shown to people below curator; empty: all, -1: none",
    )
    options = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    """A class of a project. The key never changes; name and place in the tree may."""

    class Kind(models.TextChoices):
        NORMAL = "normal", "normal"
        BACKGROUND = "background", "background"
        UNKNOWN = "unknown", "unknown"
        IGNORE = "ignore", "ignore"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="labels")
    key = models.CharField(max_length=120, editable=False)
    name = models.CharField(max_length=200)
    scientific_name = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.NORMAL)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged")
    position = models.PositiveIntegerField(default=0)
    pinned = models.BooleanField(default=False)
    outside_ids = models.JSONField(default=dict, blank=True, help_text="e.g. GBIF, WoRMS, ImageNet ids")
    search_text = models.TextField(blank=True, editable=False, help_text="All its names, folded; see projects.labels")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "key"], name="label_key_unique")]
        ordering: ClassVar = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class LabelName(models.Model):
    """Another name of a label that search finds: a synonym or a local name."""

    label = models.ForeignKey(Label, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=200, db_index=True)
    language = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["label", "name", "language"], name="label_name_unique")
        ]

    def __str__(self) -> str:
        return self.name


class Individual(models.Model):
    """One animal known by name."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="individuals")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120)
    label = models.ForeignKey(Label, on_delete=models.PROTECT, null=True, blank=True, related_name="individuals")
    merged_into = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="merged")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "name"], name="individual_name_unique")]

    def __str__(self) -> str:
        return self.name


class IndividualAlias(models.Model):
    """Another name under which somebody knows the same animal."""

    individual = models.ForeignKey(Individual, on_delete=models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=120, db_index=True)
    source = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["individual", "name"], name="alias_unique")]

    def __str__(self) -> str:
        return self.name


class Site(models.Model):
    """Where pictures are taken: a camera's place, a vessel, a survey area."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sites")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    coordinate_uncertainty_m = models.PositiveIntegerField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, help_text="IANA name; empty: the project's")
    timed_zone = models.CharField(max_length=64, blank=True, editable=False, help_text=TIMED)
    sensitive = models.BooleanField(default=False, help_text="Coordinates are withheld from people below curator")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="site_name_unique"),
            models.CheckConstraint(
                condition=Q(latitude__isnull=True) | Q(latitude__range=(-90, 90)), name="site_latitude_on_earth"
            ),
            models.CheckConstraint(
                condition=Q(longitude__isnull=True) | Q(longitude__range=(-180, 180)), name="site_longitude_on_earth"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Visit(models.Model):
    """One deployment, trip, haul or encounter at a site. Start and end are in UTC."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="visits")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, null=True, blank=True, related_name="visits")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)
    device = models.CharField(max_length=200, blank=True, help_text="Serial or model of the camera")
    clock_offset_seconds = models.IntegerField(default=0, help_text="Added to the camera's clock")
    time_zone = models.CharField(max_length=64, blank=True, help_text="Zone of the camera's clock; empty: the site's")
    timed_zone = models.CharField(max_length=64, blank=True, editable=False, help_text=TIMED)
    timed_offset_seconds = models.IntegerField(default=0, editable=False, help_text=TIMED)
    effort = models.FloatField(null=True, blank=True)
    effort_unit = models.CharField(max_length=32, blank=True)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "site", "name"], name="visit_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class Field(models.Model):
    """Something else a project records of an image or an annotation: sex, life stage, behaviour, disposition."""

    class Kind(models.TextChoices):
        CHOICE = "choice", "choice"
        NUMBER = "number", "number"
        TEXT = "text", "text"
        FLAG = "flag", "flag"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="fields")
    key = models.SlugField(max_length=64)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CHOICE)
    choices = models.JSONField(default=list, blank=True)
    shortcut = models.CharField(max_length=1, blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "key"], name="field_key_unique")]
        ordering: ClassVar = ["position", "key"]

    def __str__(self) -> str:
        return self.name
