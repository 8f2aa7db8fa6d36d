"""Freezing as work for an io worker: asked for by a page or a program, followed by its row.

waiting -> leased(token, until, attempts) -> done | failed. A refusal (a leak, nothing to freeze) is a failure with its
code and report, which the page shows with what to do.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from webapp import queue
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
GIVE_UP_AFTER = 3
RENEW_SECONDS = 5.0
MOST_AT_ONCE = 5
NEWEST, NONE = "newest", "none"
UNDER_WAY = (JobState.WAITING, JobState.LEASED)


class LeaseLost(Exception):
    """Another worker has this freezing now, or somebody stopped it."""


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
    if Freezing.objects.filter(project=project, state__in=UNDER_WAY).count() >= MOST_AT_ONCE:
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
    rows = Freezing.objects.filter(pk=freezing.pk, state__in=UNDER_WAY)
    rows.update(state=JobState.STOPPED, lease_token="", reason=f"Stopped by {actor}.", done_at=Now())
    freezing.refresh_from_db()
    return freezing


def to_do() -> QuerySet[Freezing]:
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    return Freezing.objects.filter(free, state__in=UNDER_WAY).order_by("pk")


def run(freezing_id: int) -> None:
    """Lease one, do it, and write what came of it."""
    row = _lease(freezing_id)
    if row is None:
        return
    try:
        with _kept(row):
            _freeze(row)
    except OspreyError as error:
        _end(row, JobState.FAILED, code=error.code, reason=error.what, report=_report(error))
    except LeaseLost:
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
            _update(self._row, step=self._row.step, done=done, total=total)


def _report(error: OspreyError) -> dict[str, Any]:
    return {name: value for name, value in error.extra.items() if isinstance(value, (dict, list))}


def _lease(freezing_id: int) -> Freezing | None:
    taken = (
        to_do()
        .filter(pk=freezing_id)
        .update(
            state=JobState.LEASED,
            lease_token=secrets.token_hex(16),
            lease_until=_lease_end(),
            attempts=F("attempts") + 1,
        )
    )
    if not taken:
        return None
    row = Freezing.objects.select_related("project", "asked_by").get(pk=freezing_id)
    if row.attempts > GIVE_UP_AFTER:
        _end(row, JobState.FAILED, code="ended-worker", reason="Freezing ended its worker three times: see the log.")
        return None
    return row


@contextmanager
def _kept(row: Freezing) -> Iterator[None]:
    """The lease is renewed beside the work, and progress told, since a step may take longer than it lasts."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(min(RENEW_SECONDS, settings.LEASE_SECONDS / 3)):
            try:
                _held(row).update(lease_until=_lease_end(), step=row.step, done=row.done, total=row.total)
            except DatabaseError:
                log.exception("the lease of %s could not be renewed; it is tried again", row)
                close_old_connections()
        close_old_connections()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _end(row: Freezing, state: JobState, **values: object) -> None:
    _update(row, state=state, lease_token="", lease_until=None, step="", done_at=Now(), **values)


def _update(row: Freezing, **values: object) -> None:
    """Write only while the lease is ours."""
    if not _held(row).update(**values):
        raise LeaseLost(str(row))


def _held(row: Freezing) -> QuerySet[Freezing]:
    return Freezing.objects.filter(pk=row.pk, state=JobState.LEASED, lease_token=row.lease_token)


def _lease_end() -> object:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
