"""A label file: a line for each picture or each box in one, in any of the layouts that the importers know.

Rows lie in a database on disk while they are worked on, so that memory does not grow with their number.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from classifier.types import Box

Cells = dict[str, str]

# Names of columns, spaces, dashes and capitals aside; the first that is there counts.
_PICTURE = "filepath file_path path image_path imagepath filename file_name file image image_file img photo picture"
_FOLDER = "relativepath relative_path folder directory"
_PART = "split part set subset"
_BOX = "bbox box bounding_box"
_SIDES = (
    "x xmin x_min bbox_x box_x left x0",
    "y ymin y_min bbox_y box_y top y0",
    "width w bbox_w bbox_width box_width",
    "height h bbox_h bbox_height box_height",
)
_CORNERS = (*_SIDES[:2], "x_max xmax x2 right", "y_max ymax y2 bottom")
_X1_CORNERS = ("x1", "y1", "x2", "y2")
_X0_CORNERS = ("x0", "y0", "x1", "y1")
_FRAME = ("image_width img_width", "image_height img_height")
_DIGEST = "sha256 checksum"
_BURST = "sequence seq_id sequence_id burst event event_id eventid"
_NUMBERS = re.compile(r"^[\[(]?\s*([^\s,]+)[\s,]+([^\s,]+)[\s,]+([^\s,]+)[\s,]+([^\s,\])]+)\s*[\])]?$")


class LabelFileError(Exception):
    """A label file that cannot be used; the text says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column of a label file holds what; empty where there is none."""

    header: tuple[str, ...]
    delimiter: str
    picture: str
    folder: str = ""
    part: str = ""
    box: str = ""
    sides: tuple[str, ...] = ()
    corners: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    digest: str = ""
    burst: str = ""
    weight: str = ""

    @property
    def has_boxes(self) -> bool:
        return bool(self.box or self.sides or self.corners)

    def name_of(self, cells: Mapping[str, str]) -> str:
        """The picture of a row, with folders."""
        name = cells[self.picture].strip().replace("\\", "/")
        folder = cells[self.folder].strip().replace("\\", "/").strip("/") if self.folder else ""
        return f"{folder}/{name}" if folder and name else name

    def is_training(self, cells: Mapping[str, str]) -> bool:
        """Whether a row may be varied: only the training part may, and without parts everything is training."""
        said = cells[self.part].strip().casefold() if self.part else ""
        return not said or said.startswith("train")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture with its rows, in the order of the file."""

    name: str
    rows: tuple[Cells, ...]


def layout_of(path: Path) -> Layout:
    """Read the header of a label file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except (OSError, UnicodeError) as error:
        raise LabelFileError(f"the label file {path} cannot be read as UTF-8 text ({error})") from error
    delimiter = max(",;\t", key=first.count)
    header = next(csv.reader([first], delimiter=delimiter), [])
    if len(set(header)) < len(header):
        raise LabelFileError(f"{path} has two columns of one name: {', '.join(header)}")
    by_name = {re.sub(r"[\s\-./]+", "_", column.strip()).casefold(): column for column in reversed(header)}

    def column(names: str) -> str:
        return next((by_name[name] for name in names.split() if name in by_name), "")

    def columns(names: Sequence[str]) -> tuple[str, ...]:
        found = tuple(map(column, names))
        return found if all(found) else ()

    picture = column(_PICTURE)
    if not picture or len(header) < 2:
        raise LabelFileError(
            f"{path} needs a header with a column that names the pictures and one with labels, such as `Image,Id` or "
            f"`filepath,label`; it has: {', '.join(header) or 'nothing'}"
        )
    corners = columns(_X0_CORNERS) or columns(_X1_CORNERS) or columns(_CORNERS)
    return Layout(
        header=tuple(header),
        delimiter=delimiter,
        picture=picture,
        folder=column(_FOLDER),
        part=column(_PART),
        box=column(_BOX),
        sides=() if corners else columns(_SIDES),
        corners=corners,
        frame=columns(_FRAME),
        digest=column(_DIGEST),
        burst=column(_BURST),
        weight=column("weight"),
    )


class Labels:
    """The rows of a label file, by picture in the order in which pictures first come."""

    def __init__(self, path: Path, layout: Layout, database: Path) -> None:
        self.path, self.layout, self._database = path, layout, database
        with closing(sqlite3.connect(database)) as rows, rows:
            rows.execute("PRAGMA synchronous=OFF")
            rows.execute("CREATE TABLE pictures (number INTEGER PRIMARY KEY, name TEXT UNIQUE)")
            rows.execute("CREATE TABLE lines (number INTEGER PRIMARY KEY, picture INTEGER, cells TEXT)")
            for name, cells in self._read():
                rows.execute("INSERT OR IGNORE INTO pictures (name) VALUES (?)", (name,))
                rows.execute(
                    "INSERT INTO lines (picture, cells) SELECT number, ? FROM pictures WHERE name = ?",
                    (json.dumps(cells, ensure_ascii=False), name),
                )
            rows.execute("CREATE INDEX of_picture ON lines (picture)")
            self.pictures = int(rows.execute("SELECT count(*) FROM pictures").fetchone()[0])
        if not self.pictures:
            raise LabelFileError(f"{path} has a header and no rows")
        self._lock, self._asked = Lock(), sqlite3.connect(database, check_same_thread=False)

    def __iter__(self) -> Iterator[Labelled]:
        found = (
            "SELECT name, cells FROM lines JOIN pictures ON picture = pictures.number ORDER BY picture, lines.number"
        )
        with closing(sqlite3.connect(self._database)) as database:
            name, rows = "", list[Cells]()
            for of_name, cells in database.execute(found):
                if of_name != name and rows:
                    yield Labelled(name, tuple(rows))
                    rows = []
                name = of_name
                rows.append(dict(zip(self.layout.header, json.loads(cells), strict=True)))
            if rows:
                yield Labelled(name, tuple(rows))

    def names(self, name: str) -> bool:
        """Whether there is a picture of that name. Safe in any thread."""
        with self._lock:
            return self._asked.execute("SELECT 1 FROM pictures WHERE name = ?", (name,)).fetchone() is not None

    def close(self) -> None:
        self._asked.close()

    def _read(self) -> Iterator[tuple[str, list[str]]]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.layout.delimiter)
            try:
                next(reader)
                for cells in reader:
                    if any(cells):
                        yield self._checked(cells, reader.line_num), cells
            except (csv.Error, UnicodeError) as error:
                raise LabelFileError(f"{self.path}, line {reader.line_num}: {error}") from error

    def _checked(self, cells: list[str], line: int) -> str:
        where = f"{self.path}, line {line}"
        if len(cells) != len(self.layout.header):
            raise LabelFileError(f"{where}: {len(cells)} cells, where the header has {len(self.layout.header)}")
        row = dict(zip(self.layout.header, cells, strict=True))
        name = self.layout.name_of(row)
        if not name:
            raise LabelFileError(f"{where}: no picture is named")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\0" in name:
            raise LabelFileError(f"{where}: {name!r} must be named from the input folder on, without `..`")
        if self.layout.weight and not _is_weight(row[self.layout.weight]):
            raise LabelFileError(f"{where}: the weight {row[self.layout.weight]!r} is no number from 0 on")
        return str(PurePosixPath(name))


def _is_weight(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


# ---- boxes of rows ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture that a row's boxes refer to: upright width and height, and the EXIF turn it came with."""

    width: int
    height: int
    turn: int = 1


