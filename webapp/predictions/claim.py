"""The lease protocol: who may work on which prediction, and what happens to work whose worker is gone.

pending -> leased(token, until, attempts) -> done | failed. Times come from the database's clock. A row whose lease
ended twice runs alone; after the third it is set aside, because it is this picture that ends workers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from webapp import events
from webapp.images import states
from webapp.images.models import File, Item
from webapp.images.store import open_original
from webapp.predictions.live import machine_says
from webapp.predictions.models import Prediction, Priority

State = Prediction.State

ALONE_AFTER = 2
GIVE_UP_AFTER = 3
WAITED_FOR, IN_BACKGROUND = f"priority < {Priority.BESIDE:d}", f"priority >= {Priority.BESIDE:d}"
ENDED_WORKER = "ended-worker"
ENDED_WORKER_REASON = (
    "This picture ended the worker each time it was tried, so it was set aside. "
    "The file may be damaged in an unusual way: open it in a picture program and save it again."
)


@dataclass(frozen=True)
class Work:
    """One claimed prediction, with all a worker needs to know of it."""

    prediction_id: int
    image_id: int
    project_id: int
    pipeline_id: int
    purpose: str
    sha256: str
    path: str
    is_measured: bool = False
    is_in_place: bool = False
    clock_offset_seconds: int = 0
    time_zone: str = "UTC"
    """Of the camera's clock: the visit's, else the site's, else the project's."""


@dataclass(frozen=True)
class Claim:
    """What one worker holds under one token."""

    token: str
    works: tuple[Work, ...]
    alone: bool = False
    """The one row ended workers before: nothing else may be under way beside it."""
    is_background: bool = False
    """Nobody waits for these: whatever somebody waits for goes before them, even now."""


NOTHING = Claim("", ())


def next_pipelines(limit: int, *, without: Sequence[int] = (), project_id: int | None = None) -> list[int]:
    """The pipelines of the next rows to claim, most urgent first: a worker loads before it claims.

    `without` leaves out pipelines that cannot be used, whose rows would hide those behind them.
    """
    others = f" AND pipeline_id NOT IN ({', '.join(['%s'] * len(without))})" if without else ""
    values: list[int] = [*without]
    if project_id is not None:
        others += " AND pipeline_id IN (SELECT id FROM versions_pipeline WHERE project_id = %s)"
        values.append(project_id)
    with connection.cursor() as cursor:
        # By hand: a drain asks at each step, and the ORM writes this longer than the database runs it.
        cursor.execute(
            f"SELECT pipeline_id FROM predictions_prediction WHERE state = 'pending'{others} "
            "ORDER BY priority, id LIMIT %s",
            [*values, limit],
        )
        return list(dict.fromkeys(row[0] for row in cursor.fetchall()))


def claim(
    *, limit: int, worker: str, pipelines: Sequence[int], may_be_alone: bool = True, background: int = 0
) -> Claim:
    """Lease up to `limit` waiting rows of these pipelines, most urgent first.

    Only when none of them waits, up to `background` rows that nobody waits for. Of either kind, rows that ended two
    workers come only when no other is there, and then one at a time.
    """
    if not pipelines:
        return NOTHING
    token = secrets.token_hex(16)
    for which, most, is_background in ((WAITED_FOR, limit, False), (IN_BACKGROUND, background, True)):
        ids = _lease(token, worker, pipelines, most, f"{which} AND attempts < {ALONE_AFTER}") if most else []
        if ids:
            return Claim(token, _works(ids), is_background=is_background)
        suspects = f"{which} AND attempts >= {ALONE_AFTER}"
        ids = _lease(token, worker, pipelines, 1, suspects) if most and may_be_alone else []
        if ids:
            return Claim(token, _works(ids), alone=True, is_background=is_background)
    return NOTHING


def _lease(token: str, worker: str, pipelines: Sequence[int], limit: int, which: str) -> list[int]:
    table = Prediction._meta.db_table
    places = ", ".join(["%s"] * len(pipelines))
    waiting = (
        f"SELECT id FROM {table} WHERE state = 'pending' AND {which} AND pipeline_id IN ({places}) "
        "ORDER BY priority, id LIMIT %s"
    )
    with connection.cursor() as cursor:
        # A look costs no write lock; on SQLite an idle worker would otherwise stop every writer for a moment.
        cursor.execute(waiting, [*pipelines, 1])
        if cursor.fetchone() is None:
            return []
        if connection.vendor == "postgresql":
            until = f"now() + interval '{settings.LEASE_SECONDS} seconds'"
            waiting += " FOR UPDATE SKIP LOCKED"
        else:
            until = f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '+{settings.LEASE_SECONDS} seconds')"
        # The rows are named once, before: as a subquery a join by loops asks for them again and again, and PostgreSQL
        # then skips those that it has just locked and leases as many others.
        cursor.execute(
            f"WITH next AS MATERIALIZED ({waiting}) "
            f"UPDATE {table} SET state = 'leased', lease_token = %s, worker = %s, lease_until = {until}, "
            "attempts = attempts + 1 WHERE id IN (SELECT id FROM next) RETURNING id",
            [*pipelines, limit, token, worker[:120]],
        )
        return [row[0] for row in cursor.fetchall()]


def _works(ids: Sequence[int]) -> tuple[Work, ...]:
    """What the claimed rows are about: one query by hand, for the reason of `next_pipelines`."""
    places = ", ".join(["%s"] * len(ids))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.id, p.image_id, i.project_id, p.pipeline_id, p.purpose, f.sha256, f.storage_key, "
            "f.in_place_path, i.measured_at, COALESCE(v.clock_offset_seconds, 0), "
            "v.time_zone, s.time_zone, j.time_zone "
            "FROM predictions_prediction p JOIN images_image i ON i.id = p.image_id "
            "JOIN images_file f ON f.id = i.file_id JOIN projects_project j ON j.id = i.project_id "
            "LEFT JOIN projects_visit v ON v.id = i.visit_id LEFT JOIN projects_site s ON s.id = i.site_id "
            f"WHERE p.id IN ({places}) ORDER BY p.priority, p.id",
            list(ids),
        )
        return tuple(_work(row) for row in cursor.fetchall())


def _work(row: Sequence[Any]) -> Work:
    prediction, image, project, pipeline, purpose, sha256, key, in_place, measured, offset, *zones = row
    return Work(
        prediction_id=prediction,
        image_id=image,
        project_id=project,
        pipeline_id=pipeline,
        purpose=purpose,
        sha256=sha256,
        path=str(open_original(File(storage_key=key, in_place_path=in_place))),
        is_measured=measured is not None,
        is_in_place=bool(in_place),
        clock_offset_seconds=offset,
        time_zone=next(filter(None, zones), "UTC"),
    )


def extend(tokens: Sequence[str]) -> None:
    """Keep leases alive while their batch is still being worked on; called by the heartbeat."""
    Prediction.objects.filter(state=State.LEASED, lease_token__in=tokens).update(
        lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS)
    )


def put_back(held: Claim, why: str) -> None:
    """Free rows that could not be worked on for no fault of one picture; after the third time they fail."""
    mine = Prediction.objects.filter(state=State.LEASED, lease_token=held.token)
    tired = list(mine.filter(attempts__gte=GIVE_UP_AFTER).values_list("pk", flat=True))
    mine.filter(attempts__lt=GIVE_UP_AFTER).update(state=State.PENDING, lease_token="", lease_until=None)
    for prediction_id in tired:
        _set_aside(prediction_id, held.token, "internal", f"Recognition failed three times ({why}). Retry later.")


def recover() -> int:
    """Free the rows whose lease has ended; set aside those that ended three workers. Returns how many were freed."""
    ended = Prediction.objects.filter(state=State.LEASED, lease_until__lt=Now())
    if not ended.exists():
        return 0
    freed = ended.filter(attempts__lt=GIVE_UP_AFTER).update(state=State.PENDING, lease_token="", lease_until=None)
    given_up = list(ended.filter(attempts__gte=GIVE_UP_AFTER).values_list("pk", "lease_token"))
    for prediction_id, token in given_up:
        _set_aside(prediction_id, token, ENDED_WORKER, ENDED_WORKER_REASON)
    return freed


def _set_aside(prediction_id: int, token: str, code: str, reason: str) -> None:
    """Fail one row for good, if it is still held under `token`, and say so wherever it is shown."""
    with transaction.atomic():
        changed = Prediction.objects.filter(pk=prediction_id, state=State.LEASED, lease_token=token).update(
            state=State.FAILED, code=code, reason=reason, lease_token="", lease_until=None, done_at=Now()
        )
        if not changed:
            return
        image_id, purpose = Prediction.objects.values_list("image_id", "purpose").get(pk=prediction_id)
        if purpose in (Prediction.Purpose.LIVE, Prediction.Purpose.MEASURE):
            Item.objects.filter(image_id=image_id, state=Item.State.RECEIVED).update(
                state=Item.State.FAILED, code=code, reason=reason, changed_at=Now()
            )
            said = machine_says([image_id]).get(image_id, states.MachineSays(failure=code))
            states.after_prediction({image_id: said}, measured={})
    events.publish(events.DONE, [prediction_id])
