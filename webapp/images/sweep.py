"""House-keeping every half minute: leftovers go, quiet uploads are closed, forgotten work is woken."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from webapp import leases, queue
from webapp.access.actors import SYSTEM
from webapp.images import unpack
from webapp.images.arrange import TASK as ARRANGE
from webapp.images.arrange import projects_to_arrange
from webapp.images.models import Archive, Item
from webapp.images.uploads import close_upload, quiet_uploads

log = logging.getLogger(__name__)

STALE_SECONDS = 24 * 3600
MOST_WOKEN = 100


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    files_removed: int
    uploads_closed: int
    archives_woken: int


def sweep() -> Swept:
    """One round; each part by itself, so that a fault in one does not stop the others."""
    removed = remove_stale_files() + remove_orphaned_zips()
    return Swept(files_removed=removed, uploads_closed=close_quiet_uploads(), archives_woken=wake_workers())


def remove_stale_files(*, older_than: float = STALE_SECONDS) -> int:
    """Temporary files nobody has written to for a day: a body that still comes in keeps its file's time fresh."""
    return sum(_remove_if_stale(path, older_than) for path in Path(settings.INCOMING_DIR).iterdir())


def remove_orphaned_zips(*, older_than: float = STALE_SECONDS) -> int:
    """Kept zips whose archive is done, or was never committed."""
    folder = Path(settings.STORE_DIR) / unpack.FOLDER
    if not folder.is_dir():
        return 0
    under_way = set(Archive.objects.filter(state__in=leases.UNDER_WAY).values_list("storage_key", flat=True))
    unknown = [path for path in folder.iterdir() if f"{unpack.FOLDER}/{path.name}" not in under_way]
    return sum(_remove_if_stale(path, older_than) for path in unknown)


def close_quiet_uploads() -> int:
    """Close uploads that nobody has sent anything to for a week; they can be reopened."""
    closed = 0
    for upload in quiet_uploads():
        try:
            close_upload(actor=SYSTEM, upload=upload)
            closed += 1
        except DatabaseError:
            log.exception("upload %s could not be closed; the next round tries again", upload.uid)
    return closed


def wake_workers() -> int:
    """Messages may be lost, rows are not: send again for what still waits."""
    waiting = list(unpack.to_unpack().values_list("pk", flat=True)[:MOST_WOKEN])
    for archive_id in waiting:
        queue.send(unpack.TASK, archive_id, queue="io")
    if Item.objects.filter(state=Item.State.RECEIVED).exists():
        queue.wake("gpu")
    for project in projects_to_arrange():
        queue.send(ARRANGE, project.pk, queue="io")
    return len(waiting)


def _remove_if_stale(path: Path, older_than: float) -> bool:
    try:
        if not path.is_file() or time.time() - path.stat().st_mtime < older_than:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    log.info("removed the leftover %s", path.name)
    return True
