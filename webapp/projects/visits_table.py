"""A table of visits as people keep it in a spreadsheet, pasted or sent: checked, then made into sites and visits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.db import transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.projects.models import Project, Site, Visit
from webapp.projects.names import fold
from webapp.projects.pasted import cells_of

MOST_ROWS = 20_000
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "site": ("site", "location", "locationname", "locationid", "camera", "station", "vessel", "place"),
    "name": ("visit", "name", "deployment", "deploymentid", "trip", "haul", "encounter", "survey"),
    "start": ("start", "deploymentstart", "from", "set", "setup", "begin", "departure"),
    "end": ("end", "deploymentend", "to", "until", "retrieved", "pickup", "return"),
    "device": ("device", "camera", "cameraid", "serial", "cameraserial", "cameramodel"),
    "latitude": ("latitude", "lat", "decimallatitude", "y"),
    "longitude": ("longitude", "lon", "lng", "long", "decimallongitude", "x"),
    "time_zone": ("timezone", "zone", "tz"),
    "effort": ("effort", "hooks", "nights", "days", "hours"),
    "effort_unit": ("effortunit", "unit"),
    "notes": ("notes", "comments", "remarks", "deploymentcomments"),
}
NUMBERS = ("latitude", "longitude", "effort")
TIMES = ("start", "end")
_SLASHES = re.compile(r"^(\d{1,2})/(\d{1,2})/[12]\d{3}")
FORMATS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y")


@dataclass(frozen=True)
class VisitRow:
    """One line that can be taken: names, and values by the column they mean."""

    line: int
    site: str
    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class VisitsTable:
    """What was read: rows, which column was taken for what, what is wrong, by line, and what else was assumed."""

    rows: tuple[VisitRow, ...]
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    problems: tuple[str, ...]
    notices: tuple[str, ...] = ()


@dataclass
class _Line:
    number: int
    cells: Mapping[str, str]
    zone: str
    problems: list[str] = field(default_factory=list)


def read_visits(project: Project, text: str) -> VisitsTable:
    """Read a pasted table with a heading line; commas, semicolons or tabs. Times without a zone are the site's."""
    lines = cells_of(text)
    _, heading = next(lines, (0, []))
    columns = _columns(heading)
    if "name" not in columns and "site" not in columns:
        known = ", ".join("visit" if meaning == "name" else meaning for meaning in COLUMNS)
        raise Invalid(
            "The first line must name the columns, at least `site` or `visit`; "
            f"known are {known}. It reads: {', '.join(heading)[:200] or 'nothing'}."
        )
    zones = {fold(site.name): site.time_zone for site in project.sites.all()}
    rows: list[VisitRow] = []
    problems: list[str] = []
    assumed: dict[str, None] = {}
    for number, cells in lines:
        if len(rows) >= MOST_ROWS:
            raise Invalid(f"More than {MOST_ROWS:,} visits in one table: send it in parts.")
        named = {meaning: cells[place] for meaning, place in columns.items() if place < len(cells)}
        zone = named.get("time_zone") or zones.get(fold(named.get("site", ""))) or project.time_zone
        line = _Line(number, named, zone)
        row = _row(line)
        problems += line.problems
        assumed |= dict.fromkeys(filter(None, (_day_first(named.get(key, "")) for key in TIMES)))
        if not line.problems:
            rows.append(row)
    unused = tuple(name for place, name in enumerate(heading) if place not in columns.values())
    used = {meaning: heading[place] for meaning, place in columns.items()}
    return VisitsTable(tuple(rows), used, unused, tuple(problems), tuple(assumed)[:1])


@transaction.atomic
def take_visits(*, actor: Actor, project: Project, table: VisitsTable) -> int:
    """Make or complete the sites and visits of a table without problems; twice changes nothing. Returns the visits."""
    require(actor, Action.CURATE, project)
    if table.problems:
        raise Invalid(f"The table has {len(table.problems)} problems; the first: {table.problems[0]}")
    sites = {fold(site.name): site for site in project.sites.all()}
    for row in table.rows:
        site = _site(project, sites, row) if row.site else None
        if row.name:
            given = {key: row.values[key] for key in VISIT_KEYS if row.values.get(key) not in (None, "")}
            Visit.objects.update_or_create(project=project, site=site, name=row.name, defaults=given)
    audit.record(
        actor=actor,
        action="visits from table",
        project_id=project.pk,
        subject=f"project:{project.pk}",
        rows=len(table.rows),
    )
    return sum(bool(row.name) for row in table.rows)


