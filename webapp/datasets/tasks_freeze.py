"""Tasks of the io workers that make snapshots. Each carries a row id and calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp import queue
from webapp.datasets import freeze_job, since, stored_difference


@shared_task(name=freeze_job.TASK)  # type: ignore[untyped-decorator]
def freeze(freezing_id: int) -> None:
    freeze_job.run(freezing_id)


@shared_task(name=since.TASK)  # type: ignore[untyped-decorator]
def look_again(snapshot_id: int) -> None:
    since.count_again(snapshot_id)


@shared_task(name=stored_difference.TASK)  # type: ignore[untyped-decorator]
def count_difference(difference_id: int) -> None:
    stored_difference.count_asked(difference_id)


@shared_task(name="webapp.datasets.tasks_freeze.wake")  # type: ignore[untyped-decorator]
def wake() -> None:
    """Messages may be lost and workers may die: what waits is told again."""
    for freezing_id in freeze_job.to_do().values_list("pk", flat=True):
        queue.send(freeze_job.TASK, freezing_id, queue="io")
