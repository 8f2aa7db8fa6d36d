"""Bytes, the images a project makes of them, and the batches they came in."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from webapp.leases import LeasedRow
from webapp.projects.models import Individual, Label, Project, Site, Visit


class File(models.Model):
    """The bytes, known by their SHA-256: global and immutable. Either stored under a key or read in place."""

    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    media_type = models.CharField(max_length=32, editable=False)
    storage_key = models.CharField(max_length=200, blank=True, editable=False)
    in_place_path = models.TextField(blank=True, editable=False)
    missing_since = models.DateTimeField(
        null=True, blank=True, help_text="When the original was not where it should be"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(storage_key="", in_place_path=""), name="file_is_stored_or_in_place")
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class Upload(models.Model):
    """A batch that a person can reopen by its uid: dropped files, a REST batch, an import."""

    class Kind(models.TextChoices):
        BROWSER = "browser", "browser"
        REST = "rest", "REST"
        CALL = "call", "single call"
        COMMAND = "command", "command line"
        IMPORT = "import", "import"
        WATCH = "watch", "watched folder"

    class State(models.TextChoices):
        OPEN = "open", "open"
        WORKING = "working", "unpacking"
        CLOSED = "closed", "closed"
        FAILED = "failed", "failed"
        WITHDRAWN = "withdrawn", "withdrawn"

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.BROWSER)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    reason = models.TextField(blank=True)
    name = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=500, blank=True)
    licence = models.CharField(max_length=200, blank=True)
    format = models.CharField(max_length=32, blank=True)
    checksum = models.CharField(max_length=64, blank=True)
    options = models.JSONField(default=dict, blank=True)
    side_files = models.JSONField(default=dict, blank=True, help_text="Cameras' side files left out: ending -> count")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "-id"], name="upload_newest_first")]

    def __str__(self) -> str:
        return self.name or str(self.uid)


class Sequence(models.Model):
    """One burst at a site, by time gap: the unit of review and of counts."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sequences")
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, null=True, blank=True, related_name="sequences")
    visit = models.ForeignKey(Visit, on_delete=models.SET_NULL, null=True, blank=True, related_name="sequences")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200, blank=True)
    start = models.DateTimeField(null=True, blank=True)
    end = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "start"], name="sequence_by_start")]

    def __str__(self) -> str:
        return self.name or str(self.uid)


class ClockRepair(models.Model):
    """A camera's clock was put right for one visit, or that was taken back. Originals are never touched."""

    visit = models.ForeignKey(Visit, on_delete=models.CASCADE, related_name="clock_repairs")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    offset_before = models.IntegerField()
    offset_after = models.IntegerField()
    zone_before = models.CharField(max_length=64, blank=True)
    zone_after = models.CharField(max_length=64, blank=True)
    images = models.PositiveIntegerField(default=0, help_text="How many images changed their time")
    note = models.TextField(blank=True)
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")

    def __str__(self) -> str:
        return f"{self.visit}: {self.offset_before} s to {self.offset_after} s"


