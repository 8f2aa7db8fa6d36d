"""A source that was sent: a zip, a table or a JSON file, kept until its import is done.

A zip is unpacked into a folder of our own by the careful reader of `images.zips`; its pictures are linked into the
store, so that they lie there once.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.datasets.formats.paths import is_image
from webapp.datasets.models import Import, JobState
from webapp.errors import OspreyError
from webapp.images import zips
from webapp.images.keep import ReceivedFile
from webapp.images.models import Item
from webapp.images.paths import normalise_path
from webapp.images.side_files import side_kind
from webapp.images.unpack import is_zip
from webapp.predictions.unpack import limits

FOLDER = "incoming-imports"
SENT = "sent"
"""Option of an import: the name of the file that was sent."""
FILES = "files"
UNPACKED = "unpacked"
ENDINGS = (".csv", ".tsv", ".txt", ".json")
STALE_SECONDS = 24 * 3600
RENEW_SECONDS = 5.0
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
Renew = Callable[[], None]


class SentRefused(OspreyError):
    """What was sent is no source that can be read, or would do harm."""

    code = "bad-source"
    status = 422


def keep_sent(uid: str, received: ReceivedFile, name: str) -> str:
    """Move what came to a folder of its own; returns the name it has there."""
    bare = normalise_path(name or "source").rpartition("/")[2][-120:]
    if is_zip(received.path):
        bare = f"{bare.removesuffix('.zip')}.zip"
    elif not bare.lower().endswith(ENDINGS):
        raise SentRefused(_no_source(bare))
    folder = _folder_of(uid)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with received.path.open("rb") as file:
        os.fsync(file.fileno())
    received.path.rename(folder / bare)
    return bare


def _no_source(name: str) -> str:
    if name.lower().endswith(".zip"):
        return f"{name} is no zip, or its beginning is damaged. Make or copy it again."
    if is_image(name):
        return f"{name} is a picture without a label: drop it on the page Recognise, or send a zip of folders."
    return f"{name} is no zip, no table (.csv or .tsv) and no .json file. A program says the file's name in `name`."


def is_sent(row: Import) -> bool:
    return SENT in row.options


def path_of(row: Import) -> Path:
    return _folder_of(str(row.uid)) / str(row.options[SENT])


def ready(row: Import, renew: Renew) -> Path:
    """Where the source lies: for one that was sent, unpacked; else the path it was started with."""
    if not is_sent(row):
        return Path(row.root)
    sent = path_of(row)
    if not sent.is_file() and not _is_unpacked(row):
        raise SentRefused("The file that was sent is not kept any more: send it again.", code="file-missing")
    if not sent.name.endswith(".zip"):
        return sent
    files = sent.parent / FILES
    if not _is_unpacked(row):
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir(mode=0o700)
        _unpack(row, sent, files, renew)
        (sent.parent / UNPACKED).touch()
    return _inner(files)


def said(row: Import, text: str) -> str:
    """What is wrong with a source, in paths of the folder that was sent: where a site keeps it is nobody's business."""
    if not is_sent(row):
        return text
    folder = _folder_of(str(row.uid))
    for place in (folder / FILES, folder):
        text = text.replace(f"{place}/", "").replace(str(place), "the folder")
    return text


def is_ready(row: Import) -> bool:
    """Whether what was sent can be read at once."""
    return is_sent(row) and (_is_unpacked(row) or not path_of(row).name.endswith(".zip"))


def remove(row: Import) -> None:
    """What was sent is in the project now."""
    if is_sent(row):
        shutil.rmtree(_folder_of(str(row.uid)), ignore_errors=True)


def remove_orphans(*, older_than: float = STALE_SECONDS) -> int:
    """Folders of imports that are done or were never committed."""
    there = Path(settings.STORE_DIR) / FOLDER
    if not there.is_dir():
        return 0
    wanted = {str(uid) for uid in Import.objects.exclude(state=JobState.DONE).values_list("uid", flat=True)}
    old = [one for one in there.iterdir() if one.name not in wanted and time.time() - one.stat().st_mtime > older_than]
    for one in old:
        shutil.rmtree(one, ignore_errors=True)
    return len(old)


def _folder_of(uid: str) -> Path:
    return Path(settings.STORE_DIR) / FOLDER / uid


def _is_unpacked(row: Import) -> bool:
    return (_folder_of(str(row.uid)) / UNPACKED).exists()


