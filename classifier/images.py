"""Decodes a picture to upright RGB: the one loader that training, serving and the command line share."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, WebPImagePlugin

from classifier import isolated
from classifier.errors import ImageRejected
from classifier.jpeg import damaged, decode_jpeg
from classifier.modes import reduced, to_rgb
from classifier.png import salvage_png
from classifier.sniff import check_size, sniff_bytes
from classifier.types import Decoded, Header

_GIANT_PIXELS = 50_000_000
# Giants are let in, but one at a time: eight threads with 200 megapixels each would take 10 GB.
_one_giant = threading.Lock()

_ISOLATED = frozenset({"TIFF", "AVIF"})
# The plugin is called by itself and not through Image.open, whose guard against bombs is a process-wide warning filter;
# the sizes were checked before and are compared after.
_PLUGINS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_FAULTS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, Image.DecompressionBombError)

_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def decode(source: Path | bytes, *, at_least: int, header: Header | None = None) -> Decoded:
    """Decode a picture, its short side reduced by a whole factor but not below `at_least` (0: full size).

    Safe to call from many threads. Raises ImageRejected; a picture that is damaged but partly readable is returned with
    its `damaged_share`, the missing part flat. Animations and multi-page files give their first frame.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    if header is None:
        header = sniff_bytes(data)
    with _turn(header):
        if header.format in _ISOLATED:
            answer = isolated.decode(data, format_name=header.format, at_least=at_least)
            return Decoded(answer.pixels, answer.width, answer.height)
        pixels, share = _decode_here(data, header, at_least)
    if header.orientation in _UPRIGHT:
        pixels = np.ascontiguousarray(_UPRIGHT[header.orientation](pixels))
    return Decoded(pixels, header.width, header.height, share)


@contextmanager
def _turn(header: Header) -> Iterator[None]:
    if header.width * header.height < _GIANT_PIXELS:
        yield
        return
    with _one_giant:
        yield


def _decode_here(data: bytes, header: Header, at_least: int) -> tuple[NDArray[np.uint8], float]:
    if header.format not in _PLUGINS:
        return decode_jpeg(data, at_least=at_least)
    try:
        return _with_pillow(data, header, at_least), 0.0
    except _FAULTS as error:
        if header.format != "PNG":
            raise damaged(f"its {header.format} data was cut short or overwritten ({error})") from error
    whole, share = salvage_png(data)
    try:
        return _with_pillow(whole, header, at_least), share
    except _FAULTS as error:
        raise damaged(f"its PNG data was overwritten ({error})") from error


def _with_pillow(data: bytes, header: Header, at_least: int) -> NDArray[np.uint8]:
    with _PLUGINS[header.format](io.BytesIO(data)) as image:
        stored = (header.height, header.width) if header.orientation >= 5 else (header.width, header.height)
        if image.size != stored:
            check_size(*image.size)
            raise ImageRejected("bad-header", "The file says two different sizes of itself. Save the picture again.")
        image.load()
        return np.array(reduced(to_rgb(image), at_least))
