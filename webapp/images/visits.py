"""Images find their visit by site and time; what overlaps, and what belongs nowhere, is listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, QuerySet, Subquery

from webapp.images.facets import count_of
from webapp.images.models import Image, ImageState
from webapp.images.placing import change_images
from webapp.projects.models import Project, Visit

CHUNK = 2000


@dataclass(frozen=True)
class Overlap:
    """Two visits of one site at the same time: an image of that time goes to the one that began first."""

    first: Visit
    second: Visit
    images: int


@dataclass(frozen=True)
class Orphans:
    """How many images belong nowhere yet, by what is missing."""

    without_site: int
    without_time: int
    without_visit: int
    outside_their_visit: int


def find_visits(project: Project) -> int:
    """Give images of a site their visit by time, and images of a visit their site. Returns how many moved."""
    moved = 0
    for visit in Visit.objects.filter(project=project).order_by("start", "pk"):
        moved += _take_in(project, visit)
    return moved


def _take_in(project: Project, visit: Visit) -> int:
    moved = 0
    if visit.site_id is not None:
        homeless = Image.objects.filter(project=project, visit=visit, site=None, withdrawn_at=None)
        moved += _change(project, homeless, site_id=visit.site_id)
    if visit.start is not None and visit.end is not None:
        then = Image.objects.filter(
            project=project, visit=None, withdrawn_at=None, captured_at_utc__range=(visit.start, visit.end)
        )
        if visit.site_id is not None:
            moved += _change(project, then.filter(site_id=visit.site_id), visit_id=visit.pk)
        if visit.device:
            same_camera = then.filter(site=None, camera_serial__iexact=visit.device)
            moved += _change(project, same_camera, visit_id=visit.pk, site_id=visit.site_id)
    return moved


def _change(project: Project, images: QuerySet[Image], **values: int | None) -> int:
    moved = 0
    while ids := list(images.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        changed = change_images(project.pk, ids, **values)
        if not changed:
            break
        moved += changed
    return moved


def overlaps(project: Project) -> list[Overlap]:
    """Visits of one site that share time, in the order of site and start."""
    found: list[Overlap] = []
    longest: tuple[Visit, datetime] | None = None
    dated = Visit.objects.filter(project=project, site__isnull=False, start__isnull=False, end__isnull=False)
    for visit in dated.select_related("site").order_by("site_id", "start", "pk"):
        if visit.start is None or visit.end is None:
            continue
        if longest is not None and longest[0].site_id != visit.site_id:
            longest = None
        if longest is not None and visit.start < longest[1]:
            shared = (visit.start, min(visit.end, longest[1]))
            there = Image.objects.filter(project=project, site=visit.site, withdrawn_at=None)
            images = there.filter(captured_at_utc__range=shared).count()
            found.append(Overlap(longest[0], visit, images))
        if longest is None or visit.end > longest[1]:
            longest = (visit, visit.end)
    return found


def orphans(project: Project) -> Orphans:
    """The stored counts, and by an index the images before and after each visit."""
    return Orphans(
        without_site=count_of(project, "site", ""),
        without_time=count_of(project, "time", ""),
        without_visit=count_of(project, "visit", ""),
        outside_their_visit=_outside_their_visit(project),
    )


def _outside_their_visit(project: Project) -> int:
    """Asked of each visit by itself: a join might read all images to find that none is outside."""
    images = ImageState.objects.filter(visit=OuterRef("pk")).order_by().values("visit")
    early = images.filter(captured_at_utc__lt=OuterRef("start")).annotate(n=Count("pk")).values("n")
    late = images.filter(captured_at_utc__gt=OuterRef("end")).annotate(n=Count("pk")).values("n")
    rows = Visit.objects.filter(project=project).values_list(Subquery(early), Subquery(late))
    return sum((before or 0) + (after or 0) for before, after in rows)
