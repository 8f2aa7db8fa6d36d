"""A picture that somebody waits for is decoded while its rows are still being written, by a worker that is at rest."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from webapp import queue
from webapp.images import store
from webapp.images.keep import ReceivedFile

if TYPE_CHECKING:  # the web process announces, and decodes nothing
    from classifier.types import Decoded
    from webapp.predictions.look import Kept


@dataclass(frozen=True)
class Coming:
    """A picture on its way: `name` among the incoming files, `key` in the store once it is moved there."""

    project_id: int
    sha256: str
    name: str
    key: str


def announce(*, project_id: int, received: ReceivedFile, key: str) -> None:
    """Say that a picture comes. One that the store has is left out: it may be one that ends workers."""
    if not store.holds(key):
        queue.say_coming("gpu", json.dumps([project_id, received.sha256, received.path.name, key]))


def read(said: str) -> Coming:
    project_id, sha256, name, key = json.loads(said)
    return Coming(project_id, sha256, name, key)


def begin(coming: Coming, *, side: int, kept: Kept, threads: Executor) -> None:
    """Start its decode; `look_at` takes the result from `kept`."""
    kept.keep(coming.sha256, side, threads.submit(_decode, coming, side))


def _decode(coming: Coming, side: int) -> Decoded:
    from classifier.images import decode

    try:
        return decode(Path(settings.INCOMING_DIR) / coming.name, at_least=side)
    except FileNotFoundError:  # moved meanwhile
        return decode(Path(settings.STORE_DIR) / coming.key, at_least=side)
