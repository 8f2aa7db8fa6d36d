"""Queues the questions of a backfill, piece by piece: each piece is one short transaction, and can be done again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from webapp import leases, queue
from webapp.images import states
from webapp.images.models import Image, ImageState
from webapp.predictions.beside import delete_waiting
from webapp.predictions.live import answers, machine_says
from webapp.predictions.models import Prediction, Priority
from webapp.rows import insert_rows, read_rows
from webapp.runs.backfills.ask import OPEN, TASK, UNDER_WAY, end_early, questions
from webapp.runs.models import Backfill
from webapp.versions.activate import active_pipeline_id

log = logging.getLogger(__name__)

PIECE = 500
State, Purpose = Backfill.State, Prediction.Purpose
Stop = Callable[[], bool]


def never() -> bool:
    return False


def queue_up(pk: int, should_stop: Stop = never) -> Backfill | None:
    """Queue all that is left to ask; None when somebody else is at it, or it has ended."""
    if not leases.take(leases.free(Backfill.objects.all()), pk):
        return None
    row = Backfill.objects.select_related("project", "pipeline").get(pk=pk)
    if leases.is_worn_out(row):
        leases.end(row, State.FAILED, reason="Queuing it ended its worker each time.")
        return None
    try:
        while ids := _next_images(row):
            asked = _queue_piece(row, ids)
            row.after, row.asked = ids[-1], row.asked + asked
            leases.renew(row, after=row.after, asked=row.asked, attempts=1)
            if should_stop():
                leases.release(row)
                return row
        leases.write(row, state=State.ASKED, lease_token="", lease_until=None)
    except leases.LeaseLost:
        log.info("%s was stopped, or goes on elsewhere", row)
        if Backfill.objects.filter(pk=row.pk, state=State.CANCELLED).exists():
            delete_waiting(questions(row))
    row.refresh_from_db()
    return row


def _next_images(row: Backfill) -> list[int]:
    images = Image.objects.filter(project=row.project_id, withdrawn_at=None, pk__gt=row.after)
    return list(images.order_by("pk").values_list("pk", flat=True)[:PIECE])


@transaction.atomic
def _queue_piece(row: Backfill, ids: Sequence[int]) -> int:
    """How many of these images the pipeline is asked about, those counted whose answer by it is there already."""
    asked = _to_ask(row, ids)
    here = {one.image_id: one for one in Prediction.objects.filter(
        pipeline=row.pipeline_id, purpose=row.purpose, image_id__in=asked
    )}  # fmt: skip
    fresh = [image_id for image_id in asked if image_id not in here]
    insert_rows(
        [
            Prediction(image_id=image_id, pipeline_id=row.pipeline_id, purpose=row.purpose, priority=Priority.HISTORY)
            for image_id in fresh
        ],
        skip_known=True,
    )
    failed = [one.pk for one in here.values() if one.state == Prediction.State.FAILED]
    Prediction.objects.filter(pk__in=failed, state=Prediction.State.FAILED).update(
        state=Prediction.State.PENDING, attempts=0, code="", reason="", done_at=None, created_at=timezone.now()
    )
    _put_in_force(row, [one for one in here.values() if one.state == Prediction.State.DONE])
    queue.wake("gpu")
    return len(asked)


def _to_ask(row: Backfill, ids: Sequence[int]) -> list[int]:
    """Images whose answer is not this pipeline's, nor about to be."""
    if row.purpose == Purpose.HISTORY:
        answered = {image_id for image_id, one in answers(ids).items() if one.pipeline_id == row.pipeline_id}
    else:
        done = Prediction.objects.filter(pipeline=row.pipeline_id, image_id__in=ids, state=Prediction.State.DONE)
        answered = set(done.values_list("image_id", flat=True))
    coming = Prediction.objects.filter(pipeline=row.pipeline_id, image_id__in=ids, state__in=OPEN, purpose=Purpose.LIVE)
    answered |= set(coming.values_list("image_id", flat=True))
    return [image_id for image_id in ids if image_id not in answered]


def _put_in_force(row: Backfill, said: Sequence[Prediction]) -> None:
    """It was asked before, and another one since: what it said then is what it would say now, and counts again."""
    if row.purpose != Purpose.HISTORY or not said:
        return
    Prediction.objects.filter(pk__in=[one.pk for one in said]).update(done_at=timezone.now())
    ids = sorted(one.image_id for one in said)
    there = [state.pk for state in read_rows(ImageState, "image_id", ids, lock=True)]
    states.after_prediction({key: value for key, value in machine_says(there).items() if key in there}, measured={})


def look() -> None:
    """The regular look: wakes what waits, ends what is answered, and stops what no longer is the pipeline in use."""
    for row in Backfill.objects.filter(state__in=UNDER_WAY).select_related("project"):
        if row.purpose == Purpose.HISTORY and active_pipeline_id(row.project_id) != row.pipeline_id:
            end_early(row, "Another version answers now.")
        elif row.state == State.ASKED:
            _end_if_answered(row)
        else:
            leases.take_from_the_dead(row)
            queue.send(TASK, row.pk, queue="io")


def _end_if_answered(row: Backfill) -> None:
    if not questions(row).filter(state__in=OPEN).exists():
        Backfill.objects.filter(pk=row.pk, state=State.ASKED).update(state=State.DONE, done_at=Now())
