"""Finds the small pictures made from originals, and has missing ones made: the web process decodes nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import redis

from webapp import queue
from webapp.errors import NotFound
from webapp.images.models import Image
from webapp.images.store import derived_path

log = logging.getLogger(__name__)

TASK = "webapp.images.tasks.make_preview"
SMALL, LARGE = 256, 1024
SIDES = (SMALL, LARGE)
ASK_AGAIN_SECONDS = 30


@dataclass(frozen=True)
class Derived:
    """The picture to show now. `is_final` is False while a better one is being made: ask again soon, cache nothing.

    `path` is None when nothing can be shown yet.
    """

    path: Path | None
    side: int
    is_final: bool


def name_of(side: int) -> str:
    return f"{side}.jpg"


def thumbnail(*, image: Image, side: int) -> Derived:
    """The picture of that side, or a smaller one meanwhile. The caller has checked that the actor may see the image."""
    if side not in SIDES:
        raise NotFound(f"There is no thumbnail of {side} pixels: ask for {SMALL} or {LARGE}.")
    sha256 = image.file.sha256
    path = derived_path(sha256, name_of(side))
    if path.exists():
        return Derived(path, side, is_final=True)
    # The first decode makes the small one; until then asking would decode the same picture twice.
    if image.measured_at is not None:
        _ask(image, side)
    for smaller in (other for other in reversed(SIDES) if other < side):
        meanwhile = derived_path(sha256, name_of(smaller))
        if meanwhile.exists():
            return Derived(meanwhile, smaller, is_final=False)
    return Derived(None, side, is_final=False)


def _ask(image: Image, side: int) -> None:
    """Have an io worker make it; many viewers within half a minute are one message. Lost messages are asked again."""
    connection = queue.client()
    try:
        key = f"osprey:preview:{image.file_id}:{side}"
        if connection is not None and not connection.set(key, 1, nx=True, ex=ASK_AGAIN_SECONDS):
            return
    except (redis.RedisError, OSError) as error:
        log.warning("a larger picture cannot be asked for at present: %s", error)
        return
    queue.send(TASK, image.file_id, side, queue="io")
