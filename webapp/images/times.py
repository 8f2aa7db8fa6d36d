"""When a picture was taken: the camera's own naive time, put in UTC by what is known of its clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.projects.models import Project, Site, Visit


def in_utc(
    naive: datetime, *, utc_offset_minutes: int | None, zone: str, clock_offset_seconds: int = 0
) -> datetime | None:
    """By the offset in the file, else the zone of the clock; None where that leaves the calendar.

    The clock's offset is added last: it says how far the clock was behind.
    """
    try:
        if utc_offset_minutes is not None:
            moment = (naive - timedelta(minutes=utc_offset_minutes)).replace(tzinfo=UTC)
        else:
            moment = naive.replace(tzinfo=zone_of(zone)).astimezone(UTC)
        return moment + timedelta(seconds=clock_offset_seconds)
    except OverflowError:
        return None


def naive_of(text: str) -> datetime | None:
    """The time as `Image.captured_at` holds it; None where it holds none that can be read."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None) if text else None
    except ValueError:
        return None


def clock_zone(visit: Visit | None, site: Site | None, project: Project) -> str:
    """The zone a camera's clock counts as set to: the visit's own, else the site's, else the project's."""
    return (visit.time_zone if visit else "") or (site.time_zone if site else "") or project.time_zone


def zone_of(*names: str) -> ZoneInfo:
    """The first zone that is named; UTC where none is, or where the name is not one."""
    name = next(filter(None, names), "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
