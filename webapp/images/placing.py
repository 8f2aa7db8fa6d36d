"""Writes where and when images belong: site, visit, sequence and time, in the image, its state and the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from webapp.images.models import Image, ImageState
from webapp.images.states import take_over
from webapp.rows import update_rows

CHUNK = 500
COLUMNS = ("site_id", "visit_id", "sequence_id", "captured_at_utc")


@dataclass(frozen=True)
class Placed:
    """Where an image belongs from now on."""

    image_id: int
    site_id: int | None
    visit_id: int | None
    sequence_id: int | None
    captured_at_utc: datetime | None


def place_images(project_id: int, places: Sequence[Placed]) -> int:
    """Write what differs, in short transactions. Returns how many images moved."""
    by_id = {place.image_id: place for place in places}
    ids = sorted(by_id)
    moved = 0
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        moved += _write(project_id, {key: by_id[key] for key in part})
    return moved


def change_images(project_id: int, image_ids: Sequence[int], **values: Any) -> int:
    """The same site, visit or sequence for many images; the other columns stay."""
    moved = 0
    for start in range(0, len(image_ids), CHUNK):
        part = image_ids[start : start + CHUNK]
        with transaction.atomic():
            rows = Image.objects.filter(project_id=project_id, pk__in=part).values("pk", *COLUMNS)
            places = {row.pop("pk"): Placed(image_id=0, **{**row, **values}) for row in rows}
            moved += _write(project_id, places)
    return moved


@transaction.atomic
def _write(project_id: int, places: Mapping[int, Placed]) -> int:
    """States are locked before images change, in one order, as everywhere."""
    held = ImageState.objects.select_for_update().filter(project_id=project_id, pk__in=list(places)).order_by("pk")
    differing = [state.pk for state in held if _differs(state, places[state.pk])]
    rows = [Image(pk=key, **{column: getattr(places[key], column) for column in COLUMNS}) for key in differing]
    update_rows(rows, COLUMNS)
    take_over(differing)
    return len(differing)


def _differs(state: ImageState, place: Placed) -> bool:
    return any(getattr(state, column) != getattr(place, column) for column in COLUMNS)
