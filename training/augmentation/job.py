"""Writes varied copies of labelled pictures, and what the new label file says of them.

What a copy looks like depends on the seed, the picture's name and the copy's number alone: neither on the number of
threads nor on where an earlier try ended.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from classifier.errors import ImageRejected
from classifier.images import decode
from classifier.sniff import sniff_bytes
from classifier.types import Decoded
from training.augmentation.label_file import Cells, Frame, Labelled, Labels, box_of, with_box
from training.augmentation.picture import Boxed, Picture, Varied, vary
from training.augmentation.presets import Plan

_QUALITY = 95
_TRIES = 10
_JPEG, _PNG = (".jpg", ".jpeg"), (".png",)
_LOSSLESS = ("PNG", "TIFF")


class JobError(Exception):
    """The work cannot go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one picture: its lines of the new label file, or the reason why it is left out.

    `copies` were made, `without_boxes` more were asked for but showed none of the picture's boxes however often drawn.
    """

    name: str
    rows: tuple[tuple[str, ...], ...] = ()
    copies: int = 0
    without_boxes: int = 0
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """Copies to make, from one folder into another."""

    source: Path
    target: Path
    labels: Labels
    plan: Plan
    seed: int
    copies: int

    @property
    def header(self) -> tuple[str, ...]:
        """Columns of the new label file: those of the old one, and what they lack of these."""
        layout = self.labels.layout
        weight = () if layout.weight else ("weight",)
        burst = () if layout.burst else ("sequence",)
        return (*layout.header, *weight, *self._origin, *burst)

    @property
    def _origin(self) -> tuple[str, str]:
        """Where a copy comes from, and by which steps; other names where the label file has its own such columns."""
        there = {column.casefold() for column in self.labels.layout.header}
        return ("augmented_from", "augmented_by") if there & {"source", "op"} else ("source", "op")

    def results(self, pictures: Iterator[Labelled], workers: int) -> Iterator[Made]:
        """Of each picture in order, made in threads a few ahead: memory does not grow with their number."""
        with ThreadPoolExecutor(workers) as threads:
            waiting: deque[Future[Made]] = deque(
                threads.submit(self.make, one) for one in islice(pictures, 2 * workers)
            )
            try:
                while waiting:
                    yield waiting.popleft().result()
                    waiting.extend(threads.submit(self.make, one) for one in islice(pictures, 1))
            finally:
                for one in waiting:
                    one.cancel()

    def make(self, labelled: Labelled) -> Made:
        """Write a picture and its copies. Safe in any thread."""
        try:
            data = (self.source / labelled.name).read_bytes()
            header = sniff_bytes(data)
            decoded = decode(data, at_least=0, header=header)
            boxes = self._boxes(labelled, Frame(decoded.width, decoded.height, header.orientation))
        except FileNotFoundError:
            return Made(labelled.name, left_out="there is no such file in the input folder")
        except OSError as error:
            return Made(labelled.name, left_out=f"it cannot be read ({error.strerror or error})")
        except ImageRejected as error:
            return Made(labelled.name, left_out=error.reason)
        except ValueError as error:
            return Made(labelled.name, left_out=str(error))
        if decoded.damaged_share > 0:
            missing = max(1, round(100 * decoded.damaged_share))
            return Made(labelled.name, left_out=f"it is damaged, {missing} % of its rows are missing")
        self._write(labelled.name, data)
        wanted = self.copies if all(map(self.labels.layout.is_training, labelled.rows)) else 0
        lossless = header.format in _LOSSLESS
        copies = [self._copy(labelled, decoded, boxes, number, lossless) for number in range(1, wanted + 1)]
        made = [rows for rows in copies if rows]
        rows = self._rows_of_original(labelled, len(made))
        rows += [self._values(cells, labelled, len(made), copy=True) for copied in made for cells in copied]
        return Made(labelled.name, tuple(rows), len(made), wanted - len(made))

    def _boxes(self, labelled: Labelled, frame: Frame) -> tuple[Boxed, ...]:
        layout = self.labels.layout
        found = ((number, box_of(layout, cells, frame)) for number, cells in enumerate(labelled.rows))
        return tuple(Boxed(box, number) for number, box in found if box is not None)

    def _copy(
        self, labelled: Labelled, decoded: Decoded, boxes: tuple[Boxed, ...], number: int, lossless: bool
    ) -> list[Cells]:
        """Write one copy; its rows, none where no draw left any of its boxes."""
        varied = self._varied(labelled.name, Picture(decoded.pixels, boxes), number)
        if varied is None:
            return []
        name = self._copy_name(labelled.name, number, lossless)
        data = _encoded(varied.picture.pixels, name)
        self._write(name, data)
        digest = hashlib.sha256(data).hexdigest()
        return self._rows_of_copy(labelled, varied, boxes, name, digest)

    def _varied(self, name: str, picture: Picture, number: int) -> Varied | None:
        start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        for attempt in range(_TRIES):
            random = np.random.default_rng([self.seed, start, number, attempt])
            varied = vary(picture, self.plan.steps, random, least_box=self.plan.least_box)
            if varied.picture.boxes or not picture.boxes:
                return varied
        return None

    def _copy_name(self, name: str, number: int, lossless: bool) -> str:
        """Beside the original, with a name that no picture of the label file has."""
        path = PurePosixPath(name)
        kept = path.suffix.lower() in (*_JPEG, *_PNG)
        ending = path.suffix if kept else path.suffix + (".png" if lossless else ".jpg")
        mark = f"-aug{number}"
        while self.labels.names(str(path.with_name(f"{path.stem}{mark}{ending}"))):
            mark += "+"
        return str(path.with_name(f"{path.stem}{mark}{ending}"))

    def _rows_of_copy(
        self, labelled: Labelled, varied: Varied, boxes: Sequence[Boxed], name: str, digest: str
    ) -> list[Cells]:
        layout = self.labels.layout
        width, height = varied.picture.size
        left = {one.number: one.box for one in varied.picture.boxes}
        boxed = {one.number for one in boxes}
        found = []
        for number, cells in enumerate(labelled.rows):
            if number in boxed and number not in left:
                continue
            row = {**cells, layout.picture: _renamed(cells[layout.picture], name)}
            row |= {layout.digest: digest} if layout.digest else {}
            for column, size in zip(layout.frame, (width, height), strict=False):
                row |= {column: str(size)} if cells[column] else {}
            if number in left:
                row = with_box(layout, row, left[number], Frame(width, height))
            found.append(row | {self._origin[1]: "+".join(varied.acted)})
        return found

    def _rows_of_original(self, labelled: Labelled, copies: int) -> list[tuple[str, ...]]:
        return [self._values(cells, labelled, copies, copy=False) for cells in labelled.rows]

    def _values(self, cells: Cells, labelled: Labelled, copies: int, *, copy: bool) -> tuple[str, ...]:
        layout = self.labels.layout
        weight = float(cells[layout.weight]) if layout.weight else 1.0
        if self.plan.weight == "shared":
            weight /= 1 + copies
        elif copy and not isinstance(self.plan.weight, str):
            weight *= self.plan.weight
        source, by = self._origin
        row = {**cells, layout.weight or "weight": repr(weight), source: labelled.name if copy else ""}
        row.setdefault(by, "")
        if not layout.burst:
            row["sequence"] = labelled.name
        return tuple(row[column] for column in self.header)

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all."""
        path = self.target / name
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(data)
            beside.replace(path)
        except OSError as error:
            raise JobError(f"{path} cannot be written ({error.strerror or error}): make room or choose another folder, "
                           "then run the same command again: it goes on where it stopped") from error  # fmt: skip


