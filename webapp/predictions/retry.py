"""Puts failed predictions back to waiting, and the files of an upload that failed with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from webapp import queue
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.images import states
from webapp.images.models import Item, Upload
from webapp.predictions.live import machine_says
from webapp.predictions.models import WORTH_A_TRY, Prediction

CHUNK = 500
SETTLING = (Prediction.Purpose.LIVE, Prediction.Purpose.MEASURE)
State = Prediction.State


def retry(*, actor: Actor, predictions: Iterable[int]) -> int:
    """Try failed predictions (by id) once more; returns how many wait now. Those in another state stay as they are."""
    ids = list(dict.fromkeys(predictions))
    retried = 0
    for start in range(0, len(ids), CHUNK):
        retried += _retry_some(actor, ids[start : start + CHUNK])
    return retried


def retry_failed(*, actor: Actor, upload: Upload) -> int:
    """Try again what failed in an upload, and only that; returns how many images wait now."""
    require(actor, Action.RECOGNISE, upload.project)
    failed = Prediction.objects.filter(
        state=State.FAILED, code__in=WORTH_A_TRY, purpose__in=SETTLING, image__items__upload=upload
    ).order_by("pk")
    return retry(actor=actor, predictions=list(failed.values_list("pk", flat=True).distinct()))


@transaction.atomic
def _retry_some(actor: Actor, ids: Sequence[int]) -> int:
    rows = list(
        Prediction.objects.select_for_update(of=("self",))
        .filter(pk__in=ids, state=State.FAILED)
        .select_related("image__project")
        .order_by("image__project_id", "pk")
    )
    for _, group in groupby(rows, key=lambda row: row.image.project_id):
        require(actor, Action.RECOGNISE, next(group).image.project)
    retried = Prediction.objects.filter(pk__in=[row.pk for row in rows], state=State.FAILED).update(
        state=State.PENDING, attempts=0, code="", reason="", done_at=None, lease_token="", lease_until=None
    )
    image_ids = [row.image_id for row in rows if row.purpose in SETTLING]
    Item.objects.filter(image_id__in=image_ids, state__in=[Item.State.FAILED, Item.State.REJECTED]).update(
        state=Item.State.RECEIVED, code="", reason="", changed_at=timezone.now()
    )
    said = machine_says(image_ids)
    states.after_prediction({image_id: said.get(image_id, states.MachineSays()) for image_id in image_ids}, measured={})
    if retried:
        queue.wake("gpu")
    return retried
