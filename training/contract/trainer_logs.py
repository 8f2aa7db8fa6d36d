"""Logs of other trainers as curves: darknet's train_log.txt in both dialects, and tables of figures by step (CSV).

Values that are no number (`-nan` where a layer saw no object, empty cells) are skipped and counted, never drawn as 0.
Where a training was resumed and a step stands twice, the later one holds.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

# Windows writes what is no number as `-nan(ind)` or `-1.#IND`.
_NUMBER = r"[-+]?(?:nan(?:\(\w+\))?|inf|\d\.\#\w+|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)"
# `1: 730.5, 730.5 avg, 0.000000 rate, 3.2 seconds, 64 images`; the widely used fork says `avg loss` and goes on.
_STEP = re.compile(
    rf"^\s*(\d+):\s*({_NUMBER}),\s*({_NUMBER})\s+avg(?:\s+loss)?,\s*({_NUMBER})\s+rate,\s*({_NUMBER})\s+seconds,\s*(\d+)\s+images",
    re.IGNORECASE,
)
# `Region 82 Avg IOU: 0.5, ..., count: 3`; the fork: `v3 (iou loss, ...) Region 82 Avg (IOU: 0.5), count: 3, ...`.
# With one layer, as before YOLOv3, `Region Avg IOU: 0.5, ...`.
_REGION = re.compile(rf"Region\s+(?:(\d+)\s+)?Avg\s+\(?IOU:\s*({_NUMBER})", re.IGNORECASE)
_COUNT = re.compile(r"count:\s*(\d+)", re.IGNORECASE)
# ` mean average precision (mAP@0.50) = 0.634152, or 63.42 %`, which the fork says between steps.
_PRECISION = re.compile(rf"\((mAP@[\d.]+)\)\s*=\s*({_NUMBER})", re.IGNORECASE)
_ENDS = re.compile(r"\r\n|\r|\n")
_LONGEST = 1_000_000
_CHUNK = 65_536
_STEP_COLUMNS = ("step", "steps", "iteration", "iterations", "iter", "batch", "epoch", "epochs", "images")
_LOOKED_AT = 4000


class TrainerLogError(Exception):
    """Not a log that can be drawn; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over steps, in rising order of steps."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrainerLog:
    """What a log holds. `step` is what its steps are called, `skipped` how many values were no number."""

    kind: Literal["darknet", "csv"]
    step: str
    curves: tuple[Curve, ...]
    skipped: int

    def curve(self, name: str) -> Curve:
        """One of the curves, by name; KeyError when there is none."""
        return {one.name: one for one in self.curves}[name]


def read_trainer_log(path: Path) -> TrainerLog:
    """A log file; which kind it is, its own lines say."""
    try:
        with path.open("rb") as file:
            return parse_trainer_log(log_lines(iter(lambda: file.read(_CHUNK), b"")))
    except OSError as error:
        raise TrainerLogError(f"{path} cannot be read ({error}).") from error
    except TrainerLogError as error:
        raise TrainerLogError(f"{path}: {error}") from error


