"""Uploads: batches that are announced by a list, filled file by file, and reopened by their uid in any browser."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid, NotFound
from webapp.images.items import (
    already_here,
    counts,
    label_counts,
    list_items,
    mark_duplicates,
    need_not_send,
    reject_item,
)
from webapp.images.models import Archive, Item, Upload
from webapp.images.news import MOST_TOLD, tell
from webapp.images.paths import normalise_path
from webapp.images.side_files import JPEG, RAW, ending_of, stem_of, summarise_side_files
from webapp.projects.models import Project

__all__ = [
    "ManifestEntry",
    "already_here",
    "close_upload",
    "counts",
    "ensure_item",
    "extend_manifest",
    "label_counts",
    "list_items",
    "mark_duplicates",
    "need_not_send",
    "open_upload",
    "reject_item",
    "reopen_upload",
    "summarise_side_files",
    "upload_by_uid",
]

MOST_ENTRIES_A_CALL = 10_000
MOST_ITEMS = 1_000_000
CHUNK = 1000
NEVER_CAME = "never-came"
QUIET_FOR = timedelta(days=7)
ACCEPTING = (Upload.State.OPEN, Upload.State.WORKING, Upload.State.FAILED)
CHUNKS_COUNTED = "side_chunks"


@dataclass(frozen=True)
class ManifestEntry:
    """One file the sender is about to send. `size` in bytes, `modified_at_ms` in ms since 1970."""

    path: str
    size: int | None = None
    modified_at_ms: int | None = None
    claimed_label: str = ""
    part: str = ""


@dataclass(frozen=True)
class Extended:
    """What came of a part of a list: how many items are new, and whose bytes need not be sent."""

    added: int
    known: int
    left_out: tuple[str, ...]


def open_upload(
    *,
    actor: Actor,
    project: Project,
    kind: Upload.Kind | str,
    name: str = "",
    manifest: Sequence[ManifestEntry] = (),
    source: str = "",
    licence: str = "",
) -> Upload:
    """Begin an upload, with the first part of its list when there is one."""
    require(actor, Action.RECOGNISE, project)
    if kind not in Upload.Kind.values:
        raise Invalid(f"Unknown kind of upload {kind!r}: choose from {', '.join(Upload.Kind.values)}.")
    with transaction.atomic():
        upload = Upload.objects.create(
            project=project,
            created_by=actor.user,
            kind=kind,
            name=name[:200],
            source=source[:500],
            licence=licence[:200],
        )
        if manifest:
            extend_manifest(actor=actor, upload=upload, manifest=manifest)
    return upload


def upload_by_uid(actor: Actor, uid: UUID | str) -> Upload:
    """The upload of that uid; one that the actor may not see does not exist for them."""
    try:
        wanted = UUID(str(uid))
    except ValueError:
        wanted = None
    upload = Upload.objects.select_related("project", "created_by").filter(uid=wanted).first() if wanted else None
    if upload is None or not allowed(actor, Action.VIEW_UPLOAD, upload.project):
        raise NotFound(f"There is no upload {uid} that you may see.")
    return upload


@transaction.atomic
def extend_manifest(*, actor: Actor, upload: Upload, manifest: Sequence[ManifestEntry]) -> Extended:
    """Add a part of the list, at most MOST_ENTRIES_A_CALL files. Sending a part again changes nothing."""
    require(actor, Action.RECOGNISE, upload.project)
    if len(manifest) > MOST_ENTRIES_A_CALL:
        raise Invalid(f"{len(manifest):,} files in one call; send the list in parts of {MOST_ENTRIES_A_CALL:,}.")
    upload = _accepting(upload)
    entries = {normalise_path(entry.path): entry for entry in manifest}
    side = summarise_side_files(entries, has_jpeg=_jpegs_known(upload, entries).__contains__)
    known = _known_paths(upload, side.wanted)
    fresh = [path for path in side.wanted if path not in known]
    if len(known) < len(side.wanted) and upload.items.count() + len(fresh) > MOST_ITEMS:
        raise Invalid(f"An upload holds at most {MOST_ITEMS:,} files: open another for the rest.")
    Item.objects.bulk_create(
        [_item(upload, path, entries[path]) for path in fresh], batch_size=CHUNK, ignore_conflicts=True
    )
    _count_side_files(upload, side.left_out, side.counts)
    return Extended(added=len(fresh), known=len(known), left_out=side.left_out)


def ensure_item(*, upload: Upload, path: str, size: int | None = None, sha256: str = "") -> Item:
    """The item of a file that came, announced or not. A closed upload takes only again what it has already."""
    path = normalise_path(path)
    item = upload.items.filter(path=path).first()
    if item is not None and item.image_id is not None and item.sha256 == sha256:
        return item
    _refuse_unless_accepting(upload)
    return item or Item.objects.get_or_create(upload=upload, path=path, defaults={"size": size})[0]


@transaction.atomic
def close_upload(*, actor: Actor, upload: Upload) -> Upload:
    """No more files will come: what was announced and never came is settled as failed, with that reason."""
    require(actor, Action.RECOGNISE, upload.project)
    upload = Upload.objects.select_for_update().select_related("project").get(pk=upload.pk)
    if upload.state == Upload.State.WITHDRAWN:
        raise Conflict("This upload was withdrawn.")
    if upload.closed_at is not None:
        return upload
    upload.closed_at = timezone.now()
    if upload.archives.filter(state__in=[Archive.State.WAITING, Archive.State.LEASED]).exists():
        upload.state = Upload.State.WORKING
    else:
        settle_never_came(upload)
        upload.state = Upload.State.FAILED if upload.state == Upload.State.FAILED else Upload.State.CLOSED
    upload.save(update_fields=["state", "closed_at"])
    return upload


@transaction.atomic
def reopen_upload(*, actor: Actor, upload: Upload) -> Upload:
    """Go on with a closed upload: the files that never came are expected again."""
    require(actor, Action.RECOGNISE, upload.project)
    upload = Upload.objects.select_for_update().select_related("project").get(pk=upload.pk)
    if upload.state == Upload.State.WITHDRAWN:
        raise Conflict("This upload was withdrawn.")
    upload.closed_at = None
    if upload.state == Upload.State.CLOSED:
        upload.state = Upload.State.OPEN
    upload.save(update_fields=["state", "closed_at"])
    upload.items.filter(state=Item.State.FAILED, code=NEVER_CAME).update(
        state=Item.State.EXPECTED, code="", reason="", changed_at=timezone.now()
    )
    return upload


def settle_never_came(upload: Upload) -> int:
    """Give every announced file without bytes its final state."""
    now = timezone.now()
    settled = upload.items.filter(state=Item.State.EXPECTED).update(
        state=Item.State.FAILED,
        code=NEVER_CAME,
        reason="It was on the list, but its bytes never came. Reopen the upload and choose the same folder again.",
        changed_at=now,
    )
    if settled:
        missing = upload.items.filter(state=Item.State.FAILED, code=NEVER_CAME, changed_at=now).order_by("pk")
        tell(upload, missing.only("pk", "image_id", "state", "code")[:MOST_TOLD])
    return settled


def quiet_uploads(*, before: timedelta = QUIET_FOR) -> Iterable[Upload]:
    """Open uploads that nobody sent anything to for that long."""
    line = timezone.now() - before
    old = Upload.objects.filter(state=Upload.State.OPEN, closed_at=None, created_at__lt=line).select_related("project")
    for upload in old.iterator(chunk_size=200):
        touched = upload.items.aggregate(last=Max("changed_at"))["last"]
        if touched is None or touched < line:
            yield upload


def _accepting(upload: Upload) -> Upload:
    """The upload's row, locked; a refusal when it takes no more files."""
    locked = Upload.objects.select_for_update().select_related("project").get(pk=upload.pk)
    _refuse_unless_accepting(locked)
    return locked


