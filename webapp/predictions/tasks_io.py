"""Tasks of the io workers that make pictures of what came in. Each carries a row id and calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp import queue
from webapp.images.unpack import TASK
from webapp.predictions import unpack as unpacking


@shared_task(name=TASK)  # type: ignore[untyped-decorator]
def unpack(archive_id: int) -> None:
    """A slice of unpacking; what is left goes behind the other work of the queue."""
    if unpacking.unpack(archive_id):
        queue.send(TASK, archive_id)
