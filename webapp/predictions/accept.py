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
from webapp.predictions import coming
from webapp.predictions.models import WORTH_A_TRY, Prediction, Priority
from webapp.predictions.retry import retry
from webapp.projects.models import Project
from webapp.rows import insert_row
from webapp.versions.activate import active_pipeline_id
from webapp.versions.measuring import measuring_pipeline_id

WAITING = (Prediction.State.PENDING, Prediction.State.LEASED)
TRIED_AGAIN = WORTH_A_TRY - {"ended-worker", "no-answer"}
"""Faults of the site at that time: the same bytes again are tried again."""
REFRESH = "webapp.datasets.tasks_import.refresh"
RIVALS = 3
"""A file, an image and a prediction can each be made by another sender first."""


@dataclass(frozen=True)
class Accepted:
    """What became of one picture. `state` is `new`, or `duplicate` when the project had it already.

    There is a prediction where a pipeline is in use.
    """

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
    if priority == Priority.CALL:
        coming.announce(project_id=project.pk, received=received, key=store.key_of(received.sha256, header.media_type))
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
    work = waiting_prediction(image.project_id)
    known = _look(file.sha256, image.project_id, work)
    image_id = known.image_id or _add_image(file, image, known.file_id)
    if known.is_withdrawn:
        _bring_in_again(image_id, image.upload_id)
    prediction_id, state = known.prediction_id, known.prediction_state
    if prediction_id is None and work is not None:
        prediction_id, state = _add_prediction(image_id, work, priority)
    elif prediction_id is not None:
        if state == Prediction.State.FAILED and known.code in TRIED_AGAIN:
            state = Prediction.State.PENDING if retry(actor=actor, predictions=[prediction_id]) else state
        if state == Prediction.State.PENDING:
            _hurry(prediction_id, priority)
    if state == Prediction.State.PENDING:
        queue.wake("gpu")
    if item is not None:
        _settle_item(item, image_id, known=known, state=state, file=file)
    came = "duplicate" if known.image_id else "new"
    if work is None or work.purpose != Prediction.Purpose.LIVE:
        return Accepted(image_id, None, "", came)
    return Accepted(image_id, prediction_id, state, came)


@dataclass(frozen=True)
class Wanted:
    """What is to be done with each new image of a project."""

    pipeline_id: int
    purpose: str


def waiting_prediction(project_id: int) -> Wanted | None:
    """What a new image of the project waits for: an answer of the active pipeline, or, while there is none, to be
    measured with the starter's network. None where the site has not even that: `finish.measure_now` measures then.
    """
    pipeline_id = active_pipeline_id(project_id)
    if pipeline_id is not None:
        return Wanted(pipeline_id, Prediction.Purpose.LIVE)
    pipeline_id = measuring_pipeline_id(project_id)
    return Wanted(pipeline_id, Prediction.Purpose.MEASURE) if pipeline_id is not None else None


@dataclass(frozen=True)
class Known:
    """What the database has of a picture already."""

    file_id: int | None = None
    image_id: int | None = None
    prediction_id: int | None = None
    prediction_state: str = ""
    code: str = ""
    reason: str = ""
    is_withdrawn: bool = False


def _look(sha256: str, project_id: int, work: Wanted | None) -> Known:
    """One query by hand: every upload asks, and the ORM takes longer to write this than the database to run it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.id, i.id, p.id, p.state, p.code, p.reason, i.withdrawn_at FROM images_file f "
            "LEFT JOIN images_image i ON i.file_id = f.id AND i.project_id = %s "
            "LEFT JOIN predictions_prediction p ON p.image_id = i.id AND p.pipeline_id = %s AND p.purpose = %s "
            "WHERE f.sha256 = %s",
            [project_id, work.pipeline_id if work else None, str(work.purpose) if work else None, sha256],
        )
        row = cursor.fetchone()
    if row is None:
        return Known()
    file_id, image_id, prediction_id, state, code, reason, withdrawn_at = row
    return Known(file_id, image_id, prediction_id, state or "", code or "", reason or "", withdrawn_at is not None)


def _bring_in_again(image_id: int, upload_id: int) -> None:
    """A withdrawn image that somebody sends anew belongs to the new upload; what was said of it counts again."""
    Image.objects.filter(pk=image_id).update(withdrawn_at=None, upload_id=upload_id)
    states.add_states(list(Image.objects.filter(pk=image_id)))
    queue.send(REFRESH, image_id, queue="io")


def _add_image(file: File, image: Image, file_id: int | None) -> int:
    if file_id is None:
        insert_row(file)
    image.file_id = file_id or file.pk
    insert_row(image)
    states.add_state(image)
    return image.pk


def _add_prediction(image_id: int, work: Wanted, priority: Priority) -> tuple[int, str]:
    prediction = Prediction(image_id=image_id, pipeline_id=work.pipeline_id, purpose=work.purpose, priority=priority)
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
