"""Wakes workers. Rows are the work; a message only says that there is some, and may be lost without harm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.1
WAKE_LASTS_SECONDS = 5
MOST_COMING = 4
COMING_LASTS_MILLISECONDS = 300
TASKS = {"gpu": "webapp.predictions.tasks.drain"}

failures: dict[str, int] = {"wake": 0}
"""How often a wake-up could not be sent since this process started; health shows it."""


@lru_cache(maxsize=1)
def client() -> redis.Redis | None:
    """The broker's own client with a short patience, or None where the broker is not Redis or Valkey."""
    if not settings.HAS_REDIS:
        return None
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE_SECONDS,
        socket_connect_timeout=PATIENCE_SECONDS,
        retry=None,
    )


def wake(queue: str) -> None:
    """After commit, wake the workers of `queue`; calls while a wake-up is under way are one message."""
    transaction.on_commit(partial(_wake_now, queue), robust=True)


def wake_key(queue: str) -> str:
    return f"osprey:wake:{queue}"


def nudge_key(queue: str) -> str:
    """A list of at most one entry: a drain that lingers waits on it."""
    return f"osprey:nudge:{queue}"


@lru_cache(maxsize=1)
def _patient_client() -> redis.Redis | None:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, retry=None) if settings.HAS_REDIS else None


def coming_key(queue: str) -> str:
    """A short list of what will be asked in a moment; only a worker at rest reads it, and it is soon forgotten."""
    return f"osprey:coming:{queue}"


def say_coming(queue: str, what: str) -> None:
    """Tell a worker at rest what is about to be asked, before there is a row of it. Lost without harm."""

    def say() -> None:
        connection = client()
        if connection is not None:
            pipe = connection.pipeline(transaction=False)
            pipe.lpush(coming_key(queue), what)
            pipe.ltrim(coming_key(queue), 0, MOST_COMING - 1)
            pipe.pexpire(coming_key(queue), COMING_LASTS_MILLISECONDS)
            pipe.execute()

    _try(queue, say)


def wait_for_nudge(queue: str, seconds: float, *, heed: Callable[[str], object]) -> bool:
    """Whether more work was announced within `seconds`; at once False where nothing can be heard.

    `heed` is given what is said to be coming meanwhile.
    """
    connection = _patient_client()
    until = time.monotonic() + seconds
    try:
        while connection is not None and (left := until - time.monotonic()) > 0:
            heard = connection.blpop([nudge_key(queue), coming_key(queue)], timeout=left)
            if heard is None:
                return False
            key, what = cast("tuple[bytes, bytes]", heard)
            if key.decode() == nudge_key(queue):
                return True
            heed(what.decode())
    except (redis.RedisError, OSError) as error:
        _count(queue, error)
    return False


def nudge(queue: str) -> None:
    """Pass on a nudge that was heard by somebody who cannot act on it."""
    _try(queue, lambda: (connection := client()) and connection.lpush(nudge_key(queue), 1))


def import_sender() -> None:
    """What the first message would import: a fifth of a second that no caller shall wait for."""
    from webapp.celery import app

    _ = app.connection_for_write().transport


def rearm(queue: str) -> None:
    """Called by a drain before its last look: what arrives from here on sends a new message."""
    _try(queue, lambda: (connection := client()) and connection.delete(wake_key(queue)))


def send(name: str, *arguments: int | str, queue: str | None = None) -> None:
    """After commit, send a task by name with row ids; best effort, since the rows are the work."""
    transaction.on_commit(partial(_send_now, name, arguments, queue), robust=True)


def _wake_now(queue: str) -> None:
    def send_once() -> None:
        if _announce(queue):
            _dispatch(TASKS[queue], (), queue)

    _try(queue, send_once)


def _announce(queue: str) -> bool:
    """Nudge a drain that is under way; True when there may be none, so that a message has to be sent."""
    connection = client()
    if connection is None:
        return True
    pipe = connection.pipeline(transaction=False)
    pipe.set(wake_key(queue), 1, nx=True, ex=WAKE_LASTS_SECONDS)
    pipe.lpush(nudge_key(queue), 1)
    pipe.ltrim(nudge_key(queue), 0, 0)
    return bool(pipe.execute()[0])


def _send_now(name: str, arguments: tuple[int | str, ...], queue: str | None) -> None:
    def send_checked() -> None:
        connection = client()
        if connection is not None:
            connection.ping()
        _dispatch(name, arguments, queue)

    _try(name, send_checked)


def _dispatch(name: str, arguments: tuple[int | str, ...], queue: str | None) -> None:
    """A signature, not `send_task`, which ignores eager mode (celery/celery 581)."""
    from webapp.celery import app

    options = {"queue": queue} if queue else {}
    app.signature(name, args=arguments).apply_async(retry=False, **options)


def _is_stopped() -> bool:
    """Whether the embedded broker is not there at all, as for commands beside a stopped site."""
    url = urlsplit(settings.REDIS_URL) if settings.HAS_REDIS else None
    return url is not None and url.scheme == "unix" and not Path(url.path).exists()


def _try(what: str, act: object) -> None:
    try:
        act()  # type: ignore[operator]
    except (redis.RedisError, OSError) as error:
        _count(what, error)
    except Exception as error:  # kombu wraps a dead broker in errors of its own
        from kombu.exceptions import KombuError

        if not isinstance(error, KombuError):
            raise
        _count(what, error)


def _count(what: str, error: Exception) -> None:
    failures["wake"] += 1
    if _is_stopped():
        log.debug("nobody to wake for %s: the site is stopped", what)
        return
    log.warning("could not wake %s (%s); workers find the work by themselves within seconds", what, error)
