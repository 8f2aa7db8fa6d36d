"""Geometry of boxes: margin, clipping, and the way back from a network's input to the upright picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from classifier.preprocessing import Window
from classifier.types import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray


def with_margin(box: Box, margin: float) -> Box:
    """The box grown on each side by `margin` of its own size, kept inside the picture."""
    left, top = max(0.0, box.x - margin * box.width), max(0.0, box.y - margin * box.height)
    right = min(1.0, box.x + (1 + margin) * box.width)
    bottom = min(1.0, box.y + (1 + margin) * box.height)
    return Box(left, top, right - left, bottom - top)


def to_picture(corners: NDArray[np.float64], view: Window, *, width: int, height: int) -> NDArray[np.float64]:
    """Corners (x1, y1, x2, y2) in the network's input to shares of a `width` x `height` picture, clipped to it."""
    scale = np.array([view.width / view.paste_width, view.height / view.paste_height] * 2)
    offset = np.array([view.paste_left, view.paste_top] * 2)
    start = np.array([view.left, view.top] * 2)
    size = np.array([width, height] * 2)
    return np.asarray(np.clip(((corners - offset) * scale + start) / size, 0.0, 1.0))


def as_box(corners: NDArray[np.float64]) -> Box:
    """One row of corners as a box."""
    left, top, right, bottom = (float(value) for value in corners)
    return Box(left, top, right - left, bottom - top)
