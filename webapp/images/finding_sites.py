"""Makes sites, and visits, of what images tell: their folders, or the coordinates that the camera wrote."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.images.models import Image
from webapp.images.placing import change_images
from webapp.projects.models import Project, Site, Visit

CHUNK = 2000
MOST_SITES = 5000
RULE = "places_from_folders"
"""Key of Project.options: the levels by which later images find their site and visit too."""
METRES_A_DEGREE = 111_320.0


@dataclass(frozen=True)
class Levels:
    """Which folder of a path names the site, and which the visit: 1 is the outermost, -1 the one the file lies in."""

    site: int
    visit: int | None = None

    def names(self, path: str) -> tuple[str, str]:
        folders = path.split("/")[:-1]
        return _at(folders, self.site), _at(folders, self.visit) if self.visit is not None else ""


@dataclass(frozen=True)
class Proposal:
    """What would be made: images by site, images by (site, visit), and how many have no such folder."""

    sites: dict[str, int]
    visits: dict[tuple[str, str], int]
    without: int


def propose_from_folders(project: Project, levels: Levels) -> Proposal:
    """Look at all images without a site, and change nothing."""
    sites: Counter[str] = Counter()
    visits: Counter[tuple[str, str]] = Counter()
    without = 0
    for path in _homeless(project).order_by().values_list("path", flat=True).iterator(chunk_size=CHUNK):
        site, visit = levels.names(path)
        if not site:
            without += 1
            continue
        sites[site] += 1
        if visit:
            visits[site, visit] += 1
    return Proposal(dict(sites.most_common()), dict(visits), without)


def sites_from_folders(*, actor: Actor, project: Project, levels: Levels, also_later: bool = False) -> Proposal:
    """Make the sites and visits that folders name, and put the images there; with `also_later`, new images too."""
    require(actor, Action.CURATE, project)
    if levels.site == 0 or levels.visit == 0:
        raise Invalid("Folders are counted from 1 (the outermost) or from -1 (the one the file lies in).")
    proposal = propose_from_folders(project, levels)
    if len(proposal.sites) > MOST_SITES:
        raise Invalid(
            f"{len(proposal.sites):,} sites would be made: this folder hardly names sites. Try another level."
        )
    place_by_folders(project, levels)
    with transaction.atomic():
        if also_later:
            held = Project.objects.select_for_update().get(pk=project.pk)
            held.options[RULE] = {"site": levels.site, "visit": levels.visit}
            held.save(update_fields=["options"])
        audit.record(
            actor=actor,
            action="sites from folders",
            project_id=project.pk,
            subject=f"project:{project.pk}",
            sites=len(proposal.sites),
            images=sum(proposal.sites.values()),
        )
    return proposal


def place_by_rule(project: Project) -> int:
    """Place new images by the project's rule, where it has one."""
    rule = project.options.get(RULE)
    return place_by_folders(project, Levels(rule["site"], rule.get("visit"))) if rule else 0


def place_by_folders(project: Project, levels: Levels) -> int:
    """Put images without a site where their folders say, making what is missing. Resumable: it takes what is left."""
    moved, after = 0, 0
    while rows := list(_homeless(project).filter(pk__gt=after).order_by("pk").values_list("pk", "path")[:CHUNK]):
        after = rows[-1][0]
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for pk, path in rows:
            site, visit = levels.names(path)
            if site:
                groups[site, visit].append(pk)
        for (site_name, visit_name), ids in groups.items():
            at, _ = Site.objects.get_or_create(project=project, name=site_name)
            values = {"site_id": at.pk}
            if visit_name:
                values["visit_id"] = Visit.objects.get_or_create(project=project, site=at, name=visit_name)[0].pk
            moved += change_images(project.pk, ids, **values)
    return moved


@transaction.atomic
def sites_from_coordinates(*, actor: Actor, project: Project, metres: float = 100.0) -> int:
    """Put images with coordinates at the nearest site within `metres`, making new sites where there is none."""
    require(actor, Action.CURATE, project)
    if not 1 <= metres <= 100_000:
        raise Invalid(f"{metres:g} m: choose between 1 m and 100 km.")
    grid = _Grid(metres)
    for site in Site.objects.filter(project=project, latitude__isnull=False, longitude__isnull=False):
        grid.add(site)
    names = set(Site.objects.filter(project=project).values_list("name", flat=True))
    groups: dict[int, list[int]] = defaultdict(list)
    rows = _homeless(project).filter(latitude__isnull=False, longitude__isnull=False).order_by("pk")
    for pk, latitude, longitude in rows.values_list("pk", "latitude", "longitude").iterator(chunk_size=CHUNK):
        near = grid.nearest(latitude or 0.0, longitude or 0.0)
        if near is None:
            near = Site.objects.create(project=project, name=_next_name(names), latitude=latitude, longitude=longitude)
            grid.add(near)
        groups[near.pk].append(pk)
    moved = sum(change_images(project.pk, ids, site_id=site_id) for site_id, ids in groups.items())
    audit.record(
        actor=actor,
        action="sites from coordinates",
        project_id=project.pk,
        subject=f"project:{project.pk}",
        images=moved,
    )
    return moved


class _Grid:
    """Sites by cells as wide as the reach, so that the nearest one lies in a cell beside."""

    def __init__(self, metres: float) -> None:
        self.metres = metres
        self.cells: dict[tuple[int, int], list[Site]] = defaultdict(list)

    def add(self, site: Site) -> None:
        self.cells[self._cell(site.latitude or 0.0, site.longitude or 0.0)].append(site)

    def nearest(self, latitude: float, longitude: float) -> Site | None:
        reach = [(_metres(site, latitude, longitude), site.pk, site) for site in self._around(latitude, longitude)]
        best = min(reach, default=None, key=lambda found: found[:2])
        return best[2] if best is not None and best[0] <= self.metres else None

    def _around(self, latitude: float, longitude: float) -> Iterator[Site]:
        row, column = self._cell(latitude, longitude)
        for near_row in (row - 1, row, row + 1):
            for near_column in (column - 1, column, column + 1):
                yield from self.cells.get((near_row, near_column), ())

    def _cell(self, latitude: float, longitude: float) -> tuple[int, int]:
        # Columns are as wide as at 80 degrees: nearer the equator a cell is wider than the reach, which does no harm.
        wide = self.metres / (METRES_A_DEGREE * math.cos(math.radians(80)))
        return math.floor(latitude * METRES_A_DEGREE / self.metres), math.floor(longitude / wide)


def _metres(site: Site, latitude: float, longitude: float) -> float:
    """Equirectangular: good to a per mille over the distances asked here."""
    north = (latitude - (site.latitude or 0.0)) * METRES_A_DEGREE
    east = (longitude - (site.longitude or 0.0)) * METRES_A_DEGREE * math.cos(math.radians(latitude))
    return math.hypot(north, east)


def _next_name(names: set[str]) -> str:
    number = 1
    while f"Site {number}" in names:
        number += 1
    names.add(f"Site {number}")
    return f"Site {number}"


def _homeless(project: Project) -> QuerySet[Image]:
    return Image.objects.filter(project=project, site=None, withdrawn_at=None)


def _at(folders: list[str], level: int) -> str:
    place = level - 1 if level > 0 else level
    try:
        return folders[place].strip()[:200]
    except IndexError:
        return ""
