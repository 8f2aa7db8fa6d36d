"""Unpacks an archive entry by entry into pictures, in slices, from where the last worker ended."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import transaction

from webapp import events, leases
from webapp.access.actors import Actor, Via
from webapp.errors import OspreyError
from webapp.images import unpack as archives
from webapp.images import zips
from webapp.images.archive_names import Listed, Survey, listed, survey
from webapp.images.items import reject_item
from webapp.images.keep import ReceivedFile
from webapp.images.models import Archive, Item, Upload
from webapp.predictions.accept import accept_image
from webapp.predictions.models import Priority

log = logging.getLogger(__name__)

SLICE_SECONDS = 20.0
LOOK_SLICE_SECONDS = 5.0
RENEW_SECONDS = 5.0
CHUNK = 200
REGISTER_CHUNK = 1000
CANNOT_WRITE = "The store cannot be written ({}): it goes on when it can."


class Paused(Exception):
    """The site cannot take more at present; the archive waits. The message says for what."""


@dataclass
class Job:
    """One slice of work on a leased archive."""

    archive: Archive
    file: BinaryIO
    limits: zips.ZipLimits
    table: zips.Table
    survey: Survey
    counter: zips.Counter
    until: float
    renewed: float

    @property
    def upload(self) -> Upload:
        return self.archive.upload

    @property
    def actor(self) -> Actor:
        """Whoever sent the zip was let in then; the site does the rest in their name."""
        return Actor(Via.SYSTEM, user=self.upload.created_by)


def limits() -> zips.ZipLimits:
    return replace(
        zips.ZipLimits(), entry_bytes=settings.MAX_IMAGE_BYTES, total_bytes=max(2 * settings.MAX_ZIP_BYTES, zips.MIB)
    )


def unpack(archive_id: int, *, seconds: float = SLICE_SECONDS, bounds: zips.ZipLimits | None = None) -> bool:
    """Work on an archive for a slice of time. True when there is more to do, so that the caller comes back."""
    archive = archives.lease(archive_id)
    if archive is None:
        return False
    try:
        with archives.path_of(archive).open("rb") as file:
            is_done = _work(_job(archive, file, seconds, bounds or limits()))
        if not is_done:
            archives.release(archive)
            return True
        archives.finish(archive)
    except zips.ArchiveRefused as refused:
        archives.fail(archive, code=refused.code, reason=refused.what)
    except FileNotFoundError:
        archives.fail(archive, code="file-missing", reason="The stored zip is gone: send it again.")
    except Paused as pause:
        log.warning("%s waits: %s", archive, pause)
        archives.release(archive, reason=str(pause))
    except leases.LeaseLost:
        log.warning("%s: another worker has taken over", archive)
    return False


def unpack_what_waits() -> None:
    """The look of an io worker: a short slice for each archive that nobody works on, without broker or beat."""
    for archive_id in list(archives.to_unpack().values_list("pk", flat=True)):
        unpack(archive_id, seconds=LOOK_SLICE_SECONDS)


def _job(archive: Archive, file: BinaryIO, seconds: float, bounds: zips.ZipLimits) -> Job:
    table = zips.find_table(file, bounds)
    now = time.monotonic()
    return Job(
        archive=archive,
        file=file,
        limits=bounds,
        table=table,
        survey=survey(zips.entries(file, table, bounds), prefix=archive.item.path),
        counter=zips.Counter(archive.size, bounds, archive.unpacked_bytes),
        until=now + seconds,
        renewed=now,
    )


def _work(job: Job) -> bool:
    """True when every entry is dealt with, False when the slice is over."""
    if job.archive.entries is None:
        _register(job)
    for chunk in _chunks(job, CHUNK):
        items = {
            item.path: item
            for item in job.upload.items.filter(path__in=[one.path for one in chunk], state=Item.State.EXPECTED)
        }
        try:
            for one in chunk:
                if one.side_kind is None and one.path in items:
                    _take(job, one, items[one.path])
                job.archive.cursor = one.number + 1
                job.archive.unpacked_bytes = job.counter.total
                _renew_in_time(job)
                if time.monotonic() >= job.until:
                    return False
        finally:
            _tell(job.upload, list(items))
    job.archive.cursor = job.survey.entries
    return True


def _chunks(job: Job, size: int) -> Iterator[list[Listed]]:
    """The entries from the cursor on, without folders."""
    rest = (
        one
        for one in listed(zips.entries(job.file, job.table, job.limits), job.survey)
        if one.number >= job.archive.cursor
    )
    while chunk := list(islice(rest, size)):
        yield chunk


def _register(job: Job) -> None:
    """Make every entry an item before the first is unpacked, so that the page knows how many there are."""
    side_files: Counter[str] = Counter()
    for chunk in _chunks(job, REGISTER_CHUNK):
        rows = [_item(job.upload, one) for one in chunk if one.side_kind is None]
        Item.objects.bulk_create(rows, batch_size=REGISTER_CHUNK, ignore_conflicts=True)
        side_files.update(one.side_kind for one in chunk if one.side_kind is not None)
        _renew_in_time(job)
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=job.upload.pk)
        if Archive.objects.filter(pk=job.archive.pk, entries=None).update(entries=job.survey.entries):
            upload.side_files = dict(Counter(upload.side_files) + side_files)
            upload.save(update_fields=["side_files"])
    job.archive.entries = job.survey.entries


def _item(upload: Upload, one: Listed) -> Item:
    refused = zips.refusal(one.entry)
    if refused is None:
        return Item(upload=upload, path=one.path)
    return Item(upload=upload, path=one.path, state=Item.State.REJECTED, code=refused.code[:40], reason=refused.what)


def _take(job: Job, one: Listed, item: Item) -> None:
    """One entry through the same door as a single upload; a bad one is settled with its reason."""
    received: ReceivedFile | None = None
    try:
        received = _write(job, one)
        accept_image(
            actor=job.actor,
            project=job.upload.project,
            received=received,
            upload=job.upload,
            name=item.path,
            item=item,
            priority=Priority.BULK,
        )
    except zips.ArchiveRefused:
        raise
    except OSError as error:
        raise Paused(CANNOT_WRITE.format(error.strerror)) from error
    except OspreyError as error:
        if error.status >= 500:
            raise Paused(error.what) from error
        reject_item(upload=job.upload, path=item.path, error=error, sha256=received.sha256 if received else "")
    finally:
        if received is not None:
            received.path.unlink(missing_ok=True)


def _write(job: Job, one: Listed) -> ReceivedFile:
    """The entry in a temporary file of the store, hashed; nothing is left of one that is refused."""
    _need_room()
    handle, name = tempfile.mkstemp(prefix="zip-", dir=settings.INCOMING_DIR)
    path, digest, size = Path(name), hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as out:
            for piece in zips.read_entry(job.file, job.table, one.entry, job.counter):
                if size == 0 and piece.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                    raise zips.EntryRefused(
                        "It is a zip inside a zip: unpack it and send it by itself.", code="zip-nested"
                    )
                out.write(piece)
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Paused(CANNOT_WRITE.format(error.strerror)) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return ReceivedFile(path=path, sha256=digest.hexdigest(), size=size)


def _need_room() -> None:
    if shutil.disk_usage(settings.INCOMING_DIR).free < settings.FREE_DISK_FLOOR_BYTES:
        raise Paused("The disk of this site is full: it goes on when there is room again.")


def _renew_in_time(job: Job) -> None:
    now = time.monotonic()
    if now - job.renewed >= RENEW_SECONDS:
        archives.renew(job.archive)
        job.renewed = now


def _tell(upload: Upload, paths: list[str]) -> None:
    """News of what was settled at once: rejected entries and duplicates. Recognised ones tell by themselves."""
    settled = upload.items.filter(path__in=paths, state__in=[Item.State.REJECTED, Item.State.DUPLICATE])
    news = [
        {"item": item.pk, "image": item.image_id, "state": item.state, "code": item.code}
        for item in settled.only("pk", "state", "image_id", "code")
    ]
    if news:
        events.publish(f"{events.UPLOADS}{upload.uid}", news)
