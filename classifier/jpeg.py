"""Decodes JPEG data, whole or damaged, at the smallest DCT scale that keeps the asked-for size."""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from classifier.errors import ImageRejected

MAX_SCANS = 200

_END = b"\xff\xd9"
_MCU_ROWS = 16
_CHANNELS = {"GRAY": 1, "RGB": 3, "CMYK": 4}
# Entropy data that is anything but a flat continuation; no 0xFF, so it holds no marker.
_NOISE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(64)).replace(b"\xff", b"\x5a")
# Warnings about a label in the file, not about its picture; everything else means that something is lost.
_HARMLESS = ("Warning: unknown JFIF", "Unknown Adobe", "Inconsistent progression")
# Failing cards leave whole sectors of zeros.
_HOLE = bytes(1024)
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the first scan's data starts, and what may stand in it."""

    scan_start: int
    height: int
    single_scan: bool
    restarts: bool
    zeros_mean_flat: bool


def decode_jpeg(data: bytes, *, at_least: int) -> tuple[NDArray[np.uint8], float]:
    """Decode to RGB as stored (not yet upright) and say which share of the rows is missing.

    Strict first. Data that ends early or breaks off is decoded once more, leniently, up to where it is sound.
    """
    if data.count(b"\xff\xda") > MAX_SCANS:
        reason = "This JPEG draws its picture over and over, which no camera does. Save it again as JPEG."
        raise ImageRejected("too-many-scans", reason)
    try:
        simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError):
        return _unusual(data, at_least), 0.0
    warning = ""
    try:
        pixels = _pixels(data, at_least=at_least, strict=True)
        if not _has_hole(data):
            return pixels, 0.0
    except ValueError as error:
        warning = str(error)
    if warning and warning.startswith(_HARMLESS) or _is_padding(warning, data):
        return _lenient(data, at_least), 0.0
    layout = _layout(data)
    end = _sound_end(data, layout)
    share = _missing_share(data[:end], layout, cut_short=warning.startswith("Premature end"))
    return _lenient(data[:end] + _END, at_least), share


def _unusual(data: bytes, at_least: int) -> NDArray[np.uint8]:
    """Rare colour layouts (such as 4:1:0) that the fast decoder does not know; whole pictures only."""
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
            if 0 < at_least < min(image.size):
                image.draft(image.mode, (at_least, at_least))
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise damaged("its JPEG data was cut short or overwritten") from error


def _lenient(data: bytes, at_least: int) -> NDArray[np.uint8]:
    try:
        return _pixels(data, at_least=at_least, strict=False)
    except (ValueError, KeyError) as error:
        raise damaged(f"its JPEG data cannot be read ({error})") from error


def damaged(detail: str) -> ImageRejected:
    """Build the refusal of a picture of which nothing useful is left."""
    return ImageRejected("damaged", f"The picture is damaged: {detail}. Copy it again from the camera or card.")


def _pixels(data: bytes, *, at_least: int, strict: bool) -> NDArray[np.uint8]:
    colours = simplejpeg.decode_jpeg_header(data, strict=False)[2]
    if colours in ("CMYK", "YCCK"):
        return _rgb_of_inks(_raw(data, "CMYK", at_least, strict=strict), data)
    return _raw(data, "RGB", at_least, strict=strict)


def _raw(data: bytes, colours: str, at_least: int, *, strict: bool) -> NDArray[np.uint8]:
    if min(simplejpeg.decode_jpeg_header(data, strict=False)[:2]) <= at_least:
        at_least = 0
    # Between full and half size the decoder's odd scales cost as much as full size: skip them.
    scale = {"min_height": at_least, "min_width": at_least, "min_factor": 2 if at_least > 0 else 1}
    buffer = None
    if not strict:
        # A lenient decode may stop anywhere and say nothing; no old memory of this process may be left in the picture.
        height, width = simplejpeg.decode_jpeg_header(data, strict=False, **scale)[:2]
        buffer = np.full(height * width * _CHANNELS[colours], 128, np.uint8)
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours, strict=strict, buffer=buffer, **scale)
    return pixels


