"""The beat's look at runs, done by io workers: a train worker may be at work for hours."""

from __future__ import annotations

from celery import shared_task

from webapp.runs import sweep as sweeping


@shared_task(name="webapp.runs.tasks_io.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    sweeping.sweep()