def log_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of bytes in UTF-8, or in UTF-16 as a Windows shell writes them; the last one may be cut off."""
    decoder, rest = None, ""
    for chunk in chunks:
        decoder = decoder or codecs.getincrementaldecoder(_encoding(chunk))(errors="replace")
        *whole, rest = _ENDS.split(rest + decoder.decode(chunk))
        yield from (f"{line}\n" for line in whole)
        if len(rest) > _LONGEST:
            raise TrainerLogError("it has no lines of text.")
    if rest:
        yield rest


def _encoding(start: bytes) -> str:
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def parse_trainer_log(lines: Iterable[str]) -> TrainerLog:
    """The same from lines, which are read once."""
    rows = iter(lines)
    head: list[str] = []
    for line in rows:
        head.append(line)
        if _STEP.match(line) or _REGION.search(line):
            return _darknet(chain(head, rows))
        if len(head) >= _LOOKED_AT:
            break
    return _table(chain(head, rows))


# ---- darknet ---------------------------------------------------------------------------------------------------------


def _darknet(lines: Iterable[str]) -> TrainerLog:
    """Lines of layers come before the line of their step. IoU is the mean over objects."""
    points = _Points()
    waiting: list[tuple[str | None, float | None, int]] = []
    at = 0.0
    for line in lines:
        # Processes that write at once may share a line, so every region of it counts.
        for region in _REGION.finditer(line):
            count = _COUNT.search(line, region.end())
            waiting.append((region[1], _number(region[2]), int(count[1]) if count else 1))
        if (precision := _PRECISION.search(line)) is not None:
            points.add(precision[1], at, _number(precision[2]))
        step = _STEP.match(line)
        if step is None:
            continue
        at = float(step[1])
        for name, value in zip(("loss", "average loss", "learning rate", "seconds"), step.groups()[1:5], strict=True):
            points.add(name, at, _number(value))
        _add_overlaps(points, at, waiting)
        waiting.clear()
    if not points.found:
        raise TrainerLogError("it has lines of layers but none of a step, such as `1: 730.5, 730.5 avg, ... images`.")
    return TrainerLog("darknet", "iteration", points.curves(), points.skipped)


def _add_overlaps(points: _Points, at: float, seen: Iterable[tuple[str | None, float | None, int]]) -> None:
    sums: dict[str, list[float]] = {}
    for layer, value, count in seen:
        if count == 0 or value is None or not math.isfinite(value):
            points.skipped += 1
            continue
        for name in ("IoU", f"IoU, layer {layer}") if layer else ("IoU",):
            pair = sums.setdefault(name, [0.0, 0.0])
            pair[0] += value * count
            pair[1] += count
    for name, (total, objects) in sums.items():
        points.add(name, at, total / objects)


class _Points:
    """Values by curve and step."""

    def __init__(self) -> None:
        self.found: dict[str, dict[float, float]] = {}
        self.skipped = 0

    def add(self, name: str, step: float, value: float | None) -> None:
        if value is not None and math.isfinite(value):
            self.found.setdefault(name, {})[step] = value
        else:
            self.skipped += 1

    def curves(self) -> tuple[Curve, ...]:
        return tuple(_curve(name, values) for name, values in self.found.items())


def _curve(name: str, values: Mapping[float, float]) -> Curve:
    steps = tuple(sorted(values))
    return Curve(name, steps, tuple(values[step] for step in steps))


# ---- tables ----------------------------------------------------------------------------------------------------------


def _table(lines: Iterator[str]) -> TrainerLog:
    first = next((line for line in lines if line.strip()), "")
    mark = max(",;\t", key=first.count)
    names = [name.strip() for name in next(csv.reader([first.strip()], delimiter=mark), [])]
    if len(names) < 2 or any(_number(name) is not None for name in names):
        raise TrainerLogError(
            "it is neither darknet's log (`1: 730.5, 730.5 avg, ...`) nor a table whose first row names its columns."
        )
    lower = [name.lower() for name in names]
    at = next((lower.index(name) for name in _STEP_COLUMNS if name in lower), None)
    points = _Points()
    try:
        for number, row in enumerate(csv.reader(_whole(lines, mark), delimiter=mark, strict=True), start=1):
            _add_row(points, names, at, row, number, "," if mark == ";" else ".")
    except csv.Error as error:
        raise TrainerLogError(f"it is no table: {error}.") from error
    if not points.found:
        raise TrainerLogError(f"none of its columns ({', '.join(names[:8])}) holds a number.")
    return TrainerLog("csv", "row" if at is None else names[at], points.curves(), points.skipped)


def _whole(lines: Iterable[str], mark: str) -> Iterator[str]:
    """A last line that was cut off ends where its last whole cell does: of 0.25 only 0.2 may be there."""
    cells = 0
    for line in lines:
        is_cut = not line.endswith("\n") and line.count(mark) < cells
        cells = max(cells, line.count(mark))
        yield line.rpartition(mark)[0] if is_cut else line


def _add_row(points: _Points, names: list[str], at: int | None, row: list[str], number: int, point: str) -> None:
    """`point` is what stands before the decimals: a comma where semicolons part the cells."""
    cells = [_number(cell.replace(point, ".")) for cell in row[: len(names)]]
    step = float(number) if at is None else cells[at] if at < len(cells) else None
    if step is None or not math.isfinite(step):
        points.skipped += len(row) > 0
        return
    for place, value in enumerate(cells):
        if place != at:
            points.add(names[place], step, value)


def _number(text: str) -> float | None:
    """The number a cell holds; `-nan` is one that is not finite, words are none."""
    try:
        return float(text.strip())
    except ValueError:
        return None