def _rgb_of_inks(inks: NDArray[np.uint8], data: bytes) -> NDArray[np.uint8]:
    """Four inks to RGB. Adobe's programs (they sign with an APP14 segment) store them inverted."""
    light = inks if b"\xff\xee\x00\x0eAdobe" in data[: _layout(data).scan_start] else 255 - inks
    return (light[..., :3].astype(np.uint16) * light[..., 3:] // 255).astype(np.uint8)


def _has_hole(data: bytes) -> bool:
    """Whether sectors of zeros lie within the picture data: decoders take them for detail and warn of nothing."""
    if data.find(_HOLE) < 0:
        return False
    layout = _layout(data)
    end = _sound_end(data, layout)
    return not layout.zeros_mean_flat and data.startswith(_HOLE, end)


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether the odd bytes are only the padding that some cameras put before the end marker."""
    padding = _PADDING.search(warning)
    end = data.rfind(_END)
    tail = data[max(0, end - int(padding[1])) : end] if padding else b""
    return bool(tail) and len(set(tail)) == 1 and tail[:1] in (b"\0", b"\xff")


def _layout(data: bytes) -> _Layout:
    """Read the segments up to the first scan; a file that ends before it has nothing to show."""
    height, components, progressive, restarts, detail_in_zeros = 0, 0, False, False, False
    for marker, body, end in _segments(data):
        if marker in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA) and len(body) > 5:
            height, components = int.from_bytes(body[1:3], "big"), body[5]
            progressive = marker in (0xC2, 0xCA)
        elif marker == 0xC4:
            detail_in_zeros = detail_in_zeros or _zeros_are_detail(body)
        elif marker == 0xDD:
            restarts = body != b"\0\0"
        elif marker == 0xDA and body:
            single = not progressive and body[0] == components
            return _Layout(end, height, single, restarts, progressive or not detail_in_zeros)
    raise damaged("it ends before its picture data begins")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and end of each segment from the start of the file."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF or data[position + 1] == 0xFF:
            position += 1
            continue
        end = position + 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
        yield data[position + 1], data[position + 4 : end], end
        position = end


def _zeros_are_detail(tables: bytes) -> bool:
    """Whether one of these tables reads zero bits as coefficients, as all the usual ones for brightness do.

    Then a long run of zeros would be a picture of nothing but the coefficient -1. Tables made for one picture may give
    the code to "end of block" instead, and zeros are just flat.
    """
    position = 0
    while position + 18 <= len(tables):
        if tables[position] >> 4 == 1 and tables[position + 17] != 0:
            return True
        position += 17 + sum(tables[position + 1 : position + 17])
    return False


def _sound_end(data: bytes, layout: _Layout) -> int:
    """The offset where entropy data stops making sense: at an end or impossible marker, a hole, or the end of file."""
    position = layout.scan_start
    while (position := data.find(b"\xff", position)) >= 0 and position + 1 < len(data):
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker == 0 or (0xD0 <= marker <= 0xD7 and layout.restarts):
            position += 2
        elif not layout.single_scan and marker in (0xC4, 0xDA, 0xDB, 0xDD, 0xFE):
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        else:
            break
    sound = data[:position] if 0 <= position < len(data) - 1 else data
    hole = -1 if layout.zeros_mean_flat else sound.find(_HOLE, layout.scan_start)
    return hole if hole >= 0 else len(sound.rstrip(b"\xff"))


def _missing_share(body: bytes, layout: _Layout, *, cut_short: bool) -> float:
    """Find the first row that depends on what follows `body`, by decoding it with two different continuations.

    Up to the cut both decodes agree to the bit; from it on one is the decoder's flat filling, the other noise. Unlike
    a look for flat grey rows this is right for pictures that are flat and grey themselves. A picture drawn in several
    scans that lost only later ones has all its rows, only coarser: it counts as missing the least there is.
    """
    least = min(0.5, _MCU_ROWS / max(1, layout.height))
    if not layout.single_scan and b"\xff\xda" in body[layout.scan_start :]:
        return least
    noise = b"".join(_NOISE[at : at + 64] + bytes([0xFF, 0xD0 + at // 64 % 8]) for at in range(0, len(_NOISE), 64))
    noisy = body + (noise if layout.restarts else _NOISE) + _END
    for small in (True, False):  # at an eighth of the size only the DC terms count; a cut may spare them and still hurt
        differing, height = _first_differing_row(body + _END, noisy, small=small)
        if differing == 0:
            raise damaged("no part of its picture data can be read")
        if differing < height:
            return max(1.0 - differing / height, least)
    only_end_marker_missing = cut_short and layout.single_scan
    return 0.0 if only_end_marker_missing else least


def _first_differing_row(one: bytes, other: bytes, *, small: bool) -> tuple[int, int]:
    try:
        first, second = (_raw(data, "GRAY", int(small), strict=False) for data in (one, other))
    except (ValueError, KeyError) as error:
        raise damaged(f"its JPEG data cannot be read ({error})") from error
    rows = np.flatnonzero((first != second).any(axis=(1, 2)))
    return (int(rows[0]) if rows.size else len(first)), len(first)
