"""From an upright picture to the pixels a network reads: one implementation for serving and for training.

Pixels stay uint8 until they are inside the network, which subtracts the mean and divides by the deviation itself;
so what crosses threads and processes is four times smaller than floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from classifier.card import Card
from classifier.errors import ImageRejected
from classifier.types import Box, Decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
THUMBNAIL_SIDE = 256


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture a network sees, in pixels of that picture, and where it lands in the network's input.

    `left`, `top`, `width`, `height` may be fractions of a pixel; the pasted size is smaller than the input only when
    the picture is letterboxed.
    """

    left: float
    top: float
    width: float
    height: float
    paste_left: int
    paste_top: int
    paste_width: int
    paste_height: int


def decode_side(card: Card) -> int:
    """Short side to decode to: twice the input keeps downscaling honest, and a thumbnail must be served as well."""
    return max(THUMBNAIL_SIDE, 2 * max(card.input_size))


def window(card: Card, width: int, height: int) -> Window:
    """What of a `width` x `height` picture the network sees."""
    rows, columns = card.input_size
    if card.crop_mode == "squash":
        return Window(0, 0, width, height, 0, 0, columns, rows)
    if card.crop_mode == "border":
        scale = min(columns / width, rows / height)
        paste_width = min(columns, max(1, round(width * scale)))
        paste_height = min(rows, max(1, round(height * scale)))
        left, top = (columns - paste_width) // 2, (rows - paste_height) // 2
        return Window(0, 0, width, height, left, top, paste_width, paste_height)
    scale = max(columns / width, rows / height) / card.crop_pct
    seen_width, seen_height = min(width, columns / scale), min(height, rows / scale)
    return Window((width - seen_width) / 2, (height - seen_height) / 2, seen_width, seen_height, 0, 0, columns, rows)


def to_input(card: Card, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (height x width x 3) as the network's input (same layout, the card's size). Safe in any thread."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageRejected("empty-picture", f"The picture has no pixels to look at (its shape is {pixels.shape}).")
    height, width = pixels.shape[:2]
    view = window(card, width, height)
    box = (view.left, view.top, view.left + view.width, view.top + view.height)
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    resized = picture.resize((view.paste_width, view.paste_height), _RESAMPLING[card.interpolation], box=box)
    rows, columns = card.input_size
    if (view.paste_height, view.paste_width) == (rows, columns):
        return np.asarray(resized)
    # Padding with the mean is padding with zeros once the network has normalised.
    fill = np.array([min(255, max(0, round(255 * value))) for value in card.mean], dtype=np.uint8)
    canvas = np.broadcast_to(fill, (rows, columns, 3)).copy()
    across = slice(view.paste_left, view.paste_left + view.paste_width)
    canvas[view.paste_top : view.paste_top + view.paste_height, across] = np.asarray(resized)
    return canvas


def normalisation(card: Card) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation in units of uint8 pixels, as the back ends apply them."""
    return tuple(255 * value for value in card.mean), tuple(255 * value for value in card.std)


def cut(decoded: Decoded, box: Box) -> NDArray[np.uint8]:
    """The pixels inside a box, at least one by one."""
    height, width = decoded.pixels.shape[:2]
    left = min(width - 1, max(0, math.floor(box.x * width)))
    top = min(height - 1, max(0, math.floor(box.y * height)))
    right = min(width, max(left + 1, math.ceil((box.x + box.width) * width)))
    bottom = min(height, max(top + 1, math.ceil((box.y + box.height) * height)))
    return decoded.pixels[top:bottom, left:right]
