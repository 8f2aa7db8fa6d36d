"""News of files that are settled at once. Recognised ones are told by the worker that recorded them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from django.db import transaction

from webapp import events
from webapp.images.models import Item, Upload

WAITING = (Item.State.EXPECTED, Item.State.RECEIVED)
A_MESSAGE = 500
MOST_TOLD = 20_000
"""Of more files at once listeners hear by the counts, and read the rows."""


def tell(upload: Upload, items: Iterable[Item]) -> None:
    """Say on the upload's channel, once this is committed, what became of these files."""
    words = [
        {"item": item.pk, "image": item.image_id, "state": item.state, "code": item.code}
        for item in items
        if item.state not in WAITING
    ]
    if words:
        transaction.on_commit(partial(_publish, f"{events.UPLOADS}{upload.uid}", words[:MOST_TOLD]))


def _publish(channel: str, words: Sequence[Mapping[str, object]]) -> None:
    for start in range(0, len(words), A_MESSAGE):
        events.publish(channel, words[start : start + A_MESSAGE])