VISIT_KEYS = ("start", "end", "device", "effort", "effort_unit", "notes")


def _site(project: Project, sites: dict[str, Site], row: VisitRow) -> Site:
    site = sites.get(fold(row.site))
    if site is None:
        site = sites[fold(row.site)] = Site.objects.create(project=project, name=row.site)
    given = {key: row.values.get(key) for key in ("latitude", "longitude", "time_zone")}
    changed = [key for key, value in given.items() if value not in (None, "") and getattr(site, key) != value]
    for key in changed:
        setattr(site, key, given[key])
    if changed:
        site.save(update_fields=changed)
    return site


def _row(line: _Line) -> VisitRow:
    values: dict[str, Any] = {key: line.cells.get(key, "") for key in ("device", "effort_unit", "notes", "time_zone")}
    if line.zone not in available_timezones():
        line.problems.append(f"line {line.number}: {line.zone!r} is not an IANA time zone such as Africa/Nairobi")
        line.zone = "UTC"
    for key in NUMBERS:
        values[key] = _number(line, key)
    for key in TIMES:
        values[key] = _time(line, key)
    if (values["latitude"] is None) != (values["longitude"] is None):
        line.problems.append(f"line {line.number}: latitude and longitude come together, or not at all")
    for key, most in (("latitude", 90), ("longitude", 180)):
        if values[key] is not None and abs(values[key]) > most:
            line.problems.append(f"line {line.number}: {key} {values[key]:g} is not in -{most}..{most}")
    if values["start"] and values["end"] and values["end"] < values["start"]:
        line.problems.append(f"line {line.number}: it ends before it starts")
    site, name = line.cells.get("site", "")[:200], line.cells.get("name", "")[:200]
    if not site and not name:
        line.problems.append(f"line {line.number}: neither a site nor a visit is named")
    return VisitRow(line.number, site, name, values)


def _number(line: _Line, key: str) -> float | None:
    text = line.cells.get(key, "")
    if not text:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        line.problems.append(f"line {line.number}: {key} {text[:40]!r} is not a number")
        return None


def _time(line: _Line, key: str) -> datetime | None:
    text = line.cells.get(key, "")
    if not text:
        return None
    for read in (datetime.fromisoformat, *(_by(pattern) for pattern in FORMATS)):
        try:
            found = read(text)
        except ValueError:
            continue
        if key == "end" and ":" not in text and "T" not in text:
            found = found.replace(hour=23, minute=59, second=59, microsecond=999_999)  # a day alone is meant whole
        return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(line.zone))).astimezone(UTC)
    line.problems.append(f"line {line.number}: {key} {text[:40]!r} is not a time such as 2026-05-31 14:00")
    return None


def _day_first(text: str) -> str:
    """What was assumed of a date that somebody else may read with the month first."""
    found = _SLASHES.match(text)
    if found is None or found[1] == found[2] or int(found[2]) > 12 or int(found[1]) > 12:
        return ""
    read = datetime.strptime(found[0], "%d/%m/%Y")
    return f"Dates with slashes are read with the day first: {found[0]} is {read.day} {read:%B %Y}."


def _by(pattern: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, pattern)


def _columns(heading: list[str]) -> dict[str, int]:
    """The first column for each meaning, by the names people give them. `camera` is a site where nothing else is."""
    plain = ["".join(letter for letter in fold(cell) if letter.isalnum()) for cell in heading]
    found: dict[str, int] = {}
    for meaning, names in COLUMNS.items():
        places = [place for name in names for place, cell in enumerate(plain) if cell == name]
        places = [place for place in places if place not in found.values()]
        if places:
            found[meaning] = places[0]
    return found
