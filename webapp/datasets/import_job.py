"""Works through an import: chunk by chunk, each in one short transaction, from wherever the last worker ended.

What was dealt with has an item, written in the transaction of its image and labels; so a process that is killed loses
nothing, and one that goes on doubles nothing, also when the source has changed meanwhile.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.datasets import bulk_accept, import_chunk, import_lease, sent_source, watch
from webapp.datasets.external_results import machine_of
from webapp.datasets.formats.opening import open_source
from webapp.datasets.formats.records import ImageRecord, Source, SourceError
from webapp.datasets.import_checksum import checksum_of
from webapp.datasets.import_chunk import Job
from webapp.datasets.import_places import Places
from webapp.datasets.import_words import Words
from webapp.datasets.known_paths import KnownPaths
from webapp.datasets.models import Import, JobState
from webapp.datasets.notices import Notices
from webapp.images.arrange import TASK as ARRANGE
from webapp.images.models import Item, Upload
from webapp.images.quota import OverQuota, check_quota
from webapp.leases import LeaseLost

log = logging.getLogger(__name__)

TASK = "webapp.datasets.tasks_import.run_import"
ANALYSE = "webapp.reviews.tasks_analysis.analyse"
SLICE_SECONDS = 60.0
RENEW_SECONDS = 5.0
FULL = "The disk of this site is full: it goes on when there is room again."

Progress = Callable[[int, int], None]
"""Called with how many records are dealt with, and how many there are in all (0: not known yet)."""


class Paused(Exception):
    """The site cannot take more at present; the import waits. The message says for what."""


def run(row: Import, *, progress: Progress | None = None, seconds: float | None = None) -> bool:
    """Work on an import whose lease this process holds. True when there is more to do, so that the caller comes back.

    Without `seconds` to the end. What is wrong with the source ends the import with its words.
    """
    try:
        if not _work(row, progress, seconds):
            leases.release(row)
            return True
        _finish(row)
    except (SourceError, sent_source.SentRefused, OverQuota) as error:
        _end_or_wait(row, sent_source.said(row, str(error)))
    except (Paused, bulk_accept.CannotStore) as pause:
        _wait(row, str(pause))
    except LeaseLost:
        log.warning("%s: it was stopped, or another worker has taken over", row)
    return False


def run_by_id(import_id: int, *, seconds: float = SLICE_SECONDS) -> bool:
    """A worker's slice of an import, if nobody else is at it."""
    row = import_lease.lease(import_id)
    return run(row, seconds=seconds) if row is not None else False


def _work(row: Import, progress: Progress | None, seconds: float | None) -> bool:
    """True when the source is at its end, False when the slice is over."""
    _check_room(row)
    root = sent_source.ready(row, lambda: leases.renew(row))
    source = _open(row, root)
    until = time.monotonic() + seconds if seconds is not None else None
    job = _job(row, source, root)
    with closing(job.paths):
        for chunk in _chunks(source.images(), job):
            _take(job, chunk)
            if progress is not None:
                progress(row.cursor, int(row.forecast.get("files", 0)))
            if until is not None and time.monotonic() >= until:
                return False
        named = [] if job.machine is not None else [record.name for record in source.head.labels]
        job.words.offer_merging([*named, *job.met])
        leases.renew(row, cursor=job.seen, notices=job.notices.as_list())
    return True


def _open(row: Import, root: Path) -> Source:
    if row.upload.kind == Upload.Kind.WATCH and row.format == watch.FOLDER:
        return watch.FolderSource(root)
    return open_source(root, format=row.format, options=source_options(row))


def source_options(row: Import) -> dict[str, object]:
    """The options of the reader; the import's own are kept beside them."""
    options = dict(row.options.get("source", {}))
    return {**options, "mapping": row.mapping} if row.mapping else options


def _job(row: Import, source: Source, root: Path) -> Job:
    notices = Notices(row.notices)
    for sentence in source.head.notices:
        notices.say(sentence)
    words = Words(row.project, notices)
    machine = machine_of(row.project, source.head)
    if machine is None:
        words.declare(source.head.labels)
    if machine is not None and row.pipeline_id is None:
        leases.renew(row, pipeline=machine.pipeline)
        row.pipeline = machine.pipeline
    if source.head.licence and not row.upload.licence:
        row.upload.licence = source.head.licence[:200]
        row.upload.save(update_fields=["licence"])
    return Job(
        row=row,
        root=root,
        actor=Actor(Via.SYSTEM, user=row.upload.created_by),
        notices=notices,
        words=words,
        places=Places(row.project, source.head, notices),
        machine=machine,
        paths=KnownPaths(row.project),
        renew=_renewing(row),
    )