def _renamed(cell: str, name: str) -> str:
    """A cell that names a picture, now naming its copy: the folders it says stay."""
    head = cell.replace("\\", "/").rpartition("/")
    return f"{head[0]}{head[1]}{PurePosixPath(name).name}".strip()


def _encoded(pixels: NDArray[np.uint8], name: str) -> bytes:
    if name.lower().endswith(_JPEG):
        data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorsubsampling="444")
        return data
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


# ---- what was done, a line a picture: so that a stopped command goes on ----------------------------------------------


@dataclass(frozen=True, slots=True)
class Journal:
    """What became of each picture so far, in order, behind a line that says what was asked for."""

    path: Path
    asked: str

    def begin(self) -> int:
        """Start it, or go on: how many pictures are done. JobError where it belongs to another order."""
        if not self.path.exists():
            self.path.write_text(json.dumps({"asked": self.asked}) + "\n", encoding="utf-8")
            return 0
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self.path.write_bytes(whole)
        lines = whole.count(b"\n")
        if lines <= 1:  # nothing was made yet
            self.path.write_text(json.dumps({"asked": self.asked}) + "\n", encoding="utf-8")
            return 0
        if json.loads(whole[: whole.find(b"\n")]) != {"asked": self.asked}:
            raise JobError(
                f"{self.path.parent} holds what an earlier command with other settings began: repeat that one, or "
                "choose another output folder"
            )
        return lines - 1

    def add(self, made: Made) -> None:
        line = [made.name, made.rows, made.copies, made.without_boxes, made.left_out]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def __iter__(self) -> Iterator[Made]:
        with self.path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                name, rows, copies, without_boxes, left_out = json.loads(line)
                yield Made(name, tuple(map(tuple, rows)), copies, without_boxes, left_out)
