"""Takes a chunk of a source's pictures into a project, as `predictions.accept` takes one: stored, then rows in bulk.

Storing comes first and is done by several threads; the rows follow in the caller's short transaction. A picture that
was stored for a transaction that then failed is found again by its digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from classifier.errors import ImageRejected
from classifier.sniff import sniff
from classifier.types import Header
from webapp import queue
from webapp.access.actors import Actor
from webapp.datasets.import_places import Place
from webapp.images.models import File, Image, Item, Upload
from webapp.images.store import Changed, keep_copy
from webapp.predictions.accept import TRIED_AGAIN, WAITING, Wanted
from webapp.predictions.models import WORTH_A_TRY, Prediction, Priority
from webapp.predictions.retry import retry
from webapp.rows import insert_rows

CHUNK = 200
THREADS = 4


@dataclass(frozen=True)
class Stored:
    """One picture whose bytes are safe; `key` is empty for one that is read in place."""

    sha256: str
    size: int
    modified_at_ms: int
    header: Header
    key: str
    in_place_path: str = ""


@dataclass(frozen=True)
class Refused:
    """One that is not taken, and why. `is_failure`: another try may mend it."""

    code: str
    reason: str
    is_failure: bool = False
    sha256: str = ""


class CannotStore(Exception):
    """The store cannot be written: nothing is wrong with the pictures."""


def store_all(
    files: Mapping[str, Path], *, in_place: bool, may_link: bool, after_each: Callable[[], None]
) -> dict[str, Stored | Refused]:
    """By path of the source. `after_each` runs in the calling thread, so that a lease can be renewed."""

    def store(file: Path) -> Stored | Refused:
        return _store(file, in_place=in_place, may_link=may_link)

    found: dict[str, Stored | Refused] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="import") as threads:
        for path, result in zip(files, threads.map(store, files.values()), strict=True):
            found[path] = result
            after_each()
    return found


def _store(file: Path, *, in_place: bool, may_link: bool) -> Stored | Refused:
    try:
        with file.open("rb") as opened:
            stat = os.fstat(opened.fileno())
            if stat.st_size > settings.MAX_IMAGE_BYTES:
                most = settings.MAX_IMAGE_BYTES / 1e6
                return Refused("too-large", f"It has {stat.st_size / 1e6:.0f} MB; at most {most:.0f} MB are taken.")
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        header = sniff(file)
    except ImageRejected as rejected:
        return Refused(rejected.code, rejected.reason, sha256=sha256)
    except FileNotFoundError:
        return Refused("file-missing", f"{file.name} is not there any more.", is_failure=True)
    except OSError as error:
        return Refused("unreadable", f"It could not be read ({error.strerror or error}).", is_failure=True)
    stored = Stored(sha256, stat.st_size, stat.st_mtime_ns // 1_000_000, header, "", str(file) if in_place else "")
    if in_place:
        return stored
    try:
        key = keep_copy(file, sha256=sha256, media_type=header.media_type, may_link=may_link)
    except Changed as error:
        return Refused("unreadable", f"{error}: import it again once nobody writes to it.", is_failure=True)
    except OSError as error:
        raise CannotStore(str(error.strerror or error)) from error
    return Stored(sha256, stored.size, stored.modified_at_ms, header, key)


@dataclass(frozen=True)
class Taken:
    """What became of one picture; `image` is there for a new one."""

    image_id: int
    image: Image | None = None
    was_withdrawn: bool = False

    @property
    def is_new(self) -> bool:
        return self.image is not None


def add_images(
    upload: Upload, stored: Mapping[str, Stored], places: Mapping[str, Place], parts: Mapping[str, str]
) -> dict[str, Taken]:
    """Rows of files and images as far as they are not there, by path of the source. States are the caller's."""
    file_ids = _add_files(stored)
    there = _known_images(upload, file_ids)
    first: dict[str, str] = {}
    for path, one in stored.items():
        if one.sha256 not in there:
            first.setdefault(one.sha256, path)
    rows = {
        path: _image(upload, path, stored[path], file_ids[sha256], places.get(path, Place()), parts.get(path, ""))
        for sha256, path in first.items()
    }
    insert_rows(list(rows.values()), skip_known=True)
    there |= _known_images(upload, {sha256: file_ids[sha256] for sha256 in first})
    taken: dict[str, Taken] = {}
    for path, one in stored.items():
        known = there[one.sha256]
        new = rows.get(path) if known.upload_id == upload.pk else None  # else somebody sent it at this moment
        if new is not None:
            new.pk = known.pk
        taken[path] = Taken(known.pk, new, new is None and known.is_withdrawn)
    return taken


