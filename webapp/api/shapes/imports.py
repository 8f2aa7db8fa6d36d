"""Imports as REST takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.datasets.formats.opening import READERS
from webapp.datasets.models import Import, JobState

FORMATS = ("", *READERS)
TRUSTED = "Whether versions may be tested on its labels"


class How(s.Serializer[Any]):
    """How a source is to be read."""

    format = s.ChoiceField(choices=FORMATS, required=False, default="", help_text="Empty: found out")
    mapping = s.DictField(
        child=s.CharField(allow_blank=True), required=False, default=dict, help_text="Column of a table -> meaning"
    )
    options = s.DictField(
        child=s.CharField(allow_blank=True), required=False, default=dict, help_text="images, label, folders, ..."
    )
    in_place = s.BooleanField(required=False, default=False, help_text="Leave originals where they are")


class ForecastQuestion(How):
    path = s.CharField(help_text="A folder or file of the server, under OSPREY_IMPORT_ROOTS")


class NewImport(ForecastQuestion):
    source = s.CharField(required=False, default="", allow_blank=True, max_length=500)  # type: ignore[assignment]
    licence = s.CharField(required=False, default="", allow_blank=True, max_length=200)
    trusted = s.BooleanField(required=False, default=True, help_text=TRUSTED)
    watch = s.BooleanField(required=False, default=False, help_text="Go on taking in what is added to the folder")
    quiet_seconds = s.FloatField(required=False, default=30, min_value=0, max_value=86_400)


class SentQuery(s.Serializer[Any]):
    name = s.CharField(required=False, default="", max_length=400, help_text="The file's name")
    format = s.ChoiceField(choices=FORMATS, required=False, default="")
    source = s.CharField(required=False, default="", allow_blank=True, max_length=500)  # type: ignore[assignment]
    licence = s.CharField(required=False, default="", allow_blank=True, max_length=200)
    trusted = s.BooleanField(required=False, default=True, help_text=TRUSTED)
    ask = s.BooleanField(required=False, default=False, help_text="Look first, then wait until it is resumed")


class ImportFacts(s.Serializer[Any]):
    """What is kept with an import; what is left out stays as it is."""

    source = s.CharField(required=False, allow_blank=True, max_length=500)  # type: ignore[assignment]
    licence = s.CharField(required=False, allow_blank=True, max_length=200)
    trusted = s.BooleanField(required=False, help_text=TRUSTED)


class ImportChange(ImportFacts):
    format = s.ChoiceField(choices=FORMATS, required=False, default="")
    mapping = s.DictField(child=s.CharField(allow_blank=True), required=False)
    options = s.DictField(child=s.CharField(allow_blank=True), required=False)


class ForecastShape(s.Serializer[Any]):
    format = s.CharField()
    files = s.IntegerField()
    bytes = s.IntegerField(required=False)
    space_needed = s.IntegerField(required=False)
    space_free = s.IntegerField(required=False)
    fits = s.BooleanField(required=False)
    seconds = s.FloatField(required=False, help_text="How long it will take, by what this site has done so far")
    missing = s.IntegerField(required=False)
    missing_files = s.ListField(child=s.CharField(), required=False)
    labelled = s.IntegerField(required=False)
    labels = s.DictField(child=s.IntegerField(), required=False)
    new_labels = s.ListField(child=s.CharField(), required=False)
    synonyms = s.ListField(child=s.DictField(), required=False, help_text="Labels that may be one, spelled otherwise")
    parts = s.DictField(child=s.IntegerField(), required=False)
    individuals = s.IntegerField(required=False)
    detections = s.IntegerField(required=False)
    sites = s.IntegerField(required=False)
    visits = s.IntegerField(required=False)
    machine = s.DictField(required=False, allow_null=True, help_text="Whose results these are")
    columns = s.DictField(required=False, allow_null=True, help_text="Of a table: header, suggested meanings, a sample")
    needs_mapping = s.BooleanField()
    reason = s.CharField(required=False)
    is_whole = s.BooleanField(required=False, help_text="False: there was no time to see everything")
    source = s.CharField(required=False)  # type: ignore[assignment]
    licence = s.CharField(required=False)
    notices = s.ListField(child=s.DictField(), required=False)


class ImportShape(s.Serializer[Import]):
    id = s.UUIDField(source="uid")
    upload = s.UUIDField(source="upload.uid", help_text="Its files are the items of this upload")
    project = s.CharField(source="project.slug")
    name = s.CharField(source="upload.name")
    kind = s.CharField(source="upload.kind")
    state = s.ChoiceField(choices=JobState.choices)
    asks = s.BooleanField(help_text="It was looked at, and waits until somebody resumes it")
    is_withdrawn = s.BooleanField()
    moving = s.BooleanField(help_text="Its images are still on their way out or back")
    reason = s.CharField()
    format = s.CharField()
    root = s.CharField(help_text="Where it was read; empty for those who are no admin")  # type: ignore[assignment]
    in_place = s.BooleanField()
    mapping = s.DictField()
    source = s.CharField(source="upload.source")  # type: ignore[assignment]
    licence = s.CharField(source="upload.licence")
    trusted = s.BooleanField(help_text=TRUSTED)
    checksum = s.CharField(source="upload.checksum")
    counts = s.DictField(child=s.IntegerField())
    done = s.IntegerField(source="cursor", help_text="How many files are dealt with")
    total = s.IntegerField(help_text="By the forecast; 0 where there is none")
    forecast = s.DictField()
    notices = s.ListField(child=s.DictField())
    by = s.CharField(default=None, allow_null=True)
    created_at = s.DateTimeField()
    done_at = s.DateTimeField(allow_null=True)


class ReportQuery(s.Serializer[Any]):
    state = s.CharField(required=False, default="", help_text="Only items in this state")


class WithdrawQuestion(s.Serializer[Any]):
    reason = s.CharField(required=False, default="", allow_blank=True, max_length=500)


class UploadStateShape(s.Serializer[Any]):
    id = s.UUIDField(source="uid")
    state = s.CharField()


class OriginalsShape(s.Serializer[Any]):
    in_place = s.IntegerField(help_text="Files that are read where they lie")
    missing = s.IntegerField(help_text="Of them, those that are not there, or that were changed")


class OriginalsQuestion(s.Serializer[Any]):
    under = s.CharField(
        required=False, default="", allow_blank=True, help_text="Look for the missing ones here; empty: check all"
    )