def _inner(files: Path) -> Path:
    """People zip a folder: the one that holds everything is the source. One in it with only pictures is a label."""
    here = files
    while (only := _only_folder(here)) is not None and (here == files or not _holds_pictures_alone(only)):
        here = only
    return here


def _only_folder(folder: Path) -> Path | None:
    inner = list(islice(folder.iterdir(), 2))
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else None


def _holds_pictures_alone(folder: Path) -> bool:
    return all(is_image(path.name) and path.is_file() for path in folder.iterdir())


def _unpack(row: Import, sent: Path, files: Path, renew: Renew) -> None:
    # A table or JSON of a million pictures is larger than any picture; pictures are measured when they are stored.
    bounds = replace(limits(), entry_bytes=settings.MAX_ZIP_BYTES)
    renewed = time.monotonic()
    refused: list[Item] = []
    try:
        with sent.open("rb") as archive:
            table = zips.find_table(archive, bounds)
            counter = zips.Counter(sent.stat().st_size, bounds)
            for entry in zips.entries(archive, table, bounds):
                if entry.is_folder or side_kind(entry.name) is not None:
                    continue
                _need_room()
                try:
                    _write(files, zips.read_entry(archive, table, entry, counter), entry)
                except zips.EntryRefused as error:
                    refused.append(_refused(row, entry.name, error.code, error.what))
                except OSError as error:
                    if error.errno is not None and "name too long" in str(error.strerror).lower():
                        reason = "Its name is too long to be written: shorten it, and zip again."
                        refused.append(_refused(row, entry.name, "bad-name", reason))
                    else:
                        raise
                if time.monotonic() - renewed >= RENEW_SECONDS:
                    renew()
                    renewed = time.monotonic()
    except zips.ArchiveRefused as error:
        raise SentRefused(error.what, code=error.code) from error
    _keep_refused(row, refused)


def _need_room() -> None:
    if shutil.disk_usage(settings.STORE_DIR).free < settings.FREE_DISK_FLOOR_BYTES:
        raise SentRefused("The disk of this site is full. Make room, then go on with this import.", code="no-space")


def _write(files: Path, pieces: Iterable[bytes], entry: zips.ZipEntry) -> None:
    """One entry under its cleaned name, which cannot leave the folder."""
    refusal = zips.refusal(entry)
    if refusal is not None:
        raise refusal
    target = files / normalise_path(entry.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            for piece in pieces:
                if out.tell() == 0 and piece.startswith(ZIP_MARKS):
                    raise zips.EntryRefused(
                        "It is a zip inside a zip: unpack it and send it by itself.", code="zip-nested"
                    )
                out.write(piece)
    except (FileExistsError, NotADirectoryError) as error:
        raise zips.EntryRefused("The zip holds two things of this name.", code="zip-name") from error
    except zips.EntryRefused:
        target.unlink(missing_ok=True)
        raise


def _refused(row: Import, name: str, code: str, reason: str) -> Item:
    return Item(
        upload_id=row.upload_id, path=normalise_path(name), state=Item.State.REJECTED, code=code[:40], reason=reason
    )


def with_refused(row: Import, forecast: dict[str, Any]) -> dict[str, Any]:
    """The forecast of a zip, with what it says of entries that were not unpacked."""
    if "reason" in forecast:
        forecast = {**forecast, "reason": said(row, forecast["reason"])}
    refused = Item.objects.filter(upload_id=row.upload_id, state=Item.State.REJECTED).order_by("pk")
    some = list(refused[:3])
    if not some:
        return forecast
    count = refused.count()
    words = "1 entry of the zip cannot be taken" if count == 1 else f"{count:,} entries of the zip cannot be taken"
    listed = "; ".join(f"{item.path[-60:]} ({item.reason.rstrip('.')})" for item in some)
    notice = {"kind": "source", "text": f"{words}, as the report will list: {listed}."}
    return {**forecast, "notices": [notice, *forecast.get("notices", ())]}


def _keep_refused(row: Import, refused: list[Item]) -> None:
    """Entries that were not unpacked are files of the report too."""
    if not refused:
        return
    Item.objects.bulk_create(refused, batch_size=500, ignore_conflicts=True)
    row.counts = {
        **row.counts,
        "rejected": row.counts.get("rejected", 0) + len(refused),
        "files": row.counts.get("files", 0) + len(refused),
    }
    Import.objects.filter(pk=row.pk).update(counts=row.counts)
