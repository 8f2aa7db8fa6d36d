"""Every file of an import with what became of it, as CSV: for REST, the page and the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from webapp.datasets.formats.cells import disarmed
from webapp.datasets.models import Import
from webapp.errors import Invalid
from webapp.images.models import Item

BATCH = 2000
COLUMNS = ("path", "part", "claimed_label", "state", "code", "reason", "sha256", "image_id")
NOT_TAKEN = ("rejected", "failed")


def checked_state(state: str) -> str:
    if state and state not in Item.State.values:
        raise Invalid(f"Unknown state {state!r}: choose from {', '.join(Item.State.values)}.")
    return state


def report(row: Import, state: str = "") -> Iterator[str]:
    """In batches by keyset, so that a million lines take no memory; cells that a spreadsheet would run are disarmed."""
    yield _text([COLUMNS])
    after = 0
    while rows := _batch(row.upload_id, state, after):
        yield _text([disarmed(cell if cell is not None else "") for cell in line[1:]] for line in rows)
        after = rows[-1][0]


def not_taken(row: Import, most: int) -> list[dict[str, str]]:
    """The first files that did not come in, and why."""
    items = Item.objects.filter(upload_id=row.upload_id, state__in=NOT_TAKEN).order_by("pk")
    return [{"path": path, "reason": reason} for path, reason in items.values_list("path", "reason")[:most]]


def _batch(upload_id: int, state: str, after: int) -> list[tuple[Any, ...]]:
    items = Item.objects.filter(upload_id=upload_id, pk__gt=after).order_by("pk")
    items = items.filter(state=state) if state else items
    return list(items.values_list("pk", *COLUMNS)[:BATCH])


def _text(rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