class Image(models.Model):
    """One file in one project. Measures are filled by the worker that first decodes it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="images")
    file = models.ForeignKey(File, on_delete=models.PROTECT, related_name="images")
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="images")
    path = models.TextField(blank=True, help_text="As the sender named it")
    part = models.CharField(max_length=64, blank=True, help_text="The part of an imported split it came in")
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, null=True, blank=True, related_name="images")
    visit = models.ForeignKey(Visit, on_delete=models.SET_NULL, null=True, blank=True, related_name="images")
    sequence = models.ForeignKey(Sequence, on_delete=models.SET_NULL, null=True, blank=True, related_name="images")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    captured_at = models.CharField(max_length=32, blank=True, help_text="Naive ISO time as the camera wrote it")
    utc_offset_minutes = models.SmallIntegerField(null=True, blank=True, help_text="As in the file, where it says")
    captured_at_utc = models.DateTimeField(null=True, blank=True)
    camera_make = models.CharField(max_length=80, blank=True)
    camera_model = models.CharField(max_length=80, blank=True)
    camera_serial = models.CharField(max_length=80, blank=True)
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    altitude = models.FloatField(null=True, blank=True)
    video = models.ForeignKey(File, on_delete=models.PROTECT, null=True, blank=True, related_name="frames")
    frame_number = models.PositiveIntegerField(null=True, blank=True)
    frame_rate = models.FloatField(null=True, blank=True)
    measured_at = models.DateTimeField(null=True, blank=True)
    damaged_share = models.FloatField(null=True, blank=True, help_text="Share of rows that cannot be decoded")
    perceptual_hash = models.BigIntegerField(null=True, blank=True)
    brightness = models.FloatField(null=True, blank=True)
    contrast = models.FloatField(null=True, blank=True)
    sharpness = models.FloatField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "file"], name="file_once_per_project")]
        indexes: ClassVar = [
            models.Index(fields=["project", "perceptual_hash"], name="image_near_duplicates"),
            models.Index(fields=["project", "site", "captured_at_utc"], name="image_by_site_and_time"),
            models.Index(fields=["project", "part", "-id"], condition=~Q(part=""), name="image_by_part"),
            models.Index(fields=["project", "brightness"], name="image_by_brightness"),
            models.Index(fields=["project", "sharpness"], name="image_by_sharpness"),
            models.Index(
                fields=["project"],
                condition=Q(sequence=None, captured_at_utc__isnull=False, withdrawn_at=None),
                name="image_to_arrange",
            ),
            models.Index(
                fields=["project"],
                condition=Q(site=None, latitude__isnull=False, withdrawn_at=None),
                name="image_to_place",
            ),
        ]

    def __str__(self) -> str:
        return self.path or f"image {self.pk}"


class Item(models.Model):
    """One file of an upload, from the sender's list to its final state. Counts of an import are counts of items."""

    class State(models.TextChoices):
        EXPECTED = "expected", "waiting for its bytes"
        RECEIVED = "received", "waiting for recognition"
        DONE = "done", "done"
        DUPLICATE = "duplicate", "already here"
        REJECTED = "rejected", "rejected"
        FAILED = "failed", "failed"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="items")
    path = models.CharField(max_length=1000)
    part = models.CharField(max_length=64, blank=True)
    claimed_label = models.CharField(max_length=200, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)
    modified_at_ms = models.BigIntegerField(null=True, blank=True, help_text="The file's time in the sender's folder")
    sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=9, choices=State, default=State.EXPECTED)
    code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    image = models.ForeignKey(Image, on_delete=models.SET_NULL, null=True, blank=True, related_name="items")
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["upload", "path"], name="path_once_per_upload")]
        indexes: ClassVar = [
            models.Index(fields=["upload", "state", "id"], name="item_by_state"),
            models.Index(fields=["image"], condition=Q(state="received"), name="item_waiting"),
        ]

    def __str__(self) -> str:
        return self.path


