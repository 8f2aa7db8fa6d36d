"""No caller may crowd out the others: a count per caller in short windows, kept by the broker for all processes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis
from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

from webapp import queue
from webapp.access.actors import Actor, Via
from webapp.errors import TooMany

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 10
OPEN_MODE_PER_SECOND = 50
REST_AFTER_FAILURE = 1.0
WARN_EVERY = 60.0


@dataclass
class Outage:
    """How often the count could not be kept because the broker was away; shown on the status page."""

    uncounted: int = 0
    quiet_until: float = 0.0
    warned_at: float = -WARN_EVERY
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_on(self) -> bool:
        """Whether it failed a moment ago: then it is not asked, so that callers do not wait for it."""
        if time.monotonic() >= self.quiet_until:
            return False
        with self.lock:
            self.uncounted += 1
        return True

    def note(self, error: Exception) -> None:
        now = time.monotonic()
        with self.lock:
            self.uncounted += 1
            self.quiet_until = now + REST_AFTER_FAILURE
            if now - self.warned_at < WARN_EVERY:
                return
            self.warned_at = now
        logger.warning("callers are not throttled, %d calls so far: the broker is away (%s)", self.uncounted, error)


OUTAGE = Outage()


def name_of(actor: Actor, peer: str | None) -> str:
    """Whom to count: the token, else the person, else the address."""
    if actor.token is not None:
        return f"token:{actor.token.pk}"
    if actor.user is not None:
        return f"user:{actor.user.pk}"
    return f"{'guest' if actor.via is Via.GUEST else 'ip'}:{peer or ''}"


def limit_of(actor: Actor) -> int:
    """Calls in one window."""
    per_window = max(1, settings.CALLS_PER_MINUTE * WINDOW_SECONDS // 60)
    if settings.OPEN_MODE or actor.via is Via.GUEST:
        return max(per_window, OPEN_MODE_PER_SECOND * WINDOW_SECONDS)
    return per_window


def seconds_to_wait(name: str, limit: int) -> int:
    """0 when this call fits in the caller's window, else the seconds until the next one begins."""
    if OUTAGE.is_on():
        return 0
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    try:
        count = _count(f"osprey:calls:{name}:{window}")
    except (redis.RedisError, OSError) as error:
        OUTAGE.note(error)
        return 0
    if count <= limit:
        return 0
    return max(1, round((window + 1) * WINDOW_SECONDS - now))


def _count(key: str) -> int:
    """One round trip; Django's own cache would take two. Without Valkey each process counts for itself."""
    connection = queue.client()
    if connection is None:
        cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
        return cache.incr(key)
    count = int(connection.incr(key))
    if count == 1:
        connection.expire(key, 2 * WINDOW_SECONDS)
    return count


def check(actor: Actor, peer: str | None) -> None:
    """Raise TooMany when the caller is over its limit."""
    limit = limit_of(actor)
    wait = seconds_to_wait(name_of(actor, peer), limit)
    if wait:
        rate = limit // WINDOW_SECONDS
        raise TooMany(f"More than {rate} calls a second. Wait {wait} s, then go on.", retry_after=wait)


class CallerThrottle(BaseThrottle):
    """For DRF."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if isinstance(request.auth, Actor):
            check(request.auth, request.META.get("REMOTE_ADDR"))
        return True
