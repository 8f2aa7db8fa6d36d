"""The lease protocol: who may work on which prediction, and what happens to work whose worker is gone.

pending -> leased(token, until, attempts) -> done | failed. Times come from the database's clock. A row whose lease
ended twice runs alone; after the third it is set aside, because it is this picture that ends workers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from webapp.images import states
from webapp.images.models import Item
from webapp.images.store import open_original
from webapp.predictions.models import Prediction

State = Prediction.State

ALONE_AFTER = 2
GIVE_UP_AFTER = 3
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
    measured: bool


@dataclass(frozen=True)
class Claim:
    """What one worker holds under one token."""

    token: str
    works: tuple[Work, ...]
    alone: bool = False
    """The one row ended workers before: nothing else may be under way beside it."""


NOTHING = Claim("", ())


def next_pipelines(limit: int) -> list[int]:
    """The pipelines of the next rows to claim, most urgent first: a worker loads before it claims."""
    rows = Prediction.objects.filter(state=State.PENDING).order_by("priority", "id").values_list("pipeline_id")
    return list(dict.fromkeys(pipeline for (pipeline,) in rows[:limit]))


def claim(*, limit: int, worker: str, pipelines: Sequence[int], may_be_alone: bool = True) -> Claim:
    """Lease up to `limit` waiting rows of these pipelines, most urgent first.

    Rows that ended two workers come only when nothing else waits, and then one at a time.
    """
    if not pipelines:
        return NOTHING
    token = secrets.token_hex(16)
    ids = _lease(token, worker, pipelines, limit, f"attempts < {ALONE_AFTER}")
    if ids:
        return Claim(token, _works(ids))
    suspect = _lease(token, worker, pipelines, 1, f"attempts >= {ALONE_AFTER}") if may_be_alone else []
    return Claim(token, _works(suspect), alone=True) if suspect else NOTHING


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
        cursor.execute(
            f"UPDATE {table} SET state = 'leased', lease_token = %s, worker = %s, lease_until = {until}, "
            f"attempts = attempts + 1 WHERE id IN ({waiting}) RETURNING id",
            [token, worker[:120], *pipelines, limit],
        )
        return [row[0] for row in cursor.fetchall()]


def _works(ids: Sequence[int]) -> tuple[Work, ...]:
    rows = (
        Prediction.objects.filter(pk__in=ids)
        .select_related("image__file")
        .only(
            "id", "image_id", "pipeline_id", "purpose", "priority",
            "image__project_id", "image__measured_at",
            "image__file__sha256", "image__file__storage_key", "image__file__in_place_path",
        )
        .order_by("priority", "id")
    )  # fmt: skip
    return tuple(
        Work(
            prediction_id=row.pk,
            image_id=row.image_id,
            project_id=row.image.project_id,
            pipeline_id=row.pipeline_id,
            purpose=row.purpose,
            sha256=row.image.file.sha256,
            path=str(open_original(row.image.file)),
            measured=row.image.measured_at is not None,
        )
        for row in rows
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
        if purpose == Prediction.Purpose.LIVE:
            Item.objects.filter(image_id=image_id, state=Item.State.RECEIVED).update(
                state=Item.State.FAILED, code=code, reason=reason, changed_at=Now()
            )
            states.after_prediction({image_id: states.MachineSays(failure=code)}, measured={})
