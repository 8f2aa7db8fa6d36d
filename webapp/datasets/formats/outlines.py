"""Boxes around what other tools draw: outlines, masks and turned boxes, all in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from webapp.datasets.formats.values import finite

Sides = tuple[float, float, float, float]


def around(outline: object) -> Sides | None:
    """x, y, width and height around COCO's `segmentation`, corners or runs of a mask; ValueError for anything else."""
    if not outline:
        return None
    if isinstance(outline, Mapping):
        return _around_mask(outline)
    if not isinstance(outline, list):
        raise ValueError("its outline is neither a list of corners nor a mask")
    numbers = outline if not isinstance(outline[0], list) else list(chain.from_iterable(outline))
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("its outline has no three corners")
    return of_corners([finite(number) for number in numbers])


def of_corners(numbers: Sequence[float]) -> Sides:
    """Around x, y, x, y and so on."""
    across, down = numbers[0::2], numbers[1::2]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def around_turned(x: float, y: float, width: float, height: float, radians: float) -> Sides:
    """The upright box around one that is turned about its middle."""
    cosine, sine = abs(math.cos(radians)), abs(math.sin(radians))
    wide, high = width * cosine + height * sine, width * sine + height * cosine
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _around_mask(mask: Mapping[str, Any]) -> Sides | None:
    """Runs of nothing and something by turns, column after column."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or not size or not isinstance(counts, (list, str)):
        raise ValueError("its mask lacks size or counts")
    high, at, boxes = int(finite(size[0])), 0, []
    for number, run in enumerate(_runs(counts) if isinstance(counts, str) else map(int, counts)):
        if number % 2 and run > 0 and high > 0:
            first, last = at // high, (at + run - 1) // high
            top, bottom = (at % high, (at + run - 1) % high) if first == last else (0, high - 1)
            boxes.append((first, top, last + 1, bottom + 1))
        at += run
    if not boxes:
        return None
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    return left, top, max(box[2] for box in boxes) - left, max(box[3] for box in boxes) - top


def _runs(text: str) -> Iterator[int]:
    """COCO's short form: five bits a character, and from the fourth run on the difference to the last but one."""
    found: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        found.append(value + (found[-2] if len(found) > 2 else 0))
        value = shift = 0
    yield from found
