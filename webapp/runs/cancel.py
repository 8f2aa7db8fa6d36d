"""Ends a run before it is done, and takes one up again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict
from webapp.runs.models import Run
from webapp.runs.queue import TASK

RESUMABLE = (Run.State.CANCELLED, Run.State.FAILED)


def cancel_run(*, actor: Actor, run: Run) -> Run:
    """It ends as cancelled at once; its process hears of that within seconds, writes its checkpoint and is gone."""
    require(actor, Action.TRAIN, run.project)
    with transaction.atomic():
        rows = Run.objects.filter(pk=run.pk)
        if not leases.stop(
            rows, Run.State.CANCELLED, reason=f"Cancelled by {actor}.", code="", cancel_asked_at=timezone.now()
        ):
            raise Conflict(f"This run is {run.get_state_display()} already.")
        audit.record(actor=actor, action="cancel training", project_id=run.project_id, subject=f"run:{run.pk}")
    run.refresh_from_db()
    return run


def resume_run(*, actor: Actor, run: Run) -> Run:
    """Have a cancelled or failed run go on from its checkpoint, or begin anew where none is left."""
    require(actor, Action.TRAIN, run.project)
    waiting = {"state": Run.State.WAITING, "code": "", "reason": "", "attempts": 0}
    with transaction.atomic():
        resumable = Run.objects.filter(pk=run.pk, state__in=RESUMABLE)
        if not resumable.update(**waiting, not_before=None, done_at=None, cancel_asked_at=None):
            raise Conflict(f"This run is {run.get_state_display()}: only a cancelled or failed one is taken up again.")
        audit.record(actor=actor, action="resume training", project_id=run.project_id, subject=f"run:{run.pk}")
        queue.send(TASK, queue="train")
    run.refresh_from_db()
    return run
