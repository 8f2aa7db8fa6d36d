"""From pixels to shares of the upright image and back; the size comes from the file where the source does not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from classifier.errors import ImageRejected
from classifier.sniff import sniff
from webapp.datasets.formats.records import Box
from webapp.datasets.formats.values import clipped

_TURNED = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Frame:
    """The pixels that a source's boxes refer to. `turn` is the EXIF orientation still to be applied, 1 for none."""

    width: int
    height: int
    turn: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        return (self.height, self.width) if self.turn in _TURNED else (self.width, self.height)

    def share(self, x: float, y: float, width: float, height: float) -> Box:
        """A box in pixels as shares of the upright image; ValueError for one outside."""
        scaled = clipped(x / self.width, y / self.height, width / self.width, height / self.height)
        return turned(scaled, self.turn)


def frame_of(file: Path | None, width: int | None, height: int | None) -> Frame | None:
    """What the boxes of an image refer to: the size its source states, else the file's upright size; None: unknown.

    Tools that ignore EXIF state the size as stored; where that is the upright size with its sides changed, the boxes
    are turned with the picture.
    """
    header = None
    if file is not None:
        try:
            header = sniff(file)
        except (ImageRejected, OSError):
            header = None
    if header is None:
        return Frame(width, height) if width and height else None
    if not width or not height:
        return Frame(header.width, header.height)
    as_stored = header.orientation in _TURNED and (width, height) == (header.height, header.width) and width != height
    return Frame(width, height, header.orientation if as_stored else 1)


def turned(box: Box, orientation: int) -> Box:
    """A box of the picture as stored, in the picture as EXIF says it is to be seen."""
    x, y, w, h = box
    right, bottom = 1 - x - w, 1 - y - h
    return {
        2: (right, y, w, h),
        3: (right, bottom, w, h),
        4: (x, bottom, w, h),
        5: (y, x, h, w),
        6: (bottom, x, h, w),
        7: (bottom, right, h, w),
        8: (y, right, h, w),
    }.get(orientation, box)
