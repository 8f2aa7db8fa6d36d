"""Looks at a source before anything is written: how much there is, what it needs, what it says, what is missing."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from webapp.datasets import formats_known
from webapp.datasets.formats.cells import Row, open_table
from webapp.datasets.formats.columns import suggest
from webapp.datasets.formats.opening import open_source
from webapp.datasets.formats.records import Source, SourceError
from webapp.datasets.formats.tables import the_table_in
from webapp.datasets.import_words import Words
from webapp.datasets.models import Import, JobState
from webapp.datasets.notices import Notices
from webapp.datasets.spellings import alike
from webapp.errors import Invalid
from webapp.projects.models import Label, Project

EXAMPLES = 20
MOST_LABELS = 2000
WORKING_COPY_BYTES = 12_000
"""A thumbnail, as measured on camera-trap frames."""
BYTES_A_SECOND = 150e6
IMAGES_A_SECOND = 600.0
"""Where this site has imported nothing yet; see docs/measured.md."""
SAMPLE = 5


def forecast(
    *,
    project: Project | None,
    root: Path,
    format: str = "",
    mapping: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    in_place: bool = False,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Writes nothing. With `seconds` the look ends by then, and `is_whole` says whether it saw everything."""
    name = formats_known.format_of(root, format)
    columns = _columns(root, mapping or {}) if name == "csv" else None
    try:
        source = open_source(
            root, format=name, options={**(options or {}), **({"mapping": mapping} if mapping else {})}
        )
        looked = _Look(source, seconds)
    except SourceError as error:
        if columns is None:
            raise Invalid(str(error), code="bad-source") from error
        return {"format": name, "columns": columns, "needs_mapping": True, "reason": str(error), "files": 0}
    return {
        "format": name,
        **looked.as_dict(),
        **_needs(looked, in_place),
        **_words(project, source, looked),
        "columns": columns,
        "needs_mapping": False,
        "source": source.head.source,
        "licence": source.head.licence,
        "machine": _machine(source),
        "sites": len(source.head.sites) or len(looked.sites),
        "visits": len(source.head.visits) or len(looked.visits),
        "notices": [{"kind": "source", "text": text} for text in source.head.notices],
    }


class _Look:
    """One pass over the records."""

    def __init__(self, source: Source, seconds: float | None) -> None:
        self.files = self.bytes = self.missing = self.labelled = self.detections = 0
        self.parts: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.individuals: set[str] = set()
        self.sites: set[str] = set()
        self.visits: set[str] = set()
        self.missing_files: list[str] = []
        self.is_whole = True
        until = time.monotonic() + seconds if seconds is not None else None
        for record in source.images():
            self._count(record)
            if until is not None and time.monotonic() > until:
                self.is_whole = False
                break

    def _count(self, record: Any) -> None:
        self.files += 1
        self.parts[record.part] += 1
        self.labels.update({one.label for one in record.annotations or () if one.label})
        self.individuals.update(one.individual for one in record.annotations or () if one.individual)
        self.labelled += record.annotations is not None or record.cannot_tell
        self.detections += len(record.detections or ())
        self.sites.update(filter(None, [record.site]))
        self.visits.update(filter(None, [record.visit]))
        try:
            self.bytes += record.file.stat().st_size if record.file is not None else 0
            is_there = record.file is not None
        except OSError:
            is_there = False
        if not is_there:
            self.missing += 1
            if len(self.missing_files) < EXAMPLES:
                self.missing_files.append(record.path)

    def as_dict(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "bytes": self.bytes,
            "missing": self.missing,
            "missing_files": self.missing_files,
            "labelled": self.labelled,
            "individuals": len(self.individuals),
            "detections": self.detections,
            "parts": {name: count for name, count in self.parts.items() if name},
            "labels": dict(self.labels.most_common(MOST_LABELS)),
            "is_whole": self.is_whole,
        }


def _needs(looked: _Look, in_place: bool) -> dict[str, Any]:
    there = looked.files - looked.missing
    space = there * WORKING_COPY_BYTES + (0 if in_place else looked.bytes)
    free = shutil.disk_usage(settings.STORE_DIR).free - settings.FREE_DISK_FLOOR_BYTES
    return {
        "space_needed": space,
        "space_free": max(0, free),
        "fits": space <= free,
        "seconds": round(max(0.1, looked.files / _pace() + looked.bytes / BYTES_A_SECOND), 1),
    }


def _pace() -> float:
    """Images a second, from the last imports of this site that took a while."""
    done = Import.objects.filter(state=JobState.DONE, cursor__gte=1000).order_by("-pk")[:SAMPLE]
    rows = [(row.cursor, (row.done_at - row.created_at).total_seconds()) for row in done if row.done_at]
    images, seconds = sum(row[0] for row in rows), sum(row[1] for row in rows)
    return max(1.0, images / seconds) if seconds > 0 else IMAGES_A_SECOND


def _words(project: Project | None, source: Source, looked: _Look) -> dict[str, Any]:
    """Which labels are known, which are new, and which look like another spelling."""
    if source.head.machine is not None:
        return {"new_labels": [], "synonyms": []}
    names = list(dict.fromkeys([*(label.name for label in source.head.labels), *looked.labels]))[:MOST_LABELS]
    words = Words(project, Notices()) if project is not None else None
    new = [name for name in names if words is None or words.known(name) is None]
    others: list[str] = []
    if project is not None:
        others = list(Label.objects.filter(project=project, merged_into=None).values_list("name", flat=True))
    pairs = [{"first": one.first, "second": one.second, "how": one.how} for one in alike(new, [*names, *others])]
    return {"new_labels": new, "synonyms": pairs}


def _columns(root: Path, mapping: Mapping[str, str]) -> dict[str, Any] | None:
    """A table's columns with what each seems to mean and a few of its values, for a person to put right."""
    try:
        given = {column for column, meaning in mapping.items() if meaning}
        table = open_table(root if root.is_file() else the_table_in(root, given))
        rows: list[Row] = list(islice(table.rows(), SAMPLE))
    except SourceError:
        return None
    return {
        "header": list(table.header),
        "suggested": suggest(table.header),
        "read_as": {column: meaning for column, meaning in mapping.items() if meaning} or suggest(table.header),
        "sample": [[row.cells.get(column, "")[:80] for column in table.header] for row in rows],
    }


def _machine(source: Source) -> dict[str, Any] | None:
    machine = source.head.machine
    return {"detector": machine.detector, "classifier": machine.classifier} if machine is not None else None
