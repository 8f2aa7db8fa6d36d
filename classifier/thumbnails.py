"""Makes the small JPEG that pages show; re-encoded, so nothing of the original file is in it but its picture."""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image

from classifier.types import Decoded

SIDE = 256
QUALITY = 80


def small_copy(decoded: Decoded, side: int = SIDE) -> Image.Image:
    """The picture with its longest side at `side`, never enlarged; thumbnail, hash and quality can share one."""
    height, width = decoded.pixels.shape[:2]
    image = Image.fromarray(decoded.pixels)
    scale = side / max(height, width)
    if scale >= 1.0:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # The gap of 1 averages whole blocks first, which costs a quarter of a straight resize and looks the same here.
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


def encode(small: Image.Image) -> bytes:
    """The JPEG bytes of a small copy, without metadata."""
    return bytes(simplejpeg.encode_jpeg(np.array(small), quality=QUALITY, colorsubsampling="420", fastdct=True))


def thumbnail(decoded: Decoded, side: int) -> bytes:
    """A JPEG without metadata whose longest side is `side`, or that of the picture where it is smaller."""
    return encode(small_copy(decoded, side))
