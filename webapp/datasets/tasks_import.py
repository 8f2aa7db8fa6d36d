"""Tasks of the io workers for imports. Each carries a row id and calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp import queue
from webapp.datasets import import_job, import_lease, import_originals, import_sweep, watch, withdraw
from webapp.images.models import Upload
from webapp.predictions.accept import REFRESH


@shared_task(name=import_job.TASK)  # type: ignore[untyped-decorator]
def run_import(import_id: int) -> None:
    """A slice of an import; what is left goes behind the other work of the queue."""
    if import_sweep.look_or_run(import_id):
        queue.send(import_job.TASK, import_id, queue="io")


@shared_task(name=watch.TASK)  # type: ignore[untyped-decorator]
def look_at_watched(import_id: int) -> None:
    row = import_lease.lease(import_id, among=watch.to_look_at())
    if row is not None:
        import_job.run(row)


@shared_task(name=withdraw.TASK)  # type: ignore[untyped-decorator]
def move(upload_id: int) -> None:
    if Upload.objects.filter(pk=upload_id).exists():
        withdraw.move(upload_id)


@shared_task(name=import_originals.CHECK)  # type: ignore[untyped-decorator]
def check_originals(project_id: int) -> None:
    import_originals.check(project_id)


@shared_task(name=import_originals.FIND)  # type: ignore[untyped-decorator]
def find_originals(project_id: int, root: str) -> None:
    import_originals.find(project_id, root)


@shared_task(name=REFRESH)  # type: ignore[untyped-decorator]
def refresh(image_id: int) -> None:
    withdraw.refresh_image(image_id)


@shared_task(name="webapp.datasets.tasks_import.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    import_sweep.sweep()
