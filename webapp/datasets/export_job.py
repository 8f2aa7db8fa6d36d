"""Makes exports in an io worker: leased to one at a time, begun anew when that one ends, kept for some days."""

from __future__ import annotations

import logging
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings
from django.db.models import F, QuerySet

from webapp import leases
from webapp.access.actors import Actor, Via
from webapp.datasets.exporting import asked_of, left_out_rows, write_export
from webapp.datasets.formats.output import ZipOutput
from webapp.datasets.models import Export, JobState
from webapp.errors import NotFound, OspreyError

log = logging.getLogger(__name__)

FOLDER = "exports"
RENEW_SECONDS = 3.0
KEPT = timedelta(days=7)


def to_make() -> QuerySet[Export]:
    """Exports that nobody is at work on."""
    return leases.free(Export.objects.all())


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
    except leases.LeaseLost:
        log.info("%s was stopped, or goes on elsewhere", row)
    except OspreyError as error:
        leases.end(row, JobState.FAILED, reason=error.what)
    except OSError as error:
        leases.end(
            row, JobState.FAILED, reason=f"It could not be written ({error}). Free some space, then ask for it again."
        )
    finally:
        beside.unlink(missing_ok=True)
    return Export.objects.get(pk=export_id)


def stop(row: Export) -> bool:
    """Whoever makes it hears of that within seconds."""
    return bool(leases.stop(Export.objects.filter(pk=row.pk), JobState.STOPPED))


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
            leases.renew(row, done=done, total=total)

    with beside.open("wb") as file:
        with ZipOutput(cast("BinaryIO", file)) as out:
            written = write_export(actor=actor, asked=asked_of(row), out=out, progress=progress)
        size = file.tell()
    shutil.move(beside, path_of(row))
    leases.end(
        row,
        JobState.DONE,
        counts=dict(written.counts),
        left_out=left_out_rows(written),
        size_bytes=size,
        done=F("total"),
        storage_key=f"{FOLDER}/{row.uid}.zip",
    )


def _lease(export_id: int) -> Export | None:
    if not leases.take(to_make(), export_id, done=0):
        return None
    row = Export.objects.select_related("project", "snapshot__project", "asked_by").get(pk=export_id)
    if leases.is_worn_out(row):
        leases.end(row, JobState.FAILED, reason="Making it ended the worker three times. Export less at once.")
        return None
    return row