def _renewing(row: Import) -> Callable[[], None]:
    """Keeps the lease while pictures are stored, at most every few seconds."""
    renewed = time.monotonic()

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed >= RENEW_SECONDS:
            leases.renew(row)
            renewed = time.monotonic()

    return renew


def _chunks(records: Iterator[ImageRecord], job: Job) -> Iterator[list[ImageRecord]]:
    """The records that are not dealt with yet. A watched folder gives those that nobody writes to any more."""
    records = iter(watch.at_rest(job.row, records)) if job.row.upload.kind == Upload.Kind.WATCH else records
    seen = 0
    while chunk := list(islice(records, bulk_accept.CHUNK)):
        seen += len(chunk)
        fresh = _fresh(job, chunk)
        job.seen = seen
        if fresh:
            yield fresh
        else:
            job.renew()


def _fresh(job: Job, chunk: Sequence[ImageRecord]) -> list[ImageRecord]:
    by_path: dict[str, ImageRecord] = {}
    for record in chunk:
        path = import_chunk.path_of(record)
        if path in by_path:
            job.notices.count("repeated", path)
        by_path.setdefault(path, record)
    known = set(Item.objects.filter(upload_id=job.row.upload_id, path__in=list(by_path)).values_list("path", flat=True))
    return [record for path, record in by_path.items() if path not in known]


def _take(job: Job, chunk: Sequence[ImageRecord]) -> None:
    """Store the pictures, then write everything about them at once."""
    _check_room(job.row)
    prepared = import_chunk.prepare(job, chunk)
    with transaction.atomic():
        counted = import_chunk.write(job, prepared)
        counts = {name: job.row.counts.get(name, 0) + n for name, n in counted.items()}
        job.row.counts = {**job.row.counts, **counts}
        job.row.cursor = job.seen
        leases.renew(
            job.row,
            cursor=job.row.cursor,
            counts=job.row.counts,
            notices=job.notices.as_list(),
            attempts=1,
        )


def _check_room(row: Import) -> None:
    if shutil.disk_usage(settings.INCOMING_DIR).free < settings.FREE_DISK_FLOOR_BYTES:
        raise Paused(FULL)
    check_quota(user=row.upload.created_by, more=0)


def _finish(row: Import) -> None:
    if row.upload.kind == Upload.Kind.WATCH:
        _pause_watch(row)
        return
    checksum = checksum_of(row)
    with transaction.atomic():
        leases.end(row, JobState.DONE)
        Upload.objects.filter(pk=row.upload_id).update(state=Upload.State.CLOSED, closed_at=Now(), checksum=checksum)
        _follow_up(row)
        audit.record(
            actor=Actor(Via.SYSTEM, user=row.upload.created_by),
            action="import",
            project_id=row.project_id,
            subject=f"import:{row.uid}",
            checksum=checksum,
            **row.counts,
        )
    sent_source.remove(row)


@transaction.atomic
def _pause_watch(row: Import) -> None:
    """A watched folder is never done: the next look comes after a pause."""
    came = row.counts.get("files", 0)
    if came != row.options.get("followed_up", 0):
        _follow_up(row)
        row.options = {**row.options, "followed_up": came}
    leases.release(row)
    Import.objects.filter(pk=row.pk).update(options=row.options)


def _follow_up(row: Import) -> None:
    queue.send(ARRANGE, row.project_id, queue="io")
    queue.send(ANALYSE, row.project_id)


def _end_or_wait(row: Import, reason: str) -> None:
    """A watched folder is looked at again: its disk or share may be back by then."""
    if row.upload.kind == Upload.Kind.WATCH:
        _wait(row, reason)
    else:
        _fail(row, reason)


def _wait(row: Import, reason: str) -> None:
    log.warning("%s waits: %s", row, reason)
    try:
        leases.release(row, reason=reason)
    except LeaseLost:
        log.warning("%s: it was stopped meanwhile", row)


@transaction.atomic
def _fail(row: Import, reason: str) -> None:
    try:
        leases.end(row, JobState.FAILED, reason=reason)
    except LeaseLost:
        return
    Upload.objects.filter(pk=row.upload_id).update(state=Upload.State.FAILED, reason=reason)
