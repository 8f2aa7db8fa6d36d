"""Freezing as work for an io worker: asked for by a page or a program, followed by its row.

waiting -> leased(token, until, attempts) -> done | failed. A refusal (a leak, nothing to freeze) is a failure with its
code and report, which the page shows with what to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets.freeze import checked_name, freeze, newest_snapshot, preview
from webapp.datasets.freeze_options import read_options
from webapp.datasets.gather import is_viewing
from webapp.datasets.models import Freezing, JobState, Snapshot
from webapp.datasets.snapshots import snapshot_by_uid
from webapp.errors import Conflict, OspreyError
from webapp.projects.models import Project

log = logging.getLogger(__name__)

TASK = "webapp.datasets.tasks_freeze.freeze"
MOST_AT_ONCE = 5
NEWEST, NONE = "newest", "none"


def request_freeze(
    *,
    actor: Actor,
    project: Project,
    options: Mapping[str, Any],
    name: str = "",
    parent: str = NEWEST,
    notes: str = "",
    sign_leak: str = "",
    dry_run: bool = False,
) -> Freezing:
    """Have a snapshot made by a worker. What cannot be right is refused at once."""
    require(actor, Action.FREEZE, project)
    if sign_leak:
        require(actor, Action.MANAGE_PROJECT, project)
    read_options(options)
    checked_name(project, name)
    parent_of(actor, project, parent)
    if Freezing.objects.filter(project=project, state__in=leases.UNDER_WAY).count() >= MOST_AT_ONCE:
        raise Conflict("Several snapshots of this project are being made already: wait for one of them.")
    asked = {"name": name, "parent": parent, "notes": notes, "sign_leak": sign_leak}
    with transaction.atomic():
        row = Freezing.objects.create(
            project=project, asked_by=actor.user, options={**asked, "options": dict(options)}, is_dry_run=dry_run
        )
        if not dry_run:
            audit.record(
                actor=actor, action="ask for snapshot", project_id=project.pk, subject=f"freezing:{row.pk}", name=name
            )
        queue.send(TASK, row.pk, queue="io")
    return row


def parent_of(actor: Actor, project: Project, said: str) -> Snapshot | None:
    """`newest`, `none`, or a snapshot's uid."""
    if said == NONE:
        return None
    if said in ("", NEWEST):
        return newest_snapshot(project)
    return snapshot_by_uid(actor, said)


def stop(*, actor: Actor, freezing: Freezing) -> Freezing:
    """End one that waits or is under way; nothing of it is kept."""
    require(actor, Action.FREEZE, freezing.project)
    leases.stop(Freezing.objects.filter(pk=freezing.pk), JobState.STOPPED, reason=f"Stopped by {actor}.")
    freezing.refresh_from_db()
    return freezing


def to_do() -> QuerySet[Freezing]:
    return leases.free(Freezing.objects.all())


def run(freezing_id: int) -> None:
    """Lease one, do it, and write what came of it."""
    row = _lease(freezing_id)
    if row is None:
        return
    try:
        with leases.kept(row, lambda: {"step": row.step, "done": row.done, "total": row.total}):
            _freeze(row)
    except OspreyError as error:
        _end(row, JobState.FAILED, code=error.code, reason=error.what, report=_report(error))
    except leases.LeaseLost:
        log.warning("%s: stopped, or another worker has taken over", row)


def _freeze(row: Freezing) -> None:
    asked = row.options
    actor = Actor(Via.SYSTEM, user=row.asked_by)
    common: dict[str, Any] = {
        "actor": actor,
        "project": row.project,
        "options": read_options(asked["options"]),
        "parent": parent_of(actor, row.project, asked["parent"]),
        "progress": _Teller(row),
    }
    if row.is_dry_run:
        outcome = preview(**common)
        _end(row, JobState.DONE, report={"counts": outcome.counts, "leak_report": outcome.leaks})
        return
    snapshot = freeze(name=asked["name"], notes=asked["notes"], sign_leak=asked["sign_leak"], **common)
    _end(row, JobState.DONE, snapshot=snapshot)


class _Teller:
    """Writes how far it is: at each new step and once a second, but never while one view of the database is read."""

    def __init__(self, row: Freezing) -> None:
        self._row, self._told = row, 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        is_new = step != self._row.step
        self._row.step, self._row.done, self._row.total = step[:80], done, total
        now = time.monotonic()
        if not is_viewing.get() and (is_new or now - self._told > 1):
            self._told = now
            leases.write(self._row, step=self._row.step, done=done, total=total)


def _report(error: OspreyError) -> dict[str, Any]:
    return {name: value for name, value in error.extra.items() if isinstance(value, (dict, list))}


def _lease(freezing_id: int) -> Freezing | None:
    if not leases.take(to_do(), freezing_id):
        return None
    row = Freezing.objects.select_related("project", "asked_by").get(pk=freezing_id)
    if leases.is_worn_out(row):
        _end(row, JobState.FAILED, code="ended-worker", reason="Freezing ended its worker three times: see the log.")
        return None
    return row


def _end(row: Freezing, state: JobState, **values: object) -> None:
    leases.end(row, state, step="", **values)
