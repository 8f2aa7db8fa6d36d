"""Label files of YOLO and darknet: `class x_center y_center width height`, as shares, a line for each box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from webapp.datasets.formats.paths import Pictures
from webapp.datasets.formats.records import AnnotationRecord, Box, ImageRecord
from webapp.datasets.formats.values import clipped, finite

_POLYGON = 7  # a class and at least three corners
_LONGEST_LINE = 1 << 16


def record_of(
    pictures: Pictures, path: str, part: str, classes: Sequence[str], *, with_points: bool = False
) -> ImageRecord:
    """An image with the boxes of its label file; an empty file says that there is nothing, no file says nothing.

    `with_points`: keypoints follow each box, so that many numbers are no outline.
    """
    found = pictures.find(path)
    labels = next((file for file in label_files(pictures.root, found.path) if file.is_file()), None)
    if labels is None:
        return ImageRecord(found.path, found.file, part, problem=found.problem)
    annotations, problems, is_whole = [], [found.problem] if found.problem else [], True
    for line, number, box, problem in _rows(labels, with_points):
        if number is None or number >= len(classes):
            is_whole = False
            problem = problem or f"class {number}, but there are only {len(classes)} names"
        else:
            annotations.append(AnnotationRecord(classes[number], box))
        problems += [f"{labels.name}, line {line}: {problem}."] if problem else []
    # Lines of which none can be read do not say that there is nothing.
    said = tuple(annotations) if annotations or is_whole else None
    return ImageRecord(found.path, found.file, part, said, problem=" ".join(problems))


def label_files(root: Path, image: str) -> Iterator[Path]:
    """Where the label file of an image may be: the last folder `images` changed, darknet's plain replacing, beside."""
    stem = PurePosixPath(image).with_suffix(".txt")
    parts = list(stem.parts)
    for word in ("images", "JPEGImages"):
        if word in parts[:-1]:
            at = len(parts) - 2 - parts[:-1][::-1].index(word)
            yield root.joinpath(*parts[:at], "labels", *parts[at + 1 :])
    for word in ("images", "JPEGImages"):
        if word in str(stem):
            yield root / str(stem).replace(word, "labels", 1)
    yield root / stem


def _rows(file: Path, with_points: bool) -> Iterator[tuple[int, int | None, Box | None, str]]:
    """Line, class and box, and what is wrong with either."""
    with file.open(encoding="utf-8", errors="replace") as text:
        for line, content in enumerate(iter(lambda: text.readline(_LONGEST_LINE), ""), start=1):
            cells = content.split()
            if not cells:
                continue
            sides = cells[1:5] if with_points else cells[1:]
            try:
                number = int(finite(cells[0]))
            except ValueError as error:
                yield line, None, None, str(error)
                continue
            if number < 0 or len(sides) < 4 or (len(sides) > 5 and len(sides) + 1 < _POLYGON):
                yield line, None, None, f"expected 'class x y width height', found {content.strip()[:80]!r}"
                continue
            try:
                yield line, number, _box([finite(side) for side in sides]), ""
            except ValueError as error:
                yield line, number, None, str(error)


def _box(sides: Sequence[float]) -> Box:
    """From middle and size, or around the corners of an outline."""
    if len(sides) + 1 >= _POLYGON:
        across, down = sides[0::2], sides[1::2]
        return clipped(min(across), min(down), max(across) - min(across), max(down) - min(down))
    x, y, width, height = sides[:4]
    return clipped(x - width / 2, y - height / 2, width, height)


def row_of(number: int, box: Box) -> str:
    """The line of one box."""
    x, y, width, height = box
    return f"{number} {x + width / 2:.6f} {y + height / 2:.6f} {width:.6f} {height:.6f}\n"
