"""Groups images into sequences: one burst of one camera, cut where the gap or the whole grows too long.

A camera is the site of the image; where that is not known, the camera's serial number and the folder. Sequences that an
import brought with it have a name and are left as they are. Images without a time stay alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Min, Q, QuerySet

from webapp.images.models import Image, ImageState, Sequence
from webapp.images.placing import Placed, place_images
from webapp.projects.models import Project

CHUNK = 500
CHUNK_GROUPS = 200

Held = tuple[int | None, int | None, int | None, datetime | None]
"""Site, visit, sequence and time of an image."""


@dataclass
class Burst:
    """Images of one camera that follow each other, while it is being read."""

    start: datetime
    last: datetime
    site_id: int | None
    visit_id: int | None
    members: list[tuple[int, int | None]] = field(default_factory=list)
    """Image ids, each with the sequence it has."""

    @property
    def is_settled(self) -> bool:
        sequences = {sequence_id for _, sequence_id in self.members}
        return len(sequences) == 1 and None not in sequences


def waiting(project: Project) -> QuerySet[Image]:
    """Images with a time and without a sequence."""
    return Image.objects.filter(project=project, sequence=None, captured_at_utc__isnull=False, withdrawn_at=None)


def make_sequences(project: Project) -> int:
    """Give every image with a time its sequence; returns how many sequences were made or changed."""
    changed = 0
    windows = (
        waiting(project)
        .order_by()
        .values("site_id")
        .annotate(first=Min("captured_at_utc"), last=Max("captured_at_utc"))
    )
    for window in list(windows):
        chunk: list[Burst] = []
        for burst in _bursts(project, window["site_id"], window["first"], window["last"]):
            if burst.is_settled:
                continue
            chunk.append(burst)
            if len(chunk) >= CHUNK_GROUPS:
                changed += _write(project, chunk)
                chunk = []
        changed += _write(project, chunk)
    remove_empty(project)
    return changed


def remove_empty(project: Project) -> None:
    """Sequences that lost their last image to another one; those of withdrawn images stay."""
    Sequence.objects.filter(project=project, name="", images__isnull=True).delete()


def _bursts(project: Project, site_id: int | None, first: datetime, last: datetime) -> Iterator[Burst]:
    """Whole bursts of one site around the images that wait, in the order of time.

    The window reaches as far as a burst can, so that one that a new image joins is read from its start.
    """
    gap = timedelta(seconds=project.sequence_gap_seconds)
    longest = timedelta(seconds=project.sequence_longest_seconds)
    reach = 2 * longest + gap
    rows = (
        Image.objects.filter(
            Q(sequence=None) | Q(sequence__name=""),
            project=project,
            site=site_id,
            withdrawn_at=None,
            captured_at_utc__range=(first - reach, last + reach),
        )
        .order_by("captured_at_utc", "pk")
        .values_list("pk", "captured_at_utc", "sequence_id", "visit_id", "camera_serial", "path")
    )
    open_bursts: dict[tuple[str, str], Burst] = {}
    for pk, at, sequence_id, visit_id, serial, path in rows.iterator(chunk_size=2000):
        if at is None:
            continue
        camera = ("", "") if site_id else (serial, path.rpartition("/")[0])
        burst = open_bursts.get(camera)
        if burst is not None and (at - burst.last > gap or at - burst.start > longest):
            yield burst
            burst = None
        if burst is None:
            burst = open_bursts[camera] = Burst(at, at, site_id, visit_id)
        burst.members.append((pk, sequence_id))
        burst.last = at
    yield from open_bursts.values()


@transaction.atomic
def _write(project: Project, bursts: list[Burst]) -> int:
    """Store bursts, but those that somebody else arranged since they were read."""
    held = _hold([pk for burst in bursts for pk, _ in burst.members])
    fresh = [burst for burst in bursts if all(pk in held and held[pk][2] == was for pk, was in burst.members)]
    sequences = _sequences_for(project, fresh)
    Sequence.objects.bulk_create([sequence for sequence in sequences if sequence.pk is None])
    known = [sequence for sequence in sequences if sequence.pk is not None]
    Sequence.objects.bulk_update(known, ["site", "visit", "start", "end"], batch_size=CHUNK_GROUPS)
    places = []
    for burst, sequence in zip(fresh, sequences, strict=True):
        for pk, _ in burst.members:
            site_id, visit_id, _, at = held[pk]
            places.append(Placed(pk, site_id, visit_id, sequence.pk, at))
    place_images(project.pk, places)
    return len(fresh)


def _hold(ids: list[int]) -> dict[int, Held]:
    """Lock the states of images in one order; where each belongs now."""
    held: dict[int, Held] = {}
    ids = sorted(ids)
    for start in range(0, len(ids), CHUNK):
        rows = ImageState.objects.select_for_update().filter(pk__in=ids[start : start + CHUNK]).order_by("pk")
        for pk, *place in rows.values_list("pk", "site_id", "visit_id", "sequence_id", "captured_at_utc"):
            held[pk] = tuple(place)  # type: ignore[assignment]
    return held


def _sequences_for(project: Project, bursts: list[Burst]) -> list[Sequence]:
    """For each burst the sequence that most of its images had and no earlier burst took, else a new one."""
    taken: set[int] = set()
    chosen = []
    for burst in bursts:
        before = Counter(was for _, was in burst.members if was is not None and was not in taken)
        sequence = Sequence(project=project, site_id=burst.site_id, visit_id=burst.visit_id)
        sequence.start, sequence.end = burst.start, burst.last
        if before:
            sequence.pk = min(before, key=lambda key: (-before[key], key))
            taken.add(sequence.pk)
        chosen.append(sequence)
    return chosen
