"""The files of an upload: their states and counts, and which of them need not be sent at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import Invalid, OspreyError
from webapp.images.models import Image, Item, Upload
from webapp.images.news import tell
from webapp.images.paths import normalise_path
from webapp.projects.models import Label, Project
from webapp.rows import update_rows

CHUNK = 500
MOST_HASHES_A_CALL = 10_000
MOST_A_PAGE = 1000
LOW_CONFIDENCE = 0.5
ARCHIVE = "archive"
"""Code of the item that is a zip; once its entries stand for it, it is counted no more."""
HAS_ITS_IMAGE = (Item.State.RECEIVED, Item.State.DONE, Item.State.DUPLICATE)

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LabelCount:
    """How many files of an upload show a label now."""

    key: str
    name: str
    count: int


def counts(upload: Upload) -> dict[str, int]:
    """How many files are in each state, all states named, by one query."""
    found = upload.items.exclude(state=Item.State.DONE, code=ARCHIVE).order_by().values("state").annotate(n=Count("pk"))
    by_state = {row["state"]: row["n"] for row in found}
    return {state: by_state.get(state, 0) for state in Item.State.values}


def label_counts(upload: Upload) -> list[LabelCount]:
    """The labels of the upload's images as they are now, most frequent first."""
    found = (
        upload.items.filter(image__state__label__isnull=False)
        .order_by()
        .values("image__state__label__key", "image__state__label__name")
        .annotate(n=Count("pk"))
        .order_by("-n", "image__state__label__name")
    )
    return [LabelCount(row["image__state__label__key"], row["image__state__label__name"], row["n"]) for row in found]


def list_items(
    upload: Upload,
    *,
    state: str | None = None,
    label: str | None = None,
    low_confidence: float | bool | None = None,
    empties: bool = False,
    after: int | None = None,
    limit: int = 100,
) -> list[Item]:
    """A page of items in the order of the list, beginning past the item `after`, with images, labels and files.

    A zip is left out once its entries stand for it.
    `label` is a label's key; `low_confidence` a score (or True for the usual one) that the machine's answers are below.
    """
    items = upload.items.exclude(state=Item.State.DONE, code=ARCHIVE).order_by("pk")
    if state is not None:
        if state not in Item.State.values:
            raise Invalid(f"Unknown state {state!r}: choose from {', '.join(Item.State.values)}.")
        items = items.filter(state=state)
    if label is not None:
        items = items.filter(image__state__label__key=label)
    if low_confidence is not None and low_confidence is not False:
        below = LOW_CONFIDENCE if low_confidence is True else float(low_confidence)
        items = items.filter(image__state__score__lt=below, image__state__source="machine")
    if empties:
        items = items.filter(image__state__label__kind=Label.Kind.BACKGROUND)
    if after is not None:
        items = items.filter(pk__gt=after)
    return list(items.select_related("image__state__label", "image__file")[: max(1, min(limit, MOST_A_PAGE))])


def already_here(*, actor: Actor, project: Project, sha256s: Sequence[str]) -> dict[str, int]:
    """Image ids of those files that the project has already. Answers only for images the actor may see."""
    require(actor, Action.RECOGNISE, project)
    if len(sha256s) > MOST_HASHES_A_CALL:
        raise Invalid(f"{len(sha256s):,} hashes in one call: send at most {MOST_HASHES_A_CALL:,}.")
    wrong = next((digest for digest in sha256s if not _SHA256.fullmatch(digest)), None)
    if wrong is not None:
        raise Invalid(f"{wrong[:80]!r} is not a SHA-256 in 64 small hexadecimal digits.")
    if not allowed(actor, Action.VIEW_IMAGES, project):
        return {}
    here: dict[str, int] = {}
    for part in _parts(sha256s):
        # One that failed is not an answer: its bytes are asked for, and the sender hears why.
        seen = Image.objects.filter(project=project, withdrawn_at=None, file__sha256__in=part, state__failure="")
        here.update(seen.values_list("file__sha256", "pk"))
    return here


def need_not_send(
    *, actor: Actor, upload: Upload, sha256s: Sequence[str] = (), files: Mapping[str, str]
) -> dict[str, int]:
    """Image ids by SHA-256 of what need not be sent; announced `files` (path -> SHA-256) are settled by that.

    A digest of `files` is named only when each of its files is settled: its twin may come in at any moment of this
    call, and a sender who is told of bytes that are here never sends them, so a file left open would never end.
    """
    here = already_here(actor=actor, project=upload.project, sha256s=sha256s)
    settled = mark_duplicates(actor=actor, upload=upload, files=files) if files else {}
    here |= {files[path]: image_id for path, image_id in settled.items()}
    unsettled = {digest for path, digest in files.items() if path not in settled}
    return {digest: image_id for digest, image_id in here.items() if digest not in unsettled}


@transaction.atomic
def mark_duplicates(*, actor: Actor, upload: Upload, files: Mapping[str, str]) -> dict[str, int]:
    """Settle announced files (path -> SHA-256) that are here already, so that their bytes need not be sent.

    Returns the image ids by path of those that have their image now, also of those settled by an earlier call.
    """
    here = already_here(actor=actor, project=upload.project, sha256s=list(dict.fromkeys(files.values())))
    wanted = {normalise_path(path): digest for path, digest in files.items() if digest in here}
    now = timezone.now()
    have: set[tuple[str, int | None]] = set()
    for part in _parts(list(wanted)):
        rows = list(upload.items.filter(path__in=part).select_for_update().order_by("pk"))
        fresh = [item for item in rows if item.state == Item.State.EXPECTED]
        for item in fresh:
            item.state, item.sha256, item.changed_at = Item.State.DUPLICATE, wanted[item.path], now
            item.image_id = here[wanted[item.path]]
        update_rows(fresh, ["state", "sha256", "image_id", "changed_at"])
        tell(upload, fresh)
        have |= {(item.path, item.image_id) for item in rows if item.state in HAS_ITS_IMAGE}
    answers = {path: here[digest] for path, digest in files.items() if digest in here}
    return {path: image_id for path, image_id in answers.items() if (normalise_path(path), image_id) in have}


def reject_item(*, upload: Upload, path: str, error: OspreyError, sha256: str = "", size: int | None = None) -> Item:
    """Settle a file as rejected with its reason, announced or not. One that is settled otherwise stays as it is."""
    item, _ = Item.objects.get_or_create(upload=upload, path=normalise_path(path), defaults={"size": size})
    open_states = [Item.State.EXPECTED, Item.State.RECEIVED]
    Item.objects.filter(pk=item.pk, state__in=open_states).update(
        state=Item.State.REJECTED, code=error.code[:40], reason=error.what, sha256=sha256, changed_at=timezone.now()
    )
    item.refresh_from_db()
    return item


def unsettled(upload: Upload) -> QuerySet[Item]:
    """Items that are not in a final state yet."""
    return upload.items.filter(Q(state=Item.State.EXPECTED) | Q(state=Item.State.RECEIVED))


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))
