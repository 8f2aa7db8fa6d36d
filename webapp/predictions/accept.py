"""Take one received picture into a project: stored, one row each, work waiting, a worker woken."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from classifier.errors import ImageRejected
from classifier.sniff import sniff
from classifier.types import Header
from webapp import queue
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import OspreyError
from webapp.images import states, store
from webapp.images.keep import ReceivedFile
from webapp.images.models import File, Image, Item, Upload
from webapp.images.paths import normalise_path
from webapp.predictions.models import WORTH_A_TRY, Prediction, Priority
from webapp.predictions.retry import retry
from webapp.projects.models import Project
from webapp.rows import insert_row
from webapp.versions.activate import active_pipeline_id

WAITING = (Prediction.State.PENDING, Prediction.State.LEASED)
TRIED_AGAIN = WORTH_A_TRY - {"ended-worker", "no-answer"}
"""Faults of the site at that time: the same bytes again are tried again."""
RIVALS = 3
"""A file, an image and a prediction can each be made by another sender first."""


@dataclass(frozen=True)
class Accepted:
    """What became of one picture. `state` is `new`, or `duplicate` when the project had it already."""

    image_id: int
    prediction_id: int | None
    prediction_state: str
    state: str


def accept_image(
    *,
    actor: Actor,
    project: Project,
    received: ReceivedFile,
    upload: Upload,
    name: str = "",
    item: Item | None = None,
    part: str = "",
    priority: Priority = Priority.BULK,
) -> Accepted:
    """Store a picture and queue its recognition. Raises OspreyError with the picture's own reason when it is refused.

    Sniffing and storing come before the transaction, so that it is short; a file that was stored for a transaction
    that then failed is found again by its hash when the sender repeats.
    """
    require(actor, Action.RECOGNISE, project)
    header = sniff_or_refuse(received, item)
    key = store.keep(received.path, sha256=received.sha256, media_type=header.media_type)
    file = File(sha256=received.sha256, size=received.size, media_type=header.media_type, storage_key=key)
    image = Image(
        project=project,
        upload=upload,
        path=normalise_path(name) if name else "",
        part=part,
        width=header.width,
        height=header.height,
    )
    for _ in range(RIVALS):
        try:
            return _take_in(actor, file, image, item, priority)
        except IntegrityError:
            # Somebody sent the same bytes at the same moment and was first with the file, the image or the work.
            continue
    return _take_in(actor, file, image, item, priority)


@transaction.atomic
def _take_in(actor: Actor, file: File, image: Image, item: Item | None, priority: Priority) -> Accepted:
    """The rows of one picture, as far as they are not there yet."""
    pipeline_id = active_pipeline_id(image.project_id)
    known = _look(file.sha256, image.project_id, pipeline_id)
    image_id = known.image_id or _add_image(file, image, known.file_id)
    prediction_id, state = known.prediction_id, known.prediction_state
    if prediction_id is None and pipeline_id is not None:
        prediction_id, state = _add_prediction(image_id, pipeline_id, priority)
    elif prediction_id is not None:
        if state == Prediction.State.FAILED and known.code in TRIED_AGAIN:
            state = Prediction.State.PENDING if retry(actor=actor, predictions=[prediction_id]) else state
        if state == Prediction.State.PENDING:
            _hurry(prediction_id, priority)
    if state == Prediction.State.PENDING:
        queue.wake("gpu")
    if item is not None:
        _settle_item(item, image_id, known=known, state=state, file=file)
    return Accepted(image_id, prediction_id, state, "duplicate" if known.image_id else "new")


@dataclass(frozen=True)
class Known:
    """What the database has of a picture already."""

    file_id: int | None = None
    image_id: int | None = None
    prediction_id: int | None = None
    prediction_state: str = ""
    code: str = ""
    reason: str = ""


def _look(sha256: str, project_id: int, pipeline_id: int | None) -> Known:
    """One query by hand: every upload asks, and the ORM takes longer to write this than the database to run it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.id, i.id, p.id, p.state, p.code, p.reason FROM images_file f "
            "LEFT JOIN images_image i ON i.file_id = f.id AND i.project_id = %s "
            "LEFT JOIN predictions_prediction p ON p.image_id = i.id AND p.pipeline_id = %s AND p.purpose = 'live' "
            "WHERE f.sha256 = %s",
            [project_id, pipeline_id, sha256],
        )
        row = cursor.fetchone()
    return Known(*row[:3], *(text or "" for text in row[3:])) if row else Known()


def _add_image(file: File, image: Image, file_id: int | None) -> int:
    if file_id is None:
        insert_row(file)
    image.file_id = file_id or file.pk
    insert_row(image)
    states.add_state(image)
    return image.pk


def _add_prediction(image_id: int, pipeline_id: int, priority: Priority) -> tuple[int, str]:
    prediction = Prediction(image_id=image_id, pipeline_id=pipeline_id, priority=priority)
    insert_row(prediction)
    return prediction.pk, prediction.state


def _hurry(prediction_id: int, priority: Priority) -> None:
    """Move up one that waits for somebody less urgent."""
    if priority < Priority.BULK:
        Prediction.objects.filter(pk=prediction_id, state=Prediction.State.PENDING, priority__gt=priority).update(
            priority=priority
        )


def sniff_or_refuse(received: ReceivedFile, item: Item | None) -> Header:
    """The header of a picture; a refused one settles its item with the reason."""
    try:
        return sniff(received.path)
    except ImageRejected as rejected:
        if item is not None:
            reject_item(item=item, code=rejected.code, reason=rejected.reason, sha256=received.sha256)
        raise OspreyError(rejected.reason, code=rejected.code, status=rejected.status) from rejected


def reject_item(*, item: Item, code: str, reason: str, sha256: str = "") -> None:
    """Settle an item as rejected; only one that is still open can be."""
    Item.objects.filter(pk=item.pk, state__in=[Item.State.EXPECTED, Item.State.RECEIVED]).update(
        state=Item.State.REJECTED, code=code, reason=reason, sha256=sha256, changed_at=timezone.now()
    )


def _settle_item(item: Item, image_id: int, *, known: Known, state: str, file: File) -> None:
    """A new picture is settled when its prediction is, a duplicate at once; a duplicate of a failure is one itself.

    A failure that is tried again waits like a new one.
    """
    item.code = item.reason = ""
    if state == Prediction.State.FAILED:
        item.state = Item.State.FAILED if known.code in WORTH_A_TRY else Item.State.REJECTED
        item.code, item.reason = known.code, known.reason
    elif known.image_id is None or known.prediction_state == Prediction.State.FAILED:
        item.state = Item.State.RECEIVED if state in WAITING else Item.State.DONE
    else:
        item.state = Item.State.DUPLICATE
    item.image_id, item.sha256, item.size = image_id, file.sha256, file.size
    item.changed_at = timezone.now()
    item.save(update_fields=["state", "image", "sha256", "size", "code", "reason", "changed_at"])
