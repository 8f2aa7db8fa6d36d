"""Takes an upload or import back as a whole, with all it said, and brings it back. Nothing is deleted.

The upload's state is what counts: verdicts that came with a withdrawn upload do not stand, and its images are in no
grid, queue or count. An image that another upload brought as well stays, and belongs to that one from then on. The
images follow in short transactions; a move that was interrupted goes on at the next sweep.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets.models import Import
from webapp.errors import Conflict
from webapp.images import states
from webapp.images.models import Archive, Image, ImageState, Item, Upload
from webapp.leases import UNDER_WAY
from webapp.reviews import standing
from webapp.reviews.models import Review

TASK = "webapp.datasets.tasks_import.move"
CHUNK = 500
MOVING = "moving"
"""Option of an upload whose images are still on their way out or back."""
BEFORE = "state_before"
STATE = Upload.State


@transaction.atomic
def withdraw_upload(*, actor: Actor, upload: Upload, reason: str = "") -> Upload:
    """Take back an upload. Twice is once; what is still under way has to be stopped first."""
    upload = _locked(actor, upload)
    if upload.state == STATE.WITHDRAWN:
        return upload
    if Import.objects.filter(upload=upload, state__in=UNDER_WAY).exists():
        raise Conflict("This import is still under way: stop it first, then withdraw it.")
    if upload.archives.filter(state__in=[Archive.State.WAITING, Archive.State.LEASED]).exists():
        raise Conflict("A zip of this upload is still being unpacked: wait for it, then withdraw the upload.")
    upload.options = {**upload.options, BEFORE: upload.state, MOVING: "out"}
    upload.state = STATE.WITHDRAWN
    _save(actor, upload, "withdraw upload", reason=reason)
    return upload


@transaction.atomic
def bring_back(*, actor: Actor, upload: Upload) -> Upload:
    """Undo a withdrawal: images and verdicts count again. Twice is once."""
    upload = _locked(actor, upload)
    if upload.state != STATE.WITHDRAWN:
        return upload
    before = upload.options.get(BEFORE, STATE.CLOSED)
    upload.options = {name: value for name, value in upload.options.items() if name != BEFORE} | {MOVING: "back"}
    upload.state = before
    _save(actor, upload, "bring upload back")
    return upload


def _locked(actor: Actor, upload: Upload) -> Upload:
    require(actor, Action.IMPORT, upload.project)
    return Upload.objects.select_for_update().select_related("project").get(pk=upload.pk)


def _save(actor: Actor, upload: Upload, action: str, **detail: object) -> None:
    upload.save(update_fields=["state", "options"])
    audit.record(
        actor=actor,
        action=action,
        project_id=upload.project_id,
        subject=f"upload:{upload.pk}",
        name=upload.name,
        images=Image.objects.filter(upload=upload).count(),
        **detail,
    )
    queue.send(TASK, upload.pk, queue="io")


def move(upload_id: int) -> int:
    """Bring the images of an upload to where its state says they belong; returns how many moved. May be repeated."""
    upload = Upload.objects.select_related("project").get(pk=upload_id)
    moved = _move_out(upload) if upload.state == STATE.WITHDRAWN else _move_back(upload)
    _refresh_spoken_of(upload)
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload_id)
        upload.options = {name: value for name, value in upload.options.items() if name != MOVING}
        upload.save(update_fields=["options"])
    return moved


def unfinished() -> Sequence[int]:
    """Uploads whose images are still on their way, or whose message was lost."""
    return list(Upload.objects.filter(options__has_key=MOVING).values_list("pk", flat=True))


def _move_out(upload: Upload) -> int:
    moved = 0
    while ids := list(Image.objects.filter(upload=upload, withdrawn_at=None).values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            standing.hold(ids)
            homes = _other_homes(upload, ids)
            for upload_id in sorted(set(homes.values())):
                own = [pk for pk in ids if homes.get(pk) == upload_id]
                Image.objects.filter(pk__in=own).update(upload_id=upload_id)
                states.take_over(own)
            gone = [pk for pk in ids if pk not in homes]
            Image.objects.filter(pk__in=gone).update(withdrawn_at=timezone.now())
            states.remove_states(gone)
        moved += len(gone)
    return moved


def _other_homes(upload: Upload, ids: Sequence[int]) -> dict[int, int]:
    """By image, another upload that brought it too and is not withdrawn."""
    rows = (
        Item.objects.filter(image_id__in=ids, upload__project_id=upload.project_id)
        .exclude(Q(upload=upload) | Q(upload__state=STATE.WITHDRAWN))
        .order_by("-upload_id")
    )
    return dict(rows.values_list("image_id", "upload_id"))


def _move_back(upload: Upload) -> int:
    moved = 0
    withdrawn = Image.objects.filter(upload=upload, withdrawn_at__isnull=False)
    while ids := list(withdrawn.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic():
            revive(upload.pk, ids)
        moved += len(ids)
    return moved


def revive(upload_id: int, image_ids: Collection[int]) -> None:
    """Withdrawn images that came again, or are brought back, belong to this upload now; in the caller's transaction."""
    if not image_ids:
        return
    again = Image.objects.select_for_update().filter(pk__in=list(image_ids), withdrawn_at__isnull=False)
    ids = sorted(again.values_list("pk", flat=True))
    Image.objects.filter(pk__in=ids).update(withdrawn_at=None, upload_id=upload_id)
    known = set(ImageState.objects.filter(pk__in=ids).values_list("pk", flat=True))
    states.add_states(list(Image.objects.filter(pk__in=[pk for pk in ids if pk not in known]).order_by("pk")))
    standing.refresh(ids)


@transaction.atomic
def refresh_image(image_id: int) -> None:
    """The state of an image that came again by another way."""
    standing.hold([image_id])
    standing.refresh([image_id])


def _refresh_spoken_of(upload: Upload) -> None:
    """Other images of which this upload said something: their labels change with its state."""
    after = 0
    spoken = Review.objects.filter(upload=upload, image__withdrawn_at=None).order_by("image_id")
    while ids := list(spoken.filter(image_id__gt=after).values_list("image_id", flat=True).distinct()[:CHUNK]):
        with transaction.atomic():
            standing.hold(ids)
            standing.refresh(ids)
        after = ids[-1]
