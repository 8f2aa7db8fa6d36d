"""When each site has pictures, and where there are gaps: counts by site and day, week, month or year."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Count, Max, Min
from django.db.models.functions import TruncDate

from webapp.images.models import ImageState
from webapp.projects.models import Project, Site

SITES = 30
LONGEST = 120
UNITS = (("day", 1), ("week", 7), ("month", 31), ("quarter", 92), ("year", 366))
EARLIEST = 1970
"""A camera whose clock was never set says 1970 or earlier; such a time would make the strip useless."""


def by_site(project: Project) -> dict[str, Any]:
    """One strip a site: `first` is its first step; each count is of one step of `unit`."""
    states = ImageState.objects.filter(project=project, captured_at_utc__year__gt=EARLIEST).order_by()
    ends = states.aggregate(first=Min("captured_at_utc"), last=Max("captured_at_utc"))
    untimed = ImageState.objects.filter(project=project, captured_at_utc=None).count()
    if ends["first"] is None:
        return {"unit": "", "steps": [], "strips": [], "untimed": untimed}
    zone = _zone(project)
    unit = _unit(ends["first"], ends["last"])
    days = states.annotate(day=TruncDate("captured_at_utc", tzinfo=zone)).values_list("site_id", "day")
    strips: dict[int, Counter[date]] = {}
    for site_id, day, count in days.annotate(n=Count("pk")).iterator(chunk_size=10_000):
        strips.setdefault(site_id or 0, Counter())[_step(day, unit)] += count
    steps = _steps(_step(ends["first"].astimezone(zone).date(), unit), ends["last"].astimezone(zone).date(), unit)
    busiest = sorted(strips, key=lambda site: -strips[site].total())[:SITES]
    named = {site.pk: site for site in Site.objects.filter(pk__in=busiest)}
    return {
        "unit": unit,
        "zone": str(zone),
        "steps": [step.isoformat() for step in steps],
        "strips": [
            {
                "uid": str(named[site].uid) if site else "",
                "name": named[site].name if site else "no site",
                "counts": [strips[site][step] for step in steps],
                "gaps": gaps([strips[site][step] for step in steps]),
            }
            for site in busiest
        ],
        "more_sites": max(0, len(strips) - SITES),
        "untimed": untimed,
    }


def gaps(counts: list[int]) -> int:
    """How many steps without a picture lie between the first and the last one with any."""
    there = [place for place, count in enumerate(counts) if count]
    return (there[-1] - there[0] + 1) - len(there) if there else 0


def _zone(project: Project) -> ZoneInfo:
    try:
        return ZoneInfo(project.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _unit(first: datetime, last: datetime) -> str:
    days = (last - first).days + 1
    return next((unit for unit, length in UNITS if days / length <= LONGEST), "year")


def _step(day: date, unit: str) -> date:
    """The first day of the step that a day lies in."""
    if unit == "day":
        return day
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "year":
        return date(day.year, 1, 1)
    month = day.month if unit == "month" else 3 * ((day.month - 1) // 3) + 1
    return date(day.year, month, 1)


def after(step: date, unit: str) -> date:
    """The first day of the next step."""
    if unit in ("day", "week"):
        return step + timedelta(days=1 if unit == "day" else 7)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    place = step.year * 12 + step.month - 1 + months
    return date(place // 12, place % 12 + 1, 1)


def _steps(first: date, last: date, unit: str) -> list[date]:
    found = [first]
    while (following := after(found[-1], unit)) <= last:
        found.append(following)
    return found
