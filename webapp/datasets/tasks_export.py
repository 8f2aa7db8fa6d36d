"""The tasks of the io workers that make exports and clear them away."""

from __future__ import annotations

from celery import shared_task

from webapp.datasets import export_job
from webapp.datasets.exporting import TASK


@shared_task(name=TASK)  # type: ignore[untyped-decorator]
def export(export_id: int) -> None:
    export_job.run(export_id)


@shared_task(name="webapp.datasets.tasks_export.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    """Messages may be lost, and files are kept for some days only."""
    export_job.make_what_waits()
    export_job.remove_old()
