"""The door for pictures: accepts or refuses a file by its header alone, light enough for the web process."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from classifier.errors import ImageRejected
from classifier.headers import RawHeader, read_header
from classifier.signatures import HEAD_BYTES, format_of
from classifier.types import Header

_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture that is let in; sizes in bytes and pixels."""

    max_bytes: int = 2**30
    max_pixels: int = 200_000_000
    max_side: int = 65_500
    max_frames: int = 1000


LIMITS = Limits()


def sniff(path: Path, *, limits: Limits = LIMITS) -> Header:
    """Read the header of a file; raises ImageRejected saying what is wrong and what to do."""
    with path.open("rb") as file:
        return sniff_file(file, limits=limits)[0]


def sniff_bytes(data: bytes, *, limits: Limits = LIMITS) -> Header:
    """The same for a picture in memory."""
    return sniff_file(io.BytesIO(data), limits=limits)[0]


def sniff_file(file: BinaryIO, *, limits: Limits = LIMITS) -> tuple[Header, RawHeader]:
    """The same for an open, seekable binary file; also gives the header as stored, with its EXIF block."""
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        reason = "The file is empty: nothing was copied. Copy it again from the camera or card."
        raise ImageRejected("empty", reason, status=400)
    if size > limits.max_bytes:
        reason = f"The file has {size / 1e6:.0f} MB; at most {limits.max_bytes / 1e6:.0f} MB are read."
        raise ImageRejected("too-large", f"{reason} Save it smaller or as JPEG.", status=413)
    file.seek(0)
    raw = read_header(file, format_of(file.read(HEAD_BYTES)))
    _check_limits(raw, limits)
    turned = raw.orientation >= 5
    width, height = (raw.height, raw.width) if turned else (raw.width, raw.height)
    return Header(raw.format, _MEDIA_TYPES[raw.format], width, height, raw.orientation, raw.frames), raw


def _check_limits(raw: RawHeader, limits: Limits) -> None:
    if not raw.width or not raw.height:
        raise ImageRejected("bad-header", "The picture says it has no width or no height. Save it again.")
    check_size(raw.width, raw.height, limits=limits)
    if raw.frames > limits.max_frames:
        reason = f"The file holds {raw.frames:,} frames; at most {limits.max_frames:,} are read. Save a single frame."
        raise ImageRejected("too-many-frames", reason, status=413)


def check_size(width: int, height: int, *, limits: Limits = LIMITS) -> None:
    """Refuse a picture with more pixels, or a longer side, than the limits allow."""
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        reason = (
            f"The picture has {width} x {height} pixels; at most {limits.max_pixels // 1_000_000} megapixels and "
            f"{limits.max_side} pixels a side are read. Scale it down first."
        )
        raise ImageRejected("too-many-pixels", reason, status=413)
