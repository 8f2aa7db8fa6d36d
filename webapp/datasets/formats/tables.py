"""A table with a line for each picture or each animal, beside the pictures or above a folder of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webapp.datasets.formats import columns
from webapp.datasets.formats.cells import Row, Table, open_table
from webapp.datasets.formats.paths import MOST_BASES, Pictures, folders_in, pictures_for
from webapp.datasets.formats.pixels import Frame, frame_of
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import (
    AnnotationRecord,
    Box,
    Head,
    ImageRecord,
    SiteRecord,
    Source,
    SourceError,
    VisitRecord,
)
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import (
    SOME_ENTRIES,
    clipped,
    finite,
    flag,
    is_empty_word,
    known_options,
    label_record,
    moment,
    part_of,
    whole,
)

UNKNOWN_INDIVIDUAL = "new_whale"
WHALE_LABEL = "Fluke"
ENDINGS = (".csv", ".tsv", ".txt")
_BOX = re.compile(r"^[\[(]?\s*([^\s,]+)[\s,]+([^\s,]+)[\s,]+([^\s,]+)[\s,]+([^\s,\])]+)\s*[\])]?$")
_SIDES = ("x", "y", "width", "height")
_CORNERS = ("x", "y", "x_max", "y_max")
_NUMBERS = {*_SIDES, *_CORNERS, "latitude", "longitude", "count", "image_width", "image_height"}
_READ: Mapping[str, Callable[[object], float]] = {
    **dict.fromkeys(("count", "image_width", "image_height"), whole),
    **dict.fromkeys(("latitude", "longitude"), finite),
}
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+$")
_MISSING = {"NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"}
"""How R, pandas, spreadsheets and databases spell a cell without a value."""
_NAMES = {"path", "folder", "site", "visit", "sequence"}
"""Names are taken as they are: a site may be called NA."""
_INSIGHTS_MACHINE = "computer vision"
_SAID = {"label", "scientific_name", "individual", "count", "labelled_by"}


@dataclass
class _Seen:
    """The words met while a table is spooled: what goes into the head."""

    labels: dict[str, str] = field(default_factory=dict)
    sites: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    visits: dict[tuple[str, str], None] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    lines: int = 0
    unreadable: int = 0
    first_unreadable: str = ""
    nameless: int = 0
    by_machine: int = 0

    def note_unreadable(self, said: str) -> None:
        self.unreadable += 1
        self.first_unreadable = self.first_unreadable or said


def open_csv(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `mapping` {column: meaning}, `images` (folder), `label` (for tables without one), `encoding`,
    `delimiter`. `root` is the table, or a folder that holds one.
    """
    known_options(options, "mapping", "images", "label", "encoding", "delimiter")
    given = {str(column) for column, meaning in dict(options.get("mapping") or {}).items() if meaning}
    file = root if root.is_file() else the_table_in(root, given)
    asked = {key: str(options[key]) for key in ("encoding", "delimiter") if options.get(key)}
    table = open_table(file, **asked)
    mapping = dict(options.get("mapping") or columns.suggest(table.header))
    reader = _Reader(table, columns.checked(mapping, table.header), options)
    return reader.source()