def _add_files(stored: Mapping[str, Stored]) -> dict[str, int]:
    by_digest = {one.sha256: one for one in stored.values()}
    known = {file.sha256: file for file in File.objects.filter(sha256__in=list(by_digest))}
    new = [
        File(
            sha256=one.sha256,
            size=one.size,
            media_type=one.header.media_type,
            storage_key=one.key,
            in_place_path=one.in_place_path,
        )
        for sha256, one in by_digest.items()
        if sha256 not in known
    ]
    insert_rows(new, skip_known=True)
    for sha256, file in known.items():
        _mend(file, by_digest[sha256])
    return dict(File.objects.filter(sha256__in=list(by_digest)).values_list("sha256", "pk"))


def _mend(file: File, one: Stored) -> None:
    """A file that was read in place and is stored now, or lies elsewhere now, is not missing any more."""
    if file.storage_key:
        return
    if one.key:
        File.objects.filter(pk=file.pk).update(storage_key=one.key, in_place_path="", missing_since=None)
    elif one.in_place_path and (file.missing_since is not None or not Path(file.in_place_path).exists()):
        File.objects.filter(pk=file.pk).update(in_place_path=one.in_place_path, missing_since=None)


@dataclass(frozen=True)
class _Known:
    pk: int
    upload_id: int
    is_withdrawn: bool


def _known_images(upload: Upload, file_ids: Mapping[str, int]) -> dict[str, _Known]:
    digests = {pk: sha256 for sha256, pk in file_ids.items()}
    rows = Image.objects.filter(project_id=upload.project_id, file_id__in=list(digests))
    return {
        digests[file_id]: _Known(pk, upload_id, withdrawn_at is not None)
        for pk, file_id, upload_id, withdrawn_at in rows.values_list("pk", "file_id", "upload_id", "withdrawn_at")
    }


def _image(upload: Upload, path: str, one: Stored, file_id: int, place: Place, part: str) -> Image:
    return Image(
        project_id=upload.project_id,
        file_id=file_id,
        upload=upload,
        path=path,
        part=part[:64],
        width=one.header.width,
        height=one.header.height,
        site_id=place.site_id,
        visit_id=place.visit_id,
        sequence_id=place.sequence_id,
        captured_at=place.captured_at,
        utc_offset_minutes=place.utc_offset_minutes,
        captured_at_utc=place.captured_at_utc,
    )


@dataclass(frozen=True)
class Answer:
    """How far recognition is with an image."""

    state: str = ""
    code: str = ""
    reason: str = ""


def ask(actor: Actor, taken: Collection[Taken], work: Wanted | None) -> dict[int, Answer]:
    """Queue what no worker was asked about yet, and what failed for a passing reason; how far each image is."""
    if work is None:
        return {}
    image_ids = [one.image_id for one in taken]
    old = [one.image_id for one in taken if not one.is_new]
    here = Q(pipeline_id=work.pipeline_id, purpose=work.purpose, image_id__in=old)
    known = {row.image_id: row for row in Prediction.objects.filter(here)} if old else {}
    insert_rows(
        [
            Prediction(image_id=pk, pipeline_id=work.pipeline_id, purpose=work.purpose, priority=Priority.BULK)
            for pk in dict.fromkeys(image_ids)
            if pk not in known
        ],
        skip_known=True,
    )
    failed = {
        row.pk: row.image_id
        for row in known.values()
        if row.state == Prediction.State.FAILED and row.code in TRIED_AGAIN
    }
    if failed:
        retry(actor=actor, predictions=list(failed))
    queue.wake("gpu")
    answers = {pk: Answer(Prediction.State.PENDING) for pk in image_ids}
    for image_id, row in known.items():
        if row.pk not in failed:
            answers[image_id] = Answer(row.state, row.code, row.reason)
    return answers


def item_state(taken: Taken, answer: Answer) -> tuple[str, str, str]:
    """State, code and reason of the item of a picture that is here: as a single upload settles it."""
    if answer.state == Prediction.State.FAILED:
        is_final = answer.code not in WORTH_A_TRY
        return (Item.State.REJECTED if is_final else Item.State.FAILED), answer.code, answer.reason
    if taken.is_new or taken.was_withdrawn:
        return (Item.State.RECEIVED if answer.state in WAITING else Item.State.DONE), "", ""
    return Item.State.DUPLICATE, "", ""


def item(
    upload: Upload,
    path: str,
    *,
    state: str,
    code: str = "",
    reason: str = "",
    image_id: int | None = None,
    stored: Stored | None = None,
    sha256: str = "",
) -> Item:
    return Item(
        upload=upload,
        path=path,
        size=stored.size if stored else None,
        modified_at_ms=stored.modified_at_ms if stored else None,
        sha256=stored.sha256 if stored else sha256,
        state=state,
        code=code[:40],
        reason=reason,
        image_id=image_id,
        changed_at=timezone.now(),
    )
