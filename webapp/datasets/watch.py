"""A watched folder: each file once, as soon as nobody writes to it any more.

It is an import that is never done. Between looks it remembers the files that are still changing: size and time, and
since when both stay the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.db.models import QuerySet

from webapp import leases
from webapp.datasets.formats.paths import walk
from webapp.datasets.formats.reading import counted
from webapp.datasets.formats.records import Forecast, Head, ImageRecord
from webapp.datasets.models import Import
from webapp.images.models import Item, Upload
from webapp.images.paths import normalise_path
from webapp.images.side_files import side_kind

TASK = "webapp.datasets.tasks_import.watch"
FOLDER = "folder"
"""The format of a watched folder whose sub-folders are no labels."""
QUIET = "quiet_seconds"
QUIET_SECONDS = 30.0
SEEN = "still_changing"
MOST_SEEN = 20_000
BATCH = 500


class FolderSource:
    """Every picture of a folder, without a word about any."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.head = Head(format=FOLDER, name=root.name)

    def images(self) -> Iterator[ImageRecord]:
        for path in walk(self.root):
            if side_kind(path) is None:
                yield ImageRecord(path, self.root / path)

    def forecast(self) -> Forecast:
        return counted(self.images())


def to_look_at() -> QuerySet[Import]:
    """Watched folders that nobody is looking at."""
    return leases.free(Import.objects.filter(upload__kind=Upload.Kind.WATCH))


def at_rest(row: Import, records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
    """The files whose size and time were the same at two looks, QUIET seconds apart; the others are remembered."""
    quiet = float(row.options.get(QUIET, QUIET_SECONDS))
    before: dict[str, list[float]] = row.options.get(SEEN, {})
    now = time.time()
    seen: dict[str, list[float]] = {}
    for record, path in _not_here(row, records):
        if record.file is None:
            continue
        try:
            stat = record.file.stat()
        except OSError:
            continue
        size, changed, since = before.get(path, [-1, -1, now])
        if (size, changed) != (stat.st_size, stat.st_mtime_ns // 1_000_000):
            since = now
        if now - since >= quiet and stat.st_size:
            yield record
        elif len(seen) < MOST_SEEN:
            seen[path] = [stat.st_size, stat.st_mtime_ns // 1_000_000, since]
    row.options = {**row.options, SEEN: seen}
    Import.objects.filter(pk=row.pk).update(options=row.options)


def _not_here(row: Import, records: Iterable[ImageRecord]) -> Iterator[tuple[ImageRecord, str]]:
    """Those that are not dealt with yet, asked for in batches."""
    batch: list[tuple[ImageRecord, str]] = []
    for record in records:
        batch.append((record, normalise_path(record.path)))
        if len(batch) == BATCH:
            yield from _unknown(row, batch)
            batch = []
    yield from _unknown(row, batch)


def _unknown(row: Import, batch: list[tuple[ImageRecord, str]]) -> Iterator[tuple[ImageRecord, str]]:
    paths = [path for _, path in batch]
    known = set(Item.objects.filter(upload_id=row.upload_id, path__in=paths).values_list("path", flat=True))
    yield from (one for one in batch if one[1] not in known)
