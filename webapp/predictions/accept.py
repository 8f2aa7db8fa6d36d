"""Take one received picture into a project: stored, one row each, work waiting, a worker woken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
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
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Pipeline


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
    with transaction.atomic():
        file = _file_row(received, header, key)
        image, is_new = _image_row(project, file, upload, header, name, part)
        prediction = _prediction_row(project, image, priority)
        if item is not None:
            _settle_item(item, image, prediction, is_new, received)
        if prediction is not None and prediction.state == Prediction.State.PENDING:
            queue.wake("gpu")
    return Accepted(
        image_id=image.pk,
        prediction_id=prediction.pk if prediction else None,
        prediction_state=prediction.state if prediction else "",
        state="new" if is_new else "duplicate",
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


def _file_row(received: ReceivedFile, header: Header, key: str) -> File:
    file = File.objects.filter(sha256=received.sha256).first()
    if file is not None:
        return file
    File.objects.bulk_create(
        [File(sha256=received.sha256, size=received.size, media_type=header.media_type, storage_key=key)],
        ignore_conflicts=True,
    )
    return File.objects.get(sha256=received.sha256)


def _image_row(
    project: Project, file: File, upload: Upload, header: Header, name: str, part: str
) -> tuple[Image, bool]:
    """The image of a file in a project, made at most once however many send it at the same time."""
    image, is_new = Image.objects.get_or_create(
        project=project,
        file=file,
        defaults={
            "upload": upload,
            "path": Path(name).as_posix()[:1000] if name else "",
            "part": part,
            "width": header.width,
            "height": header.height,
        },
    )
    if is_new:
        states.add_state(image)
    return image, is_new


def _prediction_row(project: Project, image: Image, priority: Priority) -> Prediction | None:
    """The live prediction of an image by the pipeline that is active now; none where none is active."""
    pipeline = active_pipeline(project)
    if pipeline is None:
        return None
    return queue_prediction(image=image, pipeline=pipeline, priority=priority)


def queue_prediction(*, image: Image, pipeline: Pipeline, priority: Priority) -> Prediction:
    """A prediction that waits, or the one that is there; one that waits for somebody more urgent is moved up."""
    prediction, is_new = Prediction.objects.get_or_create(
        image=image, pipeline=pipeline, purpose=Prediction.Purpose.LIVE, defaults={"priority": priority}
    )
    if not is_new and prediction.state == Prediction.State.PENDING and prediction.priority > priority:
        Prediction.objects.filter(pk=prediction.pk, state=Prediction.State.PENDING).update(priority=priority)
    return prediction


def _settle_item(item: Item, image: Image, prediction: Prediction | None, is_new: bool, received: ReceivedFile) -> None:
    """A duplicate is settled at once; a new picture when its prediction is."""
    waits = prediction is not None and prediction.state in (Prediction.State.PENDING, Prediction.State.LEASED)
    settled = Item.State.RECEIVED if waits else Item.State.DONE
    state = settled if is_new else Item.State.DUPLICATE
    item.state, item.image, item.sha256, item.size = state, image, received.sha256, received.size
    item.code = item.reason = ""
    item.changed_at = timezone.now()
    item.save(update_fields=["state", "image", "sha256", "size", "code", "reason", "changed_at"])
