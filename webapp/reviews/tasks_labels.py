"""Tasks of the io workers after labels were merged. Each carries a row id and calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp.projects.models import Project
from webapp.reviews import merge_labels
from webapp.reviews.merge_labels import TASK


@shared_task(name=TASK)  # type: ignore[untyped-decorator]
def follow_merges(project_id: int) -> None:
    merge_labels.follow_merges(Project.objects.get(pk=project_id))


@shared_task(name="webapp.reviews.tasks_labels.follow_all")  # type: ignore[untyped-decorator]
def follow_all() -> None:
    merge_labels.follow_all()