def _refuse_unless_accepting(upload: Upload) -> None:
    if upload.state not in ACCEPTING or upload.closed_at is not None:
        said = upload.get_state_display() if upload.state not in ACCEPTING else "closed"
        raise Conflict(f"This upload is {said}: reopen it, or start another.", code="closed")


def _item(upload: Upload, path: str, entry: ManifestEntry) -> Item:
    return Item(
        upload=upload,
        path=path,
        part=entry.part[:64],
        claimed_label=entry.claimed_label[:200],
        size=entry.size if entry.size is None or entry.size >= 0 else None,
        modified_at_ms=entry.modified_at_ms,
    )


def _known_paths(upload: Upload, paths: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(paths), CHUNK):
        part = paths[start : start + CHUNK]
        known.update(upload.items.filter(path__in=part).values_list("path", flat=True))
    return known


def _jpegs_known(upload: Upload, paths: Iterable[str]) -> set[str]:
    """Stems of raw files of this part whose JPEG came in an earlier part of the list."""
    bare = [path[: len(path) - len(ending_of(path))] for path in paths if ending_of(path) in RAW]
    spellings = [spelling for ending in JPEG for spelling in (ending, ending.upper())]
    return {stem_of(path) for path in _known_paths(upload, [stem + ending for stem in bare for ending in spellings])}


def _count_side_files(upload: Upload, left_out: Sequence[str], found: dict[str, int]) -> None:
    """Add to the summary once for each distinct part of the list, so that a repeated part counts once."""
    if not left_out:
        return
    mark = hashlib.sha256("\n".join(sorted(left_out)).encode()).hexdigest()[:12]
    counted = upload.options.setdefault(CHUNKS_COUNTED, [])
    if mark in counted:
        return
    counted.append(mark)
    upload.side_files = dict(Counter(upload.side_files) + Counter(found))
    upload.save(update_fields=["side_files", "options"])
