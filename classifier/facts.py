"""What the camera wrote beside the pixels: time, make, model, serial number, place. Never raises on bad metadata."""

from __future__ import annotations

import io
import math
import re
import struct
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from classifier.errors import ImageRejected
from classifier.headers import file_reader, read_header
from classifier.signatures import HEAD_BYTES, format_of
from classifier.tiffdir import Directory, Tiff, TiffError, reader_of
from classifier.types import Facts

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKE, _MODEL, _CHANGED = 0x010F, 0x0110, 0x0132
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
_FRACTION, _FRACTION_ORIGINAL, _FRACTION_DIGITIZED = 0x9290, 0x9291, 0x9292
_BODY_SERIAL, _CAMERA_SERIAL = 0xA431, 0xC62F
_TEXT_LIMIT = 100
_MAX_ALTITUDE = 100_000.0

_EMPTY = Directory("<", {}, 0)


def read_facts(source: Path | bytes) -> Facts:
    """Read the facts of a picture, given as a file or as its bytes; a picture without any gives an empty Facts."""
    if isinstance(source, bytes):
        return _facts_in(io.BytesIO(source))
    with source.open("rb") as file:
        return _facts_in(file)


def _facts_in(file: BinaryIO) -> Facts:
    try:
        format_name = format_of(file.read(HEAD_BYTES))
        if format_name == "TIFF":
            return facts_of(Tiff(file_reader(file)))
        exif = read_header(file, format_name).exif
        return facts_of(Tiff(reader_of(exif))) if exif else Facts()
    except (ImageRejected, TiffError, struct.error):
        # A file that is no picture, or one with a ruined EXIF block: there is nothing to know, which is no fault.
        return Facts()


def facts_of(tiff: Tiff) -> Facts:
    """Read the facts from an EXIF block or from a TIFF file's own directory."""
    main = tiff.directory(tiff.first)
    exif, gps = _linked(tiff, main, _EXIF_IFD), _linked(tiff, main, _GPS_IFD)
    captured_at, offset = _captured(main, exif)
    latitude, longitude = _place(gps)
    return Facts(
        captured_at=captured_at,
        utc_offset_minutes=offset,
        camera_make=main.text(_MAKE)[:_TEXT_LIMIT],
        camera_model=main.text(_MODEL)[:_TEXT_LIMIT],
        camera_serial=(exif.text(_BODY_SERIAL) or main.text(_CAMERA_SERIAL))[:_TEXT_LIMIT],
        latitude=latitude,
        longitude=longitude,
        altitude=_altitude(gps),
    )


def _linked(tiff: Tiff, main: Directory, tag: int) -> Directory:
    offset = main.integer(tag)
    try:
        return tiff.directory(offset) if offset else _EMPTY
    except (TiffError, struct.error):
        return _EMPTY


def _captured(main: Directory, exif: Directory) -> tuple[datetime | None, int | None]:
    """The first time that parses: taken, then digitised, then (weakest, editors change it) the file's own."""
    for directory, tag, fraction, offset in (
        (exif, _ORIGINAL, _FRACTION_ORIGINAL, _OFFSET_ORIGINAL),
        (exif, _DIGITIZED, _FRACTION_DIGITIZED, _OFFSET_DIGITIZED),
        (main, _CHANGED, _FRACTION, _OFFSET),
    ):
        moment = _moment(directory.text(tag), exif.text(fraction))
        if moment is not None:
            return moment, _offset_minutes(exif.text(offset))
    return None, None


def _moment(text: str, fraction: str) -> datetime | None:
    parts = re.match(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?", text, re.ASCII)
    if parts is None:
        return None
    digits = re.match(r"\d{1,6}", fraction, re.ASCII)
    microsecond = int(digits.group().ljust(6, "0")) if digits else 0
    year, month, day, hour, minute, second = (int(part or 0) for part in parts.groups())
    try:
        return datetime(year, month, day, hour, minute, second, microsecond)
    except ValueError:
        return None


def _offset_minutes(text: str) -> int | None:
    if text in ("Z", "z"):
        return 0
    parts = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text, re.ASCII)
    if parts is None:
        return None
    minutes = int(parts[2]) * 60 + int(parts[3])
    return (minutes if parts[1] == "+" else -minutes) if minutes <= 14 * 60 else None


def _place(gps: Directory) -> tuple[float | None, float | None]:
    """Both coordinates or neither; 0,0 is what receivers write that have not found any satellite."""
    latitude, longitude = _degrees(gps, 1, 2, "NS", 90.0), _degrees(gps, 3, 4, "EW", 180.0)
    if latitude is None or longitude is None or (latitude == 0.0 and longitude == 0.0):
        return None, None
    return latitude, longitude


def _degrees(gps: Directory, reference_tag: int, tag: int, signs: str, limit: float) -> float | None:
    reference = gps.text(reference_tag).upper()[:1]
    parts = gps.rationals(tag)
    if not reference or reference not in signs or not parts or len(parts) > 3 or min(parts) < 0:
        return None
    value: float = sum(part / 60.0**place for place, part in enumerate(parts))
    if not math.isfinite(value) or value > limit:
        return None
    return round(-value if reference == signs[1] else value, 7)


def _altitude(gps: Directory) -> float | None:
    parts = gps.rationals(6)
    if not parts or not 0 <= parts[0] < _MAX_ALTITUDE:
        return None
    return round(-parts[0] if gps.integer(5) == 1 else parts[0], 2)
