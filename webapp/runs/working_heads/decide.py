"""What a person makes of an offered head: it suggests in review from then on, or it is not wanted."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import Conflict, NotFound
from webapp.predictions.beside import SUGGEST, forget_waiting
from webapp.projects.models import Project
from webapp.runs.models import WorkingHead
from webapp.runs.working_heads.look import TAKE_UP
from webapp.versions.activate import activate, active_pipeline

State = WorkingHead.State


def accept_head(*, actor: Actor, head: WorkingHead) -> WorkingHead:
    """Have an offered head suggest in review; an io worker makes a version of it within seconds.

    What answers calls and reports stays: to put a version in use there is another act.
    """
    return _decide(actor, head, State.ACCEPTED)


def dismiss_head(*, actor: Actor, head: WorkingHead) -> WorkingHead:
    """No: the next one is offered only after many more verdicts."""
    return _decide(actor, head, State.DISMISSED)


@transaction.atomic
def _decide(actor: Actor, head: WorkingHead, state: str) -> WorkingHead:
    require(actor, Action.CURATE, head.project)
    offered = WorkingHead.objects.filter(pk=head.pk, state=State.OFFERED)
    if not offered.update(state=state, decided_by=actor.user, decided_at=timezone.now()):
        raise Conflict("This head is not offered any more: reload the page.", code="not-offered")
    if state == State.ACCEPTED:
        before = WorkingHead.objects.filter(project=head.project_id, state=State.ACCEPTED).exclude(pk=head.pk)
        before.update(state=State.REPLACED)
        queue.send(TAKE_UP, head.pk, queue="io")
    audit.record(
        actor=actor,
        action="accept working head" if state == State.ACCEPTED else "dismiss working head",
        project_id=head.project_id,
        subject=f"working-head:{head.pk}",
        learned_from=head.learned_from,
        images=head.score.get("images"),
        right=head.score.get("right"),
        before=head.score.get("before"),
    )
    head.refresh_from_db()
    return head


@transaction.atomic
def end_suggestions(*, actor: Actor, project: Project) -> None:
    """Suggestions come from the version in use again."""
    require(actor, Action.CURATE, project)
    suggesting = active_pipeline(project, SUGGEST)
    accepted = WorkingHead.objects.filter(project=project, state=State.ACCEPTED)
    if suggesting is None and not accepted.exists():
        raise Conflict("Nothing but the version in use suggests here.", code="nothing-suggests")
    accepted.update(state=State.DISMISSED, decided_by=actor.user, decided_at=timezone.now())
    if suggesting is not None:
        # Who may curate may end it; only the slot of what answers asks for more.
        activate(
            actor=Actor(Via.SYSTEM, user=actor.user), project=project, pipeline=None, slot=SUGGEST, note="Stopped."
        )
        forget_waiting(project, suggesting.pk)


def heads_of(project: Project) -> QuerySet[WorkingHead]:
    return WorkingHead.objects.filter(project=project).select_related("version", "decided_by").order_by("-pk")


def head_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.REVIEW) -> WorkingHead:
    row = WorkingHead.objects.select_related("project", "version", "decided_by").filter(uid=uid).first()
    if row is None or not allowed(actor, Action.VIEW_PROJECT, row.project):
        raise NotFound(f"There is no working head {uid} that you may see.")
    require(actor, action, row.project)
    return row
