"""How the site is: workers by their heartbeat alone, and everything that needs somebody's attention, in words."""

from __future__ import annotations

import shutil
import socket
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from webapp import queue
from webapp.predictions.models import Prediction, Priority, Worker
from webapp.runstate import is_alive
from webapp.versions.models import Version

FRESH = timedelta(seconds=15)
QUEUES = ("gpu", "io", "train")


def site_health() -> dict[str, Any]:
    """Parts with `ok` or what is wrong, and `problems` with what to do. `ok` is true when there are none."""
    problems: list[str] = []
    health: dict[str, Any] = {"web": "ok", "database": _database(problems), "broker": _broker(problems)}
    health["disk_free_bytes"] = _disk(problems)
    if health["database"] == "ok":
        health |= _workers(problems)
        health["queue"] = queue_depth()
        health["broken_versions"] = _broken(problems)
    health["lost_wakeups"] = dict(queue.failures)
    health["problems"] = problems
    health["ok"] = not problems
    return health


def _database(problems: list[str]) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        problems.append(f"The database does not answer ({error}). Nothing can be accepted until it does.")
        return "down"
    return "ok"


def _broker(problems: list[str]) -> str:
    client = queue.client()
    if client is None:
        return "files"
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        problems.append(f"The broker does not answer ({error}). Work goes on more slowly without it.")
        return "down"
    return "ok"


def _disk(problems: list[str]) -> int:
    try:
        free = shutil.disk_usage(settings.STORE_DIR).free
    except OSError as error:
        problems.append(f"The store cannot be reached ({error.strerror}): nothing is accepted. Is its disk there?")
        return 0
    if free < settings.FREE_DISK_FLOOR_BYTES:
        problems.append("The disk is full: nothing more is accepted. Make room in the data folder's file system.")
    return free


def _workers(problems: list[str]) -> dict[str, Any]:
    seen = Worker.objects.filter(seen_at__gt=Now() - FRESH).order_by("name")
    fresh = [worker for worker in seen if not _is_dead_here(worker)]
    states: dict[str, Any] = {}
    for name in QUEUES:
        mine = [worker for worker in fresh if worker.queue == name]
        states[name] = "ok" if mine else "down"
        if not mine:
            problems.append(f"No {name} worker has been heard of for {FRESH.seconds} s. Its log says why.")
    problems.extend(f"{worker.name}: {worker.message}" for worker in fresh if worker.message)
    states["workers"] = [
        {
            "name": worker.name,
            "queue": worker.queue,
            "device": worker.device,
            "pipelines": worker.pipelines,
            "doing": worker.doing,
            "seen_at": worker.seen_at.isoformat(),
        }
        for worker in fresh
    ]
    return states


def _is_dead_here(worker: Worker) -> bool:
    """A worker of this machine that was killed: its last heartbeat is fresh for some seconds yet."""
    return worker.host == socket.gethostname() and not is_alive(worker.pid)


def waiting_calls() -> int:
    """How many calls wait for an answer; by hand, since each call asks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM predictions_prediction WHERE state = 'pending' AND priority = %s", [Priority.CALL]
        )
        return int(cursor.fetchone()[0])


def queue_depth() -> dict[str, Any]:
    """What somebody waits for; `background` is what nobody does: beside, and history."""
    background = Q(priority__gte=Priority.BESIDE)
    waiting = Prediction.objects.filter(state__in=[Prediction.State.PENDING, Prediction.State.LEASED]).aggregate(
        pending=Count("pk", filter=Q(state=Prediction.State.PENDING) & ~background),
        leased=Count("pk", filter=Q(state=Prediction.State.LEASED) & ~background),
        background=Count("pk", filter=background),
        oldest=Min("created_at", filter=~background),
    )
    oldest = waiting.pop("oldest")
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    return {**waiting, "oldest_seconds": round(age, 1)}


def _broken(problems: list[str]) -> list[dict[str, Any]]:
    broken = Version.objects.filter(broken_at__isnull=False).values("id", "name", "broken_reason")
    problems.extend(f"The model {row['name']} cannot be used: {row['broken_reason']}" for row in broken)
    return [dict(row) for row in broken]
