"""Tasks of the io workers that look at the data of whole projects. Each carries a project's id."""

from __future__ import annotations

from celery import shared_task

from webapp.projects.models import Project
from webapp.reviews import analysis, analysis_process


@shared_task(name=analysis.TASK)  # type: ignore[untyped-decorator]
def analyse(project_id: int) -> None:
    """What asked for it may have made no row: then there is one now."""
    project = Project.objects.filter(pk=project_id).first()
    if project is not None:
        analysis.add(project)
        analysis_process.run_beside(project_id)


@shared_task(name="webapp.reviews.tasks_analysis.look")  # type: ignore[untyped-decorator]
def look() -> None:
    analysis.look()
