"""Rows that are work: taken by one process for a while, renewed, given back, ended.

waiting -> leased(token, until, attempts) -> done, failed or whatever else the model ends in. A lease whose holder is
gone runs out and the row is free again; whoever lost it writes nothing more. One protocol for every model that is a
`LeasedRow`; what the work is stays with the model's own module.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections, models
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

log = logging.getLogger(__name__)

WAITING, LEASED = "waiting", "leased"
UNDER_WAY = (WAITING, LEASED)
GIVE_UP_AFTER = 3
"""Processes that a row may end without a step forward before it counts as the culprit."""


class LeasedRow(models.Model):
    """The columns of the protocol. `state` is the model's own, with `waiting` and `leased` among its choices."""

    state: models.CharField[str, str]
    reason = models.TextField(blank=True)
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


Work = TypeVar("Work", bound=LeasedRow)


class LeaseLost(Exception):
    """Somebody stopped this work, or another process has it now: leave it, and write nothing more of it."""


def free(rows: QuerySet[Work]) -> QuerySet[Work]:
    """Those that nobody is at work on, oldest first: new, their process is gone, or they have paused enough."""
    return rows.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), state__in=UNDER_WAY).order_by("pk")


def take(rows: QuerySet[Work], pk: int, **values: object) -> bool:
    """Lease one of `rows` for LEASE_SECONDS; False when it is not to be had. `is_worn_out` is to be asked next."""
    taken = rows.filter(pk=pk).update(
        state=LEASED, lease_token=_token(), lease_until=end_of_lease(), attempts=F("attempts") + 1, **values
    )
    return bool(taken)


def is_worn_out(row: LeasedRow) -> bool:
    """Whether this row has ended one process after the other."""
    return row.attempts > GIVE_UP_AFTER


def held(row: Work) -> QuerySet[Work]:
    """The row, as long as the lease is ours."""
    return type(row)._default_manager.filter(Q(pk=row.pk, state=LEASED, lease_token=row.lease_token))


def write(row: LeasedRow, **values: object) -> None:
    if not held(row).update(**values):
        raise LeaseLost(str(row))


def renew(row: LeasedRow, **values: object) -> None:
    """Keep the lease, and store how far the work is."""
    write(row, lease_until=end_of_lease(), **values)


def release(row: LeasedRow, *, reason: str = "", **values: object) -> None:
    """Give it back unfinished, in good order. With a `reason` it pauses for a while, since nothing would change."""
    until = end_of_lease() if reason else None
    write(row, state=WAITING, lease_token="", lease_until=until, attempts=0, reason=reason, **values)


def end(row: LeasedRow, state: str, **values: object) -> None:
    write(row, state=state, lease_token="", lease_until=None, done_at=Now(), **values)


def give_back(row: LeasedRow) -> None:
    """The worker stops: somebody else may have it at once."""
    try:
        release(row)
    except LeaseLost:
        log.info("%s was stopped before it could be given back", row)


def fail(row: LeasedRow, code: str, reason: str) -> None:
    """End it as failed, unless somebody stopped it before; no database takes a NUL in its words."""
    try:
        end(row, "failed", code=code[:40], reason=reason.replace("\0", ""))
    except LeaseLost:
        log.info("%s was stopped before it failed: %s", row, reason)


def stop(rows: QuerySet[Work], state: str, **values: object) -> int:
    """End from outside what waits or is under way; whoever has it hears of that when it next renews."""
    under_way = rows.filter(state__in=UNDER_WAY)
    return under_way.update(state=state, lease_token="", lease_until=None, done_at=Now(), **values)


@contextmanager
def kept(row: LeasedRow, told: Callable[[], Mapping[str, object]] = dict) -> Iterator[None]:
    """A thread renews the lease, since a step may take longer than it lasts; it also writes what `told` gives."""
    ended = threading.Event()
    every = settings.LEASE_SECONDS / 6

    def renew_again() -> None:
        while not ended.wait(every):
            try:
                held(row).update(lease_until=end_of_lease(), **told())
            except DatabaseError:
                log.warning("the lease of %s could not be renewed; it is tried again", row, exc_info=True)
                close_old_connections()
        close_old_connections()

    thread = threading.Thread(target=renew_again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def take_from_the_dead(row: LeasedRow) -> bool:
    """Free a row whose process ran on this machine and is gone, so that nobody waits for its lease to end."""
    host, _, rest = row.lease_token.partition("-")
    pid = rest.partition("-")[0]
    if row.state != LEASED or host != _host() or not pid.isdigit() or _lives(int(pid)):
        return False
    freed: dict[str, object] = {"state": WAITING, "lease_token": "", "lease_until": None}
    return bool(held(row).update(**freed))


def end_of_lease() -> object:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _token() -> str:
    """Says which process of which machine holds it; 32 characters at most."""
    return f"{_host()}-{os.getpid()}-{secrets.token_hex(8)}"[:32]


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
