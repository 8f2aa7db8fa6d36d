"""Sites, visits, sequences and clocks as REST takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers as s

from webapp.api.shapes.answers import Number
from webapp.images.models import ClockRepair
from webapp.images.visits import Orphans, Overlap


class OrphansShape(s.Serializer[Orphans]):
    without_site = s.IntegerField()
    without_time = s.IntegerField()
    without_visit = s.IntegerField()
    outside_their_visit = s.IntegerField()


class OverlapShape(s.Serializer[Overlap]):
    site = s.CharField(source="first.site.name")
    first = s.UUIDField(source="first.uid")
    first_name = s.CharField(source="first.name")
    second = s.UUIDField(source="second.uid")
    second_name = s.CharField(source="second.name")
    images = s.IntegerField(help_text="Taken while both ran")


class PlacesOrderShape(s.Serializer[Any]):
    orphans = OrphansShape()
    overlaps = OverlapShape(many=True)


class Accepted(s.Serializer[Any]):
    state = s.CharField()


class FolderLevels(s.Serializer[Any]):
    """Folders are counted from 1, the outermost, or from -1, the one the file lies in."""

    site = s.IntegerField(min_value=-20, max_value=20)
    visit = s.IntegerField(required=False, allow_null=True, default=None, min_value=-20, max_value=20)
    also_later = s.BooleanField(required=False, default=False, help_text="New images find theirs in the same way")
    dry_run = s.BooleanField(required=False, default=False)


class FolderVisit(s.Serializer[Any]):
    site = s.CharField()
    visit = s.CharField()
    images = s.IntegerField()


class FolderSites(s.Serializer[Any]):
    sites = s.DictField(child=s.IntegerField(), help_text="Site -> images")
    visits = FolderVisit(many=True)
    without = s.IntegerField(help_text="Images that have no such folder")


class Reach(s.Serializer[Any]):
    metres = Number(required=False, default=100.0, min_value=1, max_value=100_000)


class Moved(s.Serializer[Any]):
    images = s.IntegerField()


class PastedTable(s.Serializer[Any]):
    text = s.CharField(max_length=5_000_000, trim_whitespace=False)
    dry_run = s.BooleanField(required=False, default=False)


class TableTaken(s.Serializer[Any]):
    rows = s.IntegerField()
    problems = s.ListField(child=s.CharField())
    notices = s.ListField(child=s.CharField(), help_text="What was assumed, such as which of two numbers is the day")
    columns = s.DictField(child=s.CharField(), help_text="What it means -> the column it was read from")
    unused = s.ListField(child=s.CharField())


class HintShape(s.Serializer[Any]):
    images = s.IntegerField()
    brightest_hour = s.FloatField(help_text="By the visit's clock")
    hours_off = s.FloatField()


class RepairShape(s.Serializer[ClockRepair]):
    id = s.IntegerField()
    by = s.CharField(source="by.username", default=None, allow_null=True)
    at = s.DateTimeField()
    offset_before = s.IntegerField()
    offset_after = s.IntegerField()
    zone_before = s.CharField()
    zone_after = s.CharField()
    images = s.IntegerField()
    note = s.CharField()


class ClockShape(s.Serializer[Any]):
    hint = HintShape(allow_null=True)
    repairs = RepairShape(many=True)


class NewRepair(s.Serializer[Any]):
    """Whatever is left out stays."""

    offset_seconds = s.IntegerField(required=False, min_value=-(2**31), max_value=2**31 - 1)
    time_zone = s.CharField(required=False, allow_blank=True, max_length=64)
    note = s.CharField(required=False, allow_blank=True, max_length=2000)
