"""Derives every image's state and every count anew from predictions and reviews, in batches, while work goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from webapp.images import states
from webapp.images.models import Image, ImageState
from webapp.images.recount import recount
from webapp.projects.models import Project
from webapp.reviews.standing import derive_states
from webapp.rows import update_rows

BATCH = 1000


@dataclass(frozen=True)
class Rebuilt:
    """How many images were looked at, and how many states and counts were not as they should be."""

    images: int
    states: int
    counts: int


def rebuild_states(project: Project | None = None) -> Rebuilt:
    """Rebuild one project, or all. Only what differs is written."""
    projects = [project] if project is not None else list(Project.objects.order_by("pk"))
    total = Rebuilt(0, 0, 0)
    for one in projects:
        seen, changed = 0, 0
        for ids in _batches(one):
            seen += len(ids)
            changed += _rebuild(ids)
        total = Rebuilt(total.images + seen, total.states + changed, total.counts + recount(one))
    return total


def _batches(project: Project) -> Iterator[list[int]]:
    """Image ids by keyset: each batch is its own short transaction, and memory stays flat."""
    after = 0
    while True:
        images = Image.objects.filter(project=project, withdrawn_at=None, pk__gt=after).order_by("pk")
        ids = list(images.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return
        yield ids
        after = ids[-1]


@transaction.atomic
def _rebuild(ids: Sequence[int]) -> int:
    rows = {row.pk: row for row in ImageState.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
    images = {image.pk: image for image in Image.objects.filter(pk__in=ids)}
    missing = [image for key, image in images.items() if key not in rows]
    states.add_states(missing)
    if missing:
        rows |= ImageState.objects.in_bulk([image.pk for image in missing])
    copied = [row for row in rows.values() if _copy(row, images[row.pk])]
    update_rows(copied, states.REPEATED)
    values = derive_states(list(ids))
    differing = [
        row
        for row in rows.values()
        if any(getattr(row, name) != getattr(values[row.pk], name) for name in states.DERIVED)
    ]
    states.write_values([(row, values[row.pk]) for row in differing])
    return len({row.pk for row in [*copied, *differing]} | {image.pk for image in missing})


def _copy(row: ImageState, image: Image) -> bool:
    """Take over what the state repeats of its image; whether anything differed. The recount that follows counts it."""
    wanted = states.repeated_of(image)
    differs = any(getattr(row, name) != value for name, value in wanted.items())
    for name, value in wanted.items():
        setattr(row, name, value)
    return differs
