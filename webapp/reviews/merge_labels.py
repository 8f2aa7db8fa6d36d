"""Merge labels: verdicts and answers keep the word they were given, and what is shown of images follows the merge.

Few images follow at once; many in the background, in short transactions while work goes on. What is left to do can be
read from the states themselves, so a lost message or a killed worker costs only time.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from webapp import queue
from webapp.access.actors import Actor
from webapp.images.models import ImageState
from webapp.projects import labels
from webapp.projects.models import Label, Project
from webapp.reviews import standing

TASK = "webapp.reviews.tasks_labels.follow_merges"
AT_ONCE = 2_000
BATCH = 500
INDEXED = ("label", "machine_label")
COLUMNS = (*INDEXED, "overruled")


def merge_labels(*, actor: Actor, label: Label, into: Label) -> Label:
    """Let `label` mean `into` from now on, in grid, queues and counts too; returns what it means."""
    merged = labels.merge_label(actor=actor, label=label, into=into)
    project = Project.objects.get(pk=merged.project_id)
    _settle_conflicts(project)
    if follow_merges(project, at_most=AT_ONCE) >= AT_ONCE:
        queue.send(TASK, project.pk)
    return merged


def follow_merges(project: Project, *, at_most: int | None = None, columns: Sequence[str] = COLUMNS) -> int:
    """Derive the states anew that still name a merged label; returns how many images that were."""
    merged = list(Label.objects.filter(project=project, merged_into__isnull=False).values_list("pk", flat=True))
    done = 0
    for column in columns if merged else ():
        after = 0
        while at_most is None or done < at_most:
            rows = ImageState.objects.filter(**{"project": project, f"{column}_id__in": merged, "pk__gt": after})
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
            if not ids:
                break
            _refresh(ids)
            done, after = done + len(ids), ids[-1]
    return done


def follow_all() -> int:
    """Messages may be lost, and a worker may have answered with a label that was merged meanwhile."""
    waiting = Label.objects.filter(merged_into__isnull=False).values_list("project_id", flat=True).distinct()
    return sum(follow_merges(project, columns=INDEXED) for project in Project.objects.filter(pk__in=waiting))


def _settle_conflicts(project: Project) -> None:
    """Reviewers who named the two labels agree now."""
    conflict = ImageState.ReviewState.CONFLICT
    rows = ImageState.objects.filter(project=project, review_state=conflict).order_by("pk")
    ids = list(rows.values_list("pk", flat=True))
    for start in range(0, len(ids), BATCH):
        _refresh(ids[start : start + BATCH])


@transaction.atomic
def _refresh(ids: Sequence[int]) -> None:
    standing.hold(ids)
    standing.refresh(ids)
