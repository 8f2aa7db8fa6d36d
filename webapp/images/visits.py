"""Images find their visit by site and time; what overlaps, and what belongs nowhere, is listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, F, Q, QuerySet

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
            images = ImageState.objects.filter(site=visit.site, captured_at_utc__range=shared).count()
            found.append(Overlap(longest[0], visit, images))
        if longest is None or visit.end > longest[1]:
            longest = (visit, visit.end)
    return found


def orphans(project: Project) -> Orphans:
    """Counts over the project's images in one pass."""
    outside = Q(visit__isnull=False, captured_at_utc__isnull=False) & (
        Q(captured_at_utc__lt=F("visit__start")) | Q(captured_at_utc__gt=F("visit__end"))
    )
    counts = ImageState.objects.filter(project=project).aggregate(
        without_site=Count("pk", filter=Q(site=None)),
        without_time=Count("pk", filter=Q(captured_at_utc=None)),
        without_visit=Count("pk", filter=Q(visit=None)),
        outside_their_visit=Count("pk", filter=outside),
    )
    return Orphans(**counts)
