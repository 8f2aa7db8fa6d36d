"""Zips of an upload: taken in whole, then leased to one worker at a time until every entry is an item.

Unpacking itself is in `webapp.predictions.unpack`, since each entry becomes a picture with a prediction.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp import leases, queue
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, OspreyError
from webapp.images.items import ARCHIVE
from webapp.images.keep import ReceivedFile
from webapp.images.models import Archive, Item, Upload
from webapp.images.paths import normalise_path
from webapp.images.uploads import ACCEPTING, settle_never_came

TASK = "webapp.predictions.tasks_io.unpack"
FOLDER = "incoming-zips"
State = Archive.State


def is_zip(path: Path) -> bool:
    """By its first bytes; an empty zip begins with its end."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def accept_zip(*, actor: Actor, upload: Upload, received: ReceivedFile, name: str = "") -> Archive:
    """Keep a zip and have it unpacked. The same zip again is the archive that is there; one that failed goes on."""
    require(actor, Action.RECOGNISE, upload.project)
    if not is_zip(received.path):
        raise OspreyError("This is not a zip: send pictures, or a .zip of them.", code="not-a-zip", status=415)
    key = f"{FOLDER}/{upload.uid}-{received.sha256}.zip"
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload.pk)
        known = upload.archives.filter(sha256=received.sha256).first()
        if known is not None and known.state != State.FAILED:
            received.path.unlink(missing_ok=True)
            return known
        if upload.state not in ACCEPTING or upload.closed_at is not None:
            raise Conflict(f"This upload is {upload.get_state_display()}: reopen it, or start another.", code="closed")
        _keep(received.path, key)
        archive = known or _add(upload, received, key, normalise_path(name or "archive.zip"))
        if known is not None:
            _expect_again(known)
            said = f"{known.item.path}: "
            upload.reason = "\n".join(line for line in upload.reason.splitlines() if not line.startswith(said))
        upload.state = Upload.State.WORKING
        upload.save(update_fields=["state", "reason"])
        queue.send(TASK, archive.pk)
    return archive


def _add(upload: Upload, received: ReceivedFile, key: str, path: str) -> Archive:
    return Archive.objects.create(
        upload=upload,
        item=_item_of(upload, path, received),
        sha256=received.sha256,
        size=received.size,
        storage_key=key,
    )


def _expect_again(archive: Archive) -> None:
    """What a zip that failed left undone is to be done; it goes on where it ended."""
    archive.state, archive.attempts, archive.reason, archive.done_at = State.WAITING, 0, "", None
    archive.save(update_fields=["state", "attempts", "reason", "done_at"])
    now = timezone.now()
    Item.objects.filter(pk=archive.item_id).update(state=Item.State.RECEIVED, code=ARCHIVE, reason="", changed_at=now)
    undone = archive.upload.items.filter(path__startswith=f"{archive.item.path}/", state=Item.State.FAILED, image=None)
    undone.update(state=Item.State.EXPECTED, code="", reason="", changed_at=now)


def path_of(archive: Archive) -> Path:
    return Path(settings.STORE_DIR) / archive.storage_key


def to_unpack() -> QuerySet[Archive]:
    """Archives that nobody is at work on."""
    return leases.free(Archive.objects.all())


def lease(archive_id: int) -> Archive | None:
    """Take an archive, or None when another worker has it or nothing is left to do.

    One that ended three workers without an entry done in between fails instead.
    """
    if not leases.take(to_unpack(), archive_id, reason=""):
        return None
    archive = Archive.objects.select_related("upload__project", "upload__created_by", "item").get(pk=archive_id)
    if leases.is_worn_out(archive):
        fail(
            archive,
            code="ended-worker",
            reason="Unpacking it ended the worker each time. Send the pictures themselves.",
        )
        return None
    return archive


def renew(archive: Archive) -> None:
    """Keep the lease and store how far it is; each step forward clears the count of tries."""
    before = Archive.objects.values_list("cursor", flat=True).get(pk=archive.pk)
    if archive.cursor > before:
        archive.attempts = 1
    leases.renew(archive, **_how_far(archive), attempts=archive.attempts)


def release(archive: Archive, *, reason: str = "") -> None:
    """Give it back unfinished, in good order. With a `reason` it pauses for a while, since nothing would change."""
    leases.release(archive, reason=reason, **_how_far(archive))


def _how_far(archive: Archive) -> dict[str, int]:
    return {"cursor": archive.cursor, "unpacked_bytes": archive.unpacked_bytes}


@transaction.atomic
def finish(archive: Archive) -> None:
    """Every entry is an item now; the zip itself is no longer kept."""
    leases.end(archive, State.DONE, cursor=archive.cursor)
    Item.objects.filter(pk=archive.item_id).update(
        state=Item.State.DONE, code=ARCHIVE, reason=f"Unpacked: {archive.entries:,} entries.", changed_at=timezone.now()
    )
    _settle_upload(archive, reason="")


@transaction.atomic
def fail(archive: Archive, *, code: str, reason: str) -> None:
    """Stop for good with a reason; what was unpacked stays, what was not is settled with that reason."""
    leases.end(archive, State.FAILED, reason=reason)
    now = timezone.now()
    Item.objects.filter(pk=archive.item_id).update(state=Item.State.FAILED, code=code, reason=reason, changed_at=now)
    archive.upload.items.filter(path__startswith=f"{archive.item.path}/", state=Item.State.EXPECTED).update(
        state=Item.State.FAILED, code=code, reason=f"Its archive was not read to the end. {reason}", changed_at=now
    )
    _settle_upload(archive, reason=f"{archive.item.path}: {reason}")


def _settle_upload(archive: Archive, *, reason: str) -> None:
    """The state of the upload once one of its archives has ended; and the zip's file goes."""
    upload = Upload.objects.select_for_update().get(pk=archive.upload_id)
    if reason:
        upload.reason = "\n".join(filter(None, [upload.reason, reason]))
    if upload.archives.filter(state__in=leases.UNDER_WAY).exists():
        upload.state = Upload.State.WORKING
    else:
        if upload.closed_at is not None:
            settle_never_came(upload)
        ended = Upload.State.CLOSED if upload.closed_at is not None else Upload.State.OPEN
        upload.state = Upload.State.FAILED if _is_all_lost(upload) else ended
    upload.save(update_fields=["state", "reason"])
    transaction.on_commit(lambda: path_of(archive).unlink(missing_ok=True))


def _is_all_lost(upload: Upload) -> bool:
    """Whether a failed archive left nothing of the upload that came in; else its own item says enough."""
    good = (Item.State.DONE, Item.State.DUPLICATE, Item.State.RECEIVED)
    if not upload.archives.filter(state=State.FAILED).exists():
        return False
    return not upload.items.filter(state__in=good).exclude(archive__isnull=False).exists()


def _item_of(upload: Upload, path: str, received: ReceivedFile) -> Item:
    """The zip's own item, announced or not; a second zip of that name gets a number."""
    taken = set(upload.archives.values_list("item__path", flat=True))
    stem, number = path.removesuffix(".zip"), 1
    while path in taken:
        number += 1
        path = f"{stem} ({number}).zip"
    values = {"state": Item.State.RECEIVED, "code": ARCHIVE, "reason": "", "changed_at": timezone.now()}
    return Item.objects.update_or_create(
        upload=upload, path=path, defaults={**values, "sha256": received.sha256, "size": received.size}
    )[0]


def _keep(path: Path, key: str) -> None:
    final = Path(settings.STORE_DIR) / key
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.rename(final)