class Archive(LeasedRow):
    """A zip of an upload while it is unpacked; the work item itself.

    waiting -> leased(token, until, attempts) -> done | failed. `cursor` counts the entries that are dealt with, in the
    order of the archive's table, so that another worker goes on where one ended.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        LEASED = "leased", "being unpacked"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="archives")
    item = models.OneToOneField(Item, on_delete=models.CASCADE, related_name="archive")
    sha256 = models.CharField(max_length=64, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    storage_key = models.CharField(max_length=200, editable=False)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    entries = models.PositiveIntegerField(null=True, blank=True, help_text="Known once its table was read")
    cursor = models.PositiveIntegerField(default=0)
    unpacked_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["upload", "sha256"], name="archive_once_per_upload")]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(state__in=["waiting", "leased"]), name="archive_to_unpack")
        ]

    def __str__(self) -> str:
        return f"archive {self.sha256[:12]} ({self.state})"


class ImageState(models.Model):
    """What grid, queues and counts read of an image: derived, one row, written with the fact it derives from.

    Each order and each common filter of the grid walks one of the indexes below, which also serve the foreign keys.
    """

    class Source(models.TextChoices):
        NONE = "none", "nobody yet"
        MACHINE = "machine", "machine"
        HUMAN = "human", "person"
        IMPORTED = "imported", "import"
        RULE = "rule", "rule"

    class ReviewState(models.TextChoices):
        UNREVIEWED = "unreviewed", "not reviewed"
        REVIEWED = "reviewed", "reviewed"
        CANNOT_TELL = "cannot-tell", "cannot tell"
        CONFLICT = "conflict", "reviewers disagree"
        BAD = "bad", "bad image"

    image = models.OneToOneField(Image, on_delete=models.CASCADE, primary_key=True, related_name="state")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False, related_name="+")
    label = models.ForeignKey(Label, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+")
    individual = models.ForeignKey(Individual, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    source = models.CharField(max_length=8, choices=Source, default=Source.NONE)
    score = models.FloatField(null=True, blank=True)
    machine_label = models.ForeignKey(
        Label, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+"
    )
    overruled = models.ForeignKey(
        Label,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        help_text="The machine's label that a person had before their eyes and decided against",
    )
    review_state = models.CharField(max_length=11, choices=ReviewState, default=ReviewState.UNREVIEWED)
    queue_priority = models.FloatField(default=0)
    queue_reason = models.CharField(max_length=40, blank=True)
    failure = models.CharField(max_length=40, blank=True)
    damaged = models.BooleanField(default=False)
    site = models.ForeignKey(Site, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+")
    visit = models.ForeignKey(Visit, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+")
    sequence = models.ForeignKey(
        Sequence, on_delete=models.SET_NULL, null=True, blank=True, db_index=False, related_name="+"
    )
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, db_index=False, related_name="+")
    captured_at_utc = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["project", "label", "-image"], name="state_by_label"),
            models.Index(fields=["project", "machine_label", "-image"], name="state_by_machine_label"),
            models.Index(fields=["project", "review_state", "-queue_priority", "-image"], name="state_queue"),
            models.Index(fields=["project", "review_state", "-image"], name="state_by_review"),
            models.Index(fields=["project", "source", "-image"], name="state_by_source"),
            models.Index(
                fields=["project", "label", "site", "visit", "sequence", "source", "score"], name="state_results"
            ),
            models.Index(fields=["project", "-image"], name="state_newest"),
            models.Index(fields=["project", "site", "-image"], name="state_by_site"),
            models.Index(fields=["visit", "-image"], name="state_by_visit"),
            models.Index(fields=["visit", "captured_at_utc"], name="state_by_visit_and_time"),
            models.Index(fields=["sequence", "image"], name="state_of_sequence"),
            models.Index(fields=["project", "captured_at_utc", "image"], name="state_by_time"),
            models.Index(fields=["project", "score", "image"], name="state_by_score"),
            models.Index(fields=["upload", "label"], name="state_of_upload"),
            models.Index(fields=["upload", "-image"], name="state_of_upload_newest"),
            models.Index(fields=["project", "-image"], condition=~Q(failure=""), name="state_failed"),
            models.Index(fields=["project", "-image"], condition=Q(damaged=True), name="state_damaged"),
            models.Index(
                fields=["project", "machine_label", "queue_priority", "image"],
                condition=Q(review_state="unreviewed"),
                name="state_surest_unreviewed",
            ),
        ]

    def __str__(self) -> str:
        return f"state of image {self.pk}"


class FacetCount(models.Model):
    """How many images of a project have a value of a facet; changed by differences in the same transaction."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    facet = models.CharField(max_length=16)
    value = models.CharField(max_length=64)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "facet", "value"], name="facet_value_unique")
        ]

    def __str__(self) -> str:
        return f"{self.facet}={self.value}: {self.count}"
