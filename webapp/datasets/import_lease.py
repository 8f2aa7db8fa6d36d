"""Who works on an import: taken for a while, renewed with its progress, given back, ended.

waiting -> leased(token, until, attempts) -> done | failed | stopped. Whoever loses the lease writes nothing more.
"""

from __future__ import annotations

import os
import secrets
import socket
import zlib
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from webapp.datasets.models import Import, JobState
from webapp.images.models import Upload

GIVE_UP_AFTER = 3
UNDER_WAY = (JobState.WAITING, JobState.LEASED)


class LeaseLost(Exception):
    """Somebody stopped this import, or another worker has it now."""


def to_do() -> QuerySet[Import]:
    """Imports that nobody is at work on: new ones, those whose worker is gone, those that have paused enough."""
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    return Import.objects.filter(free, state__in=UNDER_WAY).exclude(upload__kind=Upload.Kind.WATCH).order_by("pk")


def lease(import_id: int, *, among: QuerySet[Import] | None = None) -> Import | None:
    """Take an import for LEASE_SECONDS, or None when it is not to be had. One that ended three workers fails."""
    token = _token()
    rows = (to_do() if among is None else among).filter(pk=import_id)
    taken = rows.update(
        state=JobState.LEASED, lease_token=token, lease_until=lease_end(), attempts=F("attempts") + 1, reason=""
    )
    if not taken:
        return None
    row = Import.objects.select_related("upload__project", "upload__created_by", "project", "pipeline").get(
        pk=import_id
    )
    if row.attempts > GIVE_UP_AFTER:
        end(
            row,
            JobState.FAILED,
            reason="It ended its worker three times at the same place. Look at the last file of its report, take that "
            "file away, and go on.",
        )
        return None
    return row


def take_from_the_dead(row: Import) -> bool:
    """Free an import whose process ran on this machine and is gone, so that nobody waits for its lease to end."""
    host, _, rest = row.lease_token.partition("-")
    pid = rest.partition("-")[0]
    if row.state != JobState.LEASED or host != _host() or not pid.isdigit() or _lives(int(pid)):
        return False
    mine = Import.objects.filter(pk=row.pk, state=JobState.LEASED, lease_token=row.lease_token)
    return bool(mine.update(state=JobState.WAITING, lease_token="", lease_until=None))


def keep(row: Import, **values: object) -> None:
    """Renew the lease and store how far it is; a step forward clears the count of tries."""
    _update(row, lease_until=lease_end(), **values)


def release(row: Import, *, reason: str = "") -> None:
    """Give it back unfinished, in good order. With a `reason` it pauses for a while, since nothing would change."""
    until = lease_end() if reason else None
    _update(row, state=JobState.WAITING, lease_token="", lease_until=until, attempts=0, reason=reason)


def end(row: Import, state: JobState, *, reason: str = "", **values: object) -> None:
    _update(row, state=state, lease_token="", lease_until=None, reason=reason, done_at=Now(), **values)


def lease_end() -> object:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _update(row: Import, **values: object) -> None:
    """Write only while the lease is ours."""
    held = Import.objects.filter(pk=row.pk, state=JobState.LEASED, lease_token=row.lease_token)
    if not held.update(**values):
        raise LeaseLost(str(row))


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
