"""Ask a pipeline about all images of its project again, follow that, and stop it.

Verdicts stay as they are, and so do earlier answers. Those of the pipeline in use count as the machine's from then on;
those of any other are only shown beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import Conflict, NotFound
from webapp.images.models import Image
from webapp.predictions.beside import delete_waiting
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.runs.models import Backfill
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Pipeline, Version
from webapp.versions.pipelines import with_version

TASK = "webapp.runs.tasks_io.queue_backfill"
State, Purpose = Backfill.State, Prediction.Purpose
UNDER_WAY = (State.WAITING, State.LEASED, State.ASKED)
OPEN = (Prediction.State.PENDING, Prediction.State.LEASED)


@dataclass(frozen=True)
class Progress:
    """`asked` is final once all questions are queued."""

    images: int
    asked: int
    done: int
    failed: int
    left: int
    is_queued: bool


def predict_again(*, actor: Actor, project: Project, version: Version | None = None) -> Backfill:
    """Have the pipeline in use, or the one with `version` in its place, answer for every image it has not answered.

    Asked for twice, it is one; another one under way has to be stopped first.
    """
    require(actor, Action.ACTIVATE, project)
    live = active_pipeline(project)
    pipeline = with_version(project, live, version) if version is not None else live
    if pipeline is None:
        raise Conflict(f"No model answers in {project.name}: activate one first.", code="no-pipeline")
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        there = Backfill.objects.filter(project=project, state__in=UNDER_WAY).first()
        if there is not None and there.pipeline_id != pipeline.pk:
            raise Conflict("Another version is being asked about all images now: stop that first.", code="under-way")
        if there is not None:
            return there
        return _begin(actor, project, pipeline, Purpose.HISTORY if pipeline == live else Purpose.ALSO)


def _begin(actor: Actor, project: Project, pipeline: Pipeline, purpose: str) -> Backfill:
    begun = Backfill.objects.create(
        project=project,
        pipeline=pipeline,
        purpose=purpose,
        images=Image.objects.filter(project=project, withdrawn_at=None).count(),
        by=actor.user,
    )
    audit.record(
        actor=actor,
        action="predict again",
        project_id=project.pk,
        subject=f"backfill:{begun.pk}",
        pipeline=pipeline.digest,
        counts=purpose == Purpose.HISTORY,
    )
    queue.send(TASK, begun.pk, queue="io")
    return begun


def stop_backfill(*, actor: Actor, backfill: Backfill) -> Backfill:
    """What is not answered by now keeps the answer it has."""
    require(actor, Action.ACTIVATE, backfill.project)
    if not end_early(backfill, f"Stopped by {actor}."):
        raise Conflict(f"This is {backfill.get_state_display()} already.")
    audit.record(
        actor=actor, action="stop predicting again", project_id=backfill.project_id, subject=f"backfill:{backfill.pk}"
    )
    backfill.refresh_from_db()
    return backfill


def end_early(backfill: Backfill, reason: str) -> bool:
    """False when it had ended. Whoever queues questions at this moment takes them back when it hears of it."""
    ended = Backfill.objects.filter(pk=backfill.pk, state__in=UNDER_WAY).update(
        state=State.CANCELLED, reason=reason, lease_token="", lease_until=None, done_at=Now()
    )
    if ended:
        delete_waiting(questions(backfill))
    return bool(ended)


def questions(backfill: Backfill) -> QuerySet[Prediction]:
    """What it asked or asks; not the same pipeline's answers to live pictures while it is tried beside."""
    rows = Prediction.objects.filter(pipeline=backfill.pipeline_id, purpose=backfill.purpose)
    return rows.filter(priority=Priority.HISTORY)


def progress_of(backfill: Backfill) -> Progress:
    """Counted from the questions themselves."""
    since = Q(created_at__gte=backfill.created_at)
    rows = questions(backfill)
    left = rows.filter(state__in=OPEN).count()
    failed = rows.filter(since, state=Prediction.State.FAILED).count()
    return Progress(
        images=backfill.images,
        asked=backfill.asked,
        done=max(0, backfill.asked - left - failed),
        failed=failed,
        left=left,
        is_queued=backfill.state not in (State.WAITING, State.LEASED),
    )


def backfills_of(project: Project) -> QuerySet[Backfill]:
    rows = Backfill.objects.filter(project=project)
    return rows.select_related("pipeline__classifier", "pipeline__detector", "by").order_by("-pk")


def backfill_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.VIEW_VERSIONS) -> Backfill:
    joined = ("project", "pipeline__classifier", "pipeline__detector", "by")
    row = Backfill.objects.select_related(*joined).filter(uid=uid).first()
    if row is None or not allowed(actor, Action.VIEW_PROJECT, row.project):
        raise NotFound(f"There is no backfill {uid} that you may see.")
    require(actor, action, row.project)
    return row


def words_of(backfill: Backfill) -> dict[str, Any]:
    """What REST and pages tell of it."""
    speaker = backfill.pipeline.classifier or backfill.pipeline.detector
    return {
        "id": backfill.uid,
        "state": backfill.state,
        "reason": backfill.reason,
        "pipeline": backfill.pipeline.digest,
        "version": speaker.name if speaker else "",
        "counts": backfill.purpose == Purpose.HISTORY,
        "created_at": backfill.created_at,
        "done_at": backfill.done_at,
        "by": backfill.by.get_username() if backfill.by else None,
        **vars(progress_of(backfill)),
    }
