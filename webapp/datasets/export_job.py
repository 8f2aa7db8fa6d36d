"""Makes exports in an io worker: leased to one at a time, begun anew when that one ends, kept for some days."""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from webapp.access.actors import Actor, Via
from webapp.datasets.exporting import asked_of, left_out_rows, write_export
from webapp.datasets.formats.output import ZipOutput
from webapp.datasets.models import Export, JobState
from webapp.errors import NotFound, OspreyError

log = logging.getLogger(__name__)

FOLDER = "exports"
GIVE_UP_AFTER = 3
RENEW_SECONDS = 3.0
KEPT = timedelta(days=7)
UNDER_WAY = (JobState.WAITING, JobState.LEASED)


class LeaseLost(Exception):
    """Somebody stopped this export, or another worker has it now."""


def to_make() -> QuerySet[Export]:
    """Exports that nobody is at work on."""
    return Export.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), state__in=UNDER_WAY).order_by("pk")


def make_what_waits() -> None:
    """The look of an io worker."""
    for export_id in to_make().values_list("pk", flat=True)[:10]:
        run(export_id)


def run(export_id: int) -> Export | None:
    """Make one export; None when another worker has it or it is over."""
    row = _lease(export_id)
    if row is None:
        return None
    beside = path_of(row).with_suffix(f".{row.lease_token[:8]}.part")
    beside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        _make(row, beside)
    except LeaseLost:
        log.info("%s was stopped, or goes on elsewhere", row)
    except OspreyError as error:
        _end(row, JobState.FAILED, reason=error.what)
    except OSError as error:
        _end(row, JobState.FAILED, reason=f"It could not be written ({error}). Free some space, then ask for it again.")
    finally:
        beside.unlink(missing_ok=True)
    return Export.objects.get(pk=export_id)


def stop(row: Export) -> bool:
    """Whoever makes it hears of that within seconds."""
    return bool(Export.objects.filter(pk=row.pk, state__in=UNDER_WAY).update(state=JobState.STOPPED, lease_token=""))


def path_of(row: Export) -> Path:
    return Path(settings.STORE_DIR) / FOLDER / f"{row.uid}.zip"


def ready_file(row: Export) -> Path:
    """The file to be handed out."""
    path = path_of(row)
    if row.state != JobState.DONE or not path.is_file():
        said = f"is {row.get_state_display()}" if row.state != JobState.DONE else f"was kept for {KEPT.days} days"
        raise NotFound(f"This export {said}: there is no file to download. Ask for it again.", code="no-file")
    return path


def remove_old() -> int:
    """Files of exports that ended long ago; their rows stay and say what was handed out."""
    folder, line = Path(settings.STORE_DIR) / FOLDER, time.time() - KEPT.total_seconds()
    if not folder.is_dir():
        return 0
    old = [path for path in folder.iterdir() if path.stat().st_mtime < line]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _make(row: Export, beside: Path) -> None:
    actor = Actor(Via.SESSION, user=row.asked_by)
    renewed = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            _update(row, lease_until=_lease_end(), done=done, total=total)

    with beside.open("wb") as file:
        with ZipOutput(cast("BinaryIO", file)) as out:
            written = write_export(actor=actor, asked=asked_of(row), out=out, progress=progress)
        size = file.tell()
    shutil.move(beside, path_of(row))
    _end(
        row,
        JobState.DONE,
        counts=dict(written.counts),
        left_out=left_out_rows(written),
        size_bytes=size,
        done=F("total"),
        storage_key=f"{FOLDER}/{row.uid}.zip",
    )


def _lease(export_id: int) -> Export | None:
    token = secrets.token_hex(16)
    taken = to_make().filter(pk=export_id)
    if not taken.update(
        state=JobState.LEASED, lease_token=token, lease_until=_lease_end(), attempts=F("attempts") + 1, done=0
    ):
        return None
    row = Export.objects.select_related("project", "snapshot__project", "asked_by").get(pk=export_id)
    if row.attempts > GIVE_UP_AFTER:
        _end(row, JobState.FAILED, reason="Making it ended the worker three times. Export less at once.")
        return None
    return row


def _end(row: Export, state: JobState, **values: object) -> None:
    _update(row, state=state, lease_token="", lease_until=None, done_at=Now(), **values)


def _update(row: Export, **values: object) -> None:
    """Write only while the lease is ours."""
    held = Export.objects.filter(pk=row.pk, state=JobState.LEASED, lease_token=row.lease_token)
    if not held.update(**values):
        raise LeaseLost(str(row))


def _lease_end() -> object:
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)
