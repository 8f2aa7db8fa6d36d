"""Counts the times of images anew where the zone or clock that they were counted by has changed since.

A site, a visit and a project remember by which zone and clock the times of their images were counted: so an edit needs
to say nothing, and a run that was cut short is gone on with by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db.models import F, Max, Min, Q, QuerySet

from webapp.images.models import Image, Sequence
from webapp.images.placing import Placed, place_images
from webapp.images.times import clock_zone, in_utc, naive_of
from webapp.projects.models import Project, Site, Visit

CHUNK = 500


def outdated_projects() -> QuerySet[Project]:
    """Projects in which a zone or a clock is another than the one that times were counted by."""
    sites = Site.objects.exclude(timed_zone=F("time_zone")).values("project_id")
    visits = _outdated(Visit.objects.all()).values("project_id")
    return Project.objects.filter(~Q(timed_zone=F("time_zone")) | Q(pk__in=sites) | Q(pk__in=visits))


def recount_times(project: Project) -> int:
    """Put the times of a project's images right; returns how many changed."""
    moved = 0
    images = Image.objects.filter(project=project)
    project.refresh_from_db(fields=["time_zone", "timed_zone"])
    if project.timed_zone != project.time_zone:
        moved += count_anew(project, images.filter(Q(site=None) | Q(site__time_zone="")))
        Project.objects.filter(pk=project.pk).update(timed_zone=project.time_zone)
    for site in Site.objects.filter(project=project).exclude(timed_zone=F("time_zone")):
        moved += count_anew(project, images.filter(site=site))
        Site.objects.filter(pk=site.pk).update(timed_zone=site.time_zone)
    for visit in _outdated(Visit.objects.filter(project=project)):
        moved += count_anew(project, images.filter(visit=visit))
        remember(visit)
    return moved


def remember(visit: Visit) -> None:
    """The times of this visit's images are by the clock that it has now."""
    Visit.objects.filter(pk=visit.pk).update(
        timed_zone=visit.time_zone, timed_offset_seconds=visit.clock_offset_seconds
    )


def count_anew(project: Project, images: QuerySet[Image]) -> int:
    """The time of each image by what is known of its clock now; sequences start and end with their images."""
    moved = 0
    rows = images.exclude(captured_at="").select_related("visit", "site").order_by("pk").iterator(chunk_size=CHUNK)
    while some := list(islice(rows, CHUNK)):
        changed = list(_changed(project, some))
        moved += place_images(project.pk, changed)
        _move_sequences({one.sequence_id for one in changed if one.sequence_id is not None})
    return moved


def _changed(project: Project, images: Iterable[Image]) -> Iterator[Placed]:
    """A zone of the visit's own clock outranks what the file says."""
    for image in images:
        naive, visit = naive_of(image.captured_at), image.visit
        if naive is None:
            continue
        moment = in_utc(
            naive,
            utc_offset_minutes=None if visit and visit.time_zone else image.utc_offset_minutes,
            zone=clock_zone(visit, image.site, project),
            clock_offset_seconds=visit.clock_offset_seconds if visit else 0,
        )
        if moment != image.captured_at_utc:
            yield Placed(image.pk, image.site_id, image.visit_id, image.sequence_id, moment)


def _move_sequences(sequence_ids: Iterable[int]) -> None:
    spans = (
        Image.objects.filter(sequence__in=list(sequence_ids), captured_at_utc__isnull=False)
        .order_by()
        .values("sequence_id")
        .annotate(first=Min("captured_at_utc"), last=Max("captured_at_utc"))
    )
    rows = [Sequence(pk=span["sequence_id"], start=span["first"], end=span["last"]) for span in spans.iterator()]
    Sequence.objects.bulk_update(rows, ["start", "end"], batch_size=CHUNK)


def _outdated(visits: QuerySet[Visit]) -> QuerySet[Visit]:
    return visits.exclude(timed_zone=F("time_zone"), timed_offset_seconds=F("clock_offset_seconds"))