def box_of(layout: Layout, cells: Mapping[str, str], frame: Frame) -> Box | None:
    """The box of a row as shares of the upright picture; None where it has none, ValueError where it makes no sense.

    Numbers of at most 1 are shares, others pixels: of the size that the row states, else of the picture.
    """
    texts = _texts(layout, cells)
    if not texts:
        return None
    numbers = [float(text) for text in texts]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"the box {', '.join(texts)} is not made of numbers")
    if not layout.corners:
        numbers = [numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3]]
    turn = 1
    if not _in_shares(texts):
        width, height, turn = _stated(layout, cells, frame)
        numbers = [numbers[0] / width, numbers[1] / height, numbers[2] / width, numbers[3] / height]
    x0, y0, x1, y1 = _upright([min(1.0, max(0.0, one)) for one in numbers], turn)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {', '.join(texts)} lies outside the picture or has no size")
    return Box(x0, y0, x1 - x0, y1 - y0)


def with_box(layout: Layout, cells: Mapping[str, str], box: Box, frame: Frame) -> Cells:
    """The row with another box, written as the one it has, in a picture of the size of `frame`."""
    shares = _in_shares(_texts(layout, cells))
    width, height = (1, 1) if shares else (frame.width, frame.height)
    last = (box.x + box.width, box.y + box.height) if layout.corners else (box.width, box.height)
    numbers = (box.x * width, box.y * height, last[0] * width, last[1] * height)
    texts = [f"{one:.6f}" if shares else f"{one:.2f}" for one in numbers]
    if layout.corners or layout.sides:
        return {**cells, **dict(zip(layout.corners or layout.sides, texts, strict=True))}
    return {**cells, layout.box: f"[{', '.join(texts)}]"}


def _texts(layout: Layout, cells: Mapping[str, str]) -> tuple[str, ...]:
    if layout.corners or layout.sides:
        found = tuple(cells[column].strip() for column in layout.corners or layout.sides)
        return found if all(found) else ()
    match = _NUMBERS.match(cells[layout.box].strip()) if layout.box else None
    return match.groups() if match else ()


def _in_shares(texts: Sequence[str]) -> bool:
    return max(abs(float(text)) for text in texts) <= 1


def _stated(layout: Layout, cells: Mapping[str, str], frame: Frame) -> tuple[int, int, int]:
    """Size that pixels refer to, and the turn still to be applied: tools that ignore EXIF state the size as stored."""
    try:
        width, height = (int(float(cells[column])) for column in layout.frame)
    except ValueError:
        return frame.width, frame.height, 1
    as_stored = frame.turn >= 5 and width != height and (width, height) == (frame.height, frame.width)
    return (width, height, frame.turn) if as_stored and width > 0 < height else (max(width, 1), max(height, 1), 1)


def _upright(numbers: Sequence[float], turn: int) -> tuple[float, float, float, float]:
    """Corners in a picture as stored, by EXIF orientation, in the picture as it is to be seen."""
    points = [(numbers[0], numbers[1]), (numbers[2], numbers[3])]
    if turn >= 5:
        points = [(y, x) for x, y in points]
    across, down = turn in (2, 3, 6, 7), turn in (3, 4, 7, 8)
    points = [(1 - x if across else x, 1 - y if down else y) for x, y in points]
    (xa, ya), (xb, yb) = points
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)
