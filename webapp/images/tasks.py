"""Tasks of the io workers: house-keeping and pictures that are made on first view."""

from __future__ import annotations

from celery import shared_task

from webapp import planner_statistics
from webapp.images import arrange as arranging
from webapp.images import previews
from webapp.images import sweep as sweeping
from webapp.images.derived import TASK as MAKE_PREVIEW
from webapp.projects.models import Project


@shared_task(name="webapp.images.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    sweeping.sweep()


@shared_task(name="webapp.images.tasks.refresh_planner_statistics")  # type: ignore[untyped-decorator]
def refresh_planner_statistics() -> None:
    planner_statistics.refresh()


@shared_task(name=MAKE_PREVIEW)  # type: ignore[untyped-decorator]
def make_preview(file_id: int, side: int) -> None:
    previews.make_preview(file_id, side)


@shared_task(name=arranging.TASK)  # type: ignore[untyped-decorator]
def arrange(project_id: int) -> None:
    arranging.arrange(Project.objects.get(pk=project_id))
