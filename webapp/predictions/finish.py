"""Do now, in this process, what workers would do later: measure images, finish what waits.

Both are safe beside running workers and without any: rows are claimed by the lease protocol, measures are the same
whoever takes them.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q, QuerySet

from classifier.types import Failure
from webapp.images import states
from webapp.images.models import Image
from webapp.images.store import open_original
from webapp.predictions.catch_up import catch_up
from webapp.predictions.claim import Work, extend
from webapp.predictions.drain import Drainer
from webapp.predictions.look import Measures, measure
from webapp.predictions.measures import write_measures
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project

log = logging.getLogger(__name__)

BATCH = 128
WAITING = (Prediction.State.PENDING, Prediction.State.LEASED)
PAUSE_SECONDS = 0.2
STUCK_SECONDS = 600.0

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are in all."""


@dataclass(frozen=True)
class MeasuredNow:
    """How many images were measured, and why others could not be, by image."""

    measured: int
    failed: dict[int, str]


class Stuck(Exception):
    """Nothing went on for ten minutes: a worker elsewhere holds what is left, or a model folder cannot be used."""


def measure_now(*, project: Project, progress: Progress | None = None) -> MeasuredNow:
    """Decode every image of the project that has no measures yet: hash, quality, facts and thumbnail, without a model.

    Flat memory, one short transaction for each 128 images. An image that cannot be decoded stays unmeasured.
    """
    unmeasured = Image.objects.filter(project=project, measured_at=None, withdrawn_at=None)
    total, done = unmeasured.count(), 0
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(settings.DECODE_THREADS or os.cpu_count() or 2, thread_name_prefix="measure") as threads:
        for works in _batches(unmeasured):
            looked = list(zip(works, threads.map(measure, works), strict=True))
            failed |= {work.image_id: look.reason for work, look in looked if isinstance(look, Failure)}
            _record([(work, look) for work, look in looked if isinstance(look, Measures)])
            done += len(works)
            if progress is not None:
                progress(done, total)
    return MeasuredNow(done - len(failed), failed)


def _batches(images: QuerySet[Image]) -> Iterator[list[Work]]:
    after = 0
    while True:
        rows = images.filter(pk__gt=after).select_related("file", "site", "visit", "project").order_by("pk")[:BATCH]
        found = [_work(image) for image in rows]
        if not found:
            return
        yield found
        after = found[-1].image_id


def _work(image: Image) -> Work:
    clocks = (image.visit, image.site, image.project)
    return Work(
        prediction_id=0,
        image_id=image.pk,
        project_id=image.project_id,
        pipeline_id=0,
        purpose=Prediction.Purpose.MEASURE,
        sha256=image.file.sha256,
        path=str(open_original(image.file)),
        is_in_place=bool(image.file.in_place_path),
        clock_offset_seconds=image.visit.clock_offset_seconds if image.visit else 0,
        time_zone=next((one.time_zone for one in clocks if one is not None and one.time_zone), "UTC"),
    )


@transaction.atomic
def _record(found: Sequence[tuple[Work, Measures]]) -> None:
    states.take_over(list(write_measures(found)))


def finish_waiting(*, project: Project, progress: Progress | None = None) -> int:
    """Recognise in this process until no image of the project waits any more; returns how many had waited.

    Other workers may take a part. Raises Stuck when nothing goes on for ten minutes.
    """
    catch_up(project.pk)
    return _finish(project, Q(priority__lt=Priority.BESIDE), progress)


def finish_background(*, project: Project, progress: Progress | None = None) -> int:
    """The same until nothing at all waits, history included."""
    return _finish(project, Q(), progress)


def _finish(project: Project, which: Q, progress: Progress | None) -> int:
    if not _left(project, which):
        return 0
    drainer = Drainer(f"command@{socket.gethostname()}:{os.getpid()}", project_id=project.pk)
    try:
        with _leases_kept(drainer):
            return _drain_all(drainer, project, which, progress)
    finally:
        drainer.close()


def _left(project: Project, which: Q) -> int:
    # By pipeline, which the index knows, and each pipeline belongs to one project.
    return Prediction.objects.filter(which, pipeline__project=project, state__in=WAITING).count()


def _drain_all(drainer: Drainer, project: Project, which: Q, progress: Progress | None) -> int:
    total = left = _left(project, which)
    moved_at = time.monotonic()
    while left:
        done = drainer.drain()
        before, left = left, _left(project, which)
        if done or left != before:
            moved_at = time.monotonic()
        elif time.monotonic() - moved_at > STUCK_SECONDS:
            raise Stuck(f"{left} images still wait. {drainer.host.problem or 'Does another worker hold them?'}")
        total = max(total, left)
        if progress is not None:
            progress(total - left, total)
        if left and not done:
            time.sleep(PAUSE_SECONDS)
    return total


@contextmanager
def _leases_kept(drainer: Drainer) -> Iterator[None]:
    """A slow machine may take longer over a batch than a lease lasts; workers have a heartbeat for that."""
    ends = threading.Event()

    def keep() -> None:
        while not ends.wait(settings.LEASE_SECONDS / 3):
            try:
                if drainer.held:
                    extend(list(drainer.held))
            except DatabaseError:
                log.warning("leases could not be renewed; it is tried again", exc_info=True)
        connection.close()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()
