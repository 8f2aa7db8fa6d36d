"""Runs as they are: found, listed, told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from training.contract import TEST, VALIDATION
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import NotFound
from webapp.projects.models import Project
from webapp.runs.models import Evaluation, Run, RunEvent

MOST_EVENTS = 4000
JOINED = ("project", "snapshot", "start_version", "version", "started_by", "plan")


def runs_of(project: Project) -> QuerySet[Run]:
    """Newest first, without their logs."""
    rows = Run.objects.filter(project=project).defer("log")
    return rows.select_related(*JOINED).order_by("-pk")


def run_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.VIEW_RUNS) -> Run:
    """The run, if `actor` may do `action` there; NotFound where the project is hidden."""
    run = Run.objects.select_related(*JOINED).filter(uid=uid).first()
    if run is None or not allowed(actor, Action.VIEW_PROJECT, run.project):
        raise NotFound(f"There is no run {uid} that you may see.")
    require(actor, action, run.project)
    return run


def events_after(run_id: int, number: int) -> list[dict[str, Any]]:
    """What a run said after the line that ends at byte `number`, in order."""
    rows = RunEvent.objects.filter(run=run_id, number__gt=number).order_by("number")
    return [
        {"number": row.number, "at": row.at.timestamp(), "kind": row.kind, **row.detail} for row in rows[:MOST_EVENTS]
    ]


def evaluation_of(run: Run) -> Evaluation | None:
    """That of its version on the test part of its snapshot; without one, on the part it was watched on."""
    if run.version_id is None:
        return None
    rows = Evaluation.objects.filter(version=run.version_id, snapshot=run.snapshot_id)
    found = {row.part: row for row in rows.select_related("version", "snapshot__project") if row.report}
    return found.get(TEST) or found.get(VALIDATION)


def report_of(run: Run) -> dict[str, Any] | None:
    row = evaluation_of(run)
    return None if row is None else dict(row.report)


def last_of_kind(project: Project, recipe: str) -> Run | None:
    """The newest run that came to its end in the same way, which tells how long one takes on this site."""
    done = Run.objects.filter(project=project, recipe=recipe, state=Run.State.DONE).exclude(started_at=None)
    return done.select_related("snapshot").order_by("-pk").first()
