"""Tasks of the io workers that make pictures of what came in. Each carries a row id and calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp import queue
from webapp.images.unpack import TASK
from webapp.predictions import catch_up as catching_up
from webapp.predictions import unpack as unpacking
from webapp.versions.activate import CATCH_UP


@shared_task(name=TASK)  # type: ignore[untyped-decorator]
def unpack(archive_id: int) -> None:
    """A slice of unpacking; what is left goes behind the other work of the queue."""
    if unpacking.unpack(archive_id):
        queue.send(TASK, archive_id)


@shared_task(name=CATCH_UP)  # type: ignore[untyped-decorator]
def catch_up(project_id: int) -> None:
    catching_up.catch_up(project_id)


@shared_task(name="webapp.predictions.tasks_io.catch_up_all")  # type: ignore[untyped-decorator]
def catch_up_all() -> None:
    """Messages may be lost: activations of the last day are looked at again."""
    catching_up.catch_up_all()