def the_table_in(folder: Path, given: Set[str] = frozenset()) -> Path:
    """The one table of a folder that names pictures, or has the `given` columns; SourceError lists them when it is
    not clear.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    fitting = [path for path in found if _names_pictures(open_table(path).header, given)]
    if not fitting and len(found) == 1:
        return found[0]
    if len(fitting) == 1 or (fitting and fitting[0].stem in ("labels", "images")):
        return fitting[0]
    if len(fitting) > 1:
        named = [path for path in fitting if path.stem in ("train", "labels", "metadata")]
        if len(named) == 1:
            return named[0]
        names = ", ".join(path.name for path in fitting)
        raise SourceError(f"{folder} holds several tables: {names}. Import one of them by its own path.")
    raise SourceError(f"{folder} holds no table whose columns name pictures. Give the table and a mapping of columns.")


def _names_pictures(header: Sequence[str], given: Set[str]) -> bool:
    return given <= set(header) if given else "path" in columns.suggest(header).values()


class _Reader:
    """Reads one table in two passes: rows are spooled by picture, then yielded picture by picture."""

    def __init__(self, table: Table, by_meaning: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._table, self._column = table, by_meaning
        self._missing = set() if "verdict" in by_meaning else _MISSING  # a table of our own leaves such cells empty
        self._whales = columns.is_whales(table.header) and by_meaning.get("individual") == "Id"
        self._default_label = str(options.get("label") or (WHALE_LABEL if self._whales else ""))
        if not self._default_label and "individual" in by_meaning and "label" not in by_meaning:
            self._default_label = "animal"
        self._insights = columns.is_wildlife_insights(table.header)
        self._pictures = self._find_pictures(str(options.get("images") or ""))
        self._seen = _Seen(notices=list(table.notices))
        self._spool = Spool()

    def source(self) -> Source:
        seen = self._seen
        for row in self._table.rows():
            seen.lines += 1
            self._keep(row)
        self._spool.finish()
        if not seen.lines:
            raise SourceError(f"{self._table.file} has a header and no rows.")
        if seen.unreadable * SOME_ENTRIES > seen.lines:
            raise SourceError(f"{self._table.file}, {seen.first_unreadable}")
        if seen.nameless:
            seen.notices.append(f"Lines that name no picture were left out: {seen.nameless:,}.")
        if seen.by_machine:
            seen.notices.append(f"Labels that a machine gave are not read as labels; lines: {seen.by_machine:,}.")
        if unread := [name for name in self._table.header if name and name not in self._column.values()]:
            seen.notices.append(f"Columns that are not read: {', '.join(unread)}.")
        labels = tuple(label_record(name, scientific_name=latin) for name, latin in seen.labels.items())
        head = Head(
            format="csv",
            name=self._table.file.stem,
            labels=labels,
            sites=tuple(SiteRecord(name, *place) for name, place in seen.sites.items()),
            visits=tuple(VisitRecord(name, site) for name, site in seen.visits),
            notices=tuple(seen.notices),
            more={"unknown_individual": UNKNOWN_INDIVIDUAL} if self._whales else {},
        )
        return ReadSource(head, self._read)

    def _find_pictures(self, images: str) -> Pictures:
        parent = self._table.file.parent
        bases = (self._table.file.stem, "images", "train", "test", "imgs", "data", *folders_in(parent)[:MOST_BASES])
        names = (self._path(row) for row in self._table.rows())
        return pictures_for(parent, names, images=images, bases=bases)

    def _path(self, row: Row) -> str:
        folder, name = self._cell(row, "folder"), self._cell(row, "path")
        return f"{folder}/{name}" if folder and name else name

    def _cell(self, row: Row, meaning: str) -> str:
        """What the row says of a meaning: empty for missing values; numbers with a decimal point."""
        text = row.cells.get(self._column.get(meaning, ""), "")
        if text in self._missing and meaning not in _NAMES:
            return ""
        if meaning in _NUMBERS and self._table.delimiter != "," and _DECIMAL_COMMA.match(text):
            return text.replace(",", ".")
        return text

    def _keep(self, row: Row) -> None:
        """Check a row while its line is known, and remember it under its picture."""
        name = self._path(row)
        if not name:
            self._seen.note_unreadable(f"line {row.line}: no picture is named.")
            self._seen.nameless += 1
            return
        told = ((meaning, self._cell(row, meaning)) for meaning in self._column)
        body: dict[str, Any] = {meaning: text for meaning, text in told if text}
        wrong = self._read_values(row, body)
        if wrong:
            body["problem"] = f"line {row.line}: {' '.join(wrong)}"
            self._seen.note_unreadable(body["problem"])
        if self._insights and body.get("labelled_by", "").casefold() == _INSIGHTS_MACHINE:
            body = {meaning: value for meaning, value in body.items() if meaning not in _SAID}
            self._seen.by_machine += 1
        place = body.get("latitude"), body.get("longitude")
        label = self._label(body)
        if label:
            self._seen.labels.setdefault(label, body.get("scientific_name", ""))
        if body.get("site"):
            self._seen.sites.setdefault(body["site"], (place[0], place[1]))
        if body.get("visit"):
            self._seen.visits.setdefault((body["visit"], body.get("site", "")))
        self._spool.add_image(name)
        self._spool.add_row(name, body)

    def _read_values(self, row: Row, body: dict[str, Any]) -> list[str]:
        """Put numbers and the time of a row in the place of its texts; what is none is left out, and told."""
        wrong = []
        for key in [key for key in _READ if key in body]:
            try:
                body[key] = _READ[key](body.pop(key))
            except ValueError as error:
                wrong.append(f"{error}.")
        written = self._cell(row, "captured_at") or f"{self._cell(row, 'date')} {self._cell(row, 'time')}".strip()
        body.pop("captured_at", None)
        try:
            body |= {"captured_at": moment(written)} if written else {}
        except ValueError:
            # A lone column `date` holds anything; it is no time of capture.
            if "captured_at" in self._column or "time" in self._column:
                wrong.append(f"{written!r} is no time. Write times as 2024-05-31 18:30:00.")
        return wrong

    def _label(self, body: Mapping[str, Any]) -> str:
        return str(body.get("label") or body.get("scientific_name") or self._default_label)

    def _read(self, measure: bool) -> Iterator[ImageRecord]:
        for name, _, rows in self._spool.images():
            yield self._record(name, rows, measure)

    def _record(self, name: str, rows: list[dict[str, Any]], measure: bool) -> ImageRecord:
        first, found = rows[0], self._pictures.find(name)
        boxed = any("bbox" in row or "x" in row for row in rows)
        frame = frame_of(found.file, first.get("image_width"), first.get("image_height")) if measure and boxed else None
        problems = [found.problem] if found.problem else []
        problems += [f"{found.path}, {row['problem']}" for row in rows if "problem" in row]
        annotations = []
        for row in rows:
            annotation, problem = self._annotation(row, frame)
            annotations += [annotation] if annotation else []
            problems += [f"{found.path}: {problem}"] if problem and measure else []
        verdict = first.get("verdict", "")
        looked = bool(annotations) or verdict in ("labelled", "empty") or is_empty_word(str(first.get("label", "")))
        record = ImageRecord(found.path, found.file, part_of(first.get("part", "")) or first.get("part", ""))
        return replace(
            record,
            annotations=tuple(annotations) if looked else None,
            cannot_tell=verdict == "cannot-tell",
            width=first.get("image_width"),
            height=first.get("image_height"),
            problem=" ".join(problems),
            **{key: first.get(key, "") for key in ("site", "visit", "sequence", "captured_at", "sha256", "how")},
            labelled_by=first.get("labelled_by", ""),
        )

    def _annotation(self, row: Mapping[str, Any], frame: Frame | None) -> tuple[AnnotationRecord | None, str]:
        label, individual = self._label(row), row.get("individual", "")
        if row.get("verdict", "labelled") != "labelled" or not label or is_empty_word(label):
            return None, ""
        if self._whales and individual == UNKNOWN_INDIVIDUAL:
            individual = ""
        annotation = AnnotationRecord(
            label,
            count=row.get("count", 1),
            individual=individual,
            fields={key[6:]: value for key, value in row.items() if key.startswith("field:")},
            flags={key[5:]: flag(value) for key, value in row.items() if key.startswith("flag:")},
        )
        try:
            return replace(annotation, box=_box(row, frame)), ""
        except ValueError as error:
            return annotation, str(error)


def _box(row: Mapping[str, Any], frame: Frame | None) -> Box | None:
    """The box of a row; None where it has none, or where its pixels cannot be scaled yet."""
    if match := _BOX.match(str(row.get("bbox", ""))):
        numbers = [finite(text) for text in match.groups()]
    elif all(key in row for key in _CORNERS):
        x, y, right, bottom = (finite(row[key]) for key in _CORNERS)
        numbers = [x, y, right - x, bottom - y]
    elif all(key in row for key in _SIDES):
        numbers = [finite(row[key]) for key in _SIDES]
    else:
        return None
    x, y, width, height = numbers
    if max(abs(number) for number in numbers) <= 1:
        return clipped(x, y, width, height)
    return frame.share(x, y, width, height) if frame else None
