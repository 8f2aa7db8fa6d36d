"""Reads the header of each accepted format with small bounded reads: sizes, orientation, frames, the EXIF block.

Own readers instead of a library's, because this runs in the web process on hostile files: no C parser sees them there,
nothing is decompressed, and no part of a file larger than a cap below is ever held in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from classifier.errors import ImageRejected
from classifier.isobmff import read_avif_properties
from classifier.pngchunks import walk_png
from classifier.signatures import unsupported
from classifier.tiffdir import Directory, ReadAt, Tiff, TiffError, reader_of

MAX_SEGMENTS = 20_000
MAX_EXIF_BYTES = 1 << 20

_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SOF_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class RawHeader:
    """A header as stored: sizes before any rotation, and the EXIF block (TIFF structure, no prefix)."""

    format: str
    width: int
    height: int
    orientation: int = 1
    frames: int = 1
    exif: bytes = b""


def bad_header(reason: str) -> ImageRejected:
    """Build the refusal of a file that starts like a picture and does not go on like one."""
    return ImageRejected(
        "bad-header", f"The file starts like a picture, but {reason}. Copy it again from the camera or card."
    )


def read_header(file: BinaryIO, format_name: str) -> RawHeader:
    """Read the header of a file whose first bytes said `format_name`."""
    try:
        return _READERS[format_name](file)
    except (struct.error, TiffError, IndexError) as error:
        raise bad_header("its header is cut off or contradicts itself") from error


def file_reader(file: BinaryIO) -> ReadAt:
    """Adapt a file to the `read_at(offset, length)` that `Tiff` asks for."""

    def read_at(offset: int, length: int) -> bytes:
        if offset > 1 << 62:
            return b""
        file.seek(offset)
        return file.read(length)

    return read_at


def orientation_of(exif: bytes) -> int:
    """The EXIF orientation 1..8 of an EXIF block; 1 for anything unreadable."""
    try:
        tiff = Tiff(reader_of(exif))
        value = tiff.directory(tiff.first).integer(_ORIENTATION)
    except (TiffError, struct.error):
        return 1
    return value if value is not None and 1 <= value <= 8 else 1


def without_prefix(exif: bytes) -> bytes:
    """Strip the JPEG-style prefix that some writers put before the EXIF block of other formats too."""
    return exif.removeprefix(b"Exif\0\0")


def _read_jpeg(file: BinaryIO) -> RawHeader:
    file.seek(2)
    exif, frames = b"", 1
    for _ in range(MAX_SEGMENTS):
        marker = _next_marker(file)
        if marker in _STANDALONE:
            continue
        if marker in (0xD9, 0xDA):
            raise bad_header("its picture data comes before any size")
        (length,) = struct.unpack(">H", file.read(2))
        if length < 2:
            raise bad_header("one of its segments has an impossible length")
        if marker in _SOF:
            return _jpeg_frame(marker, file.read(6), exif, frames)
        if marker == 0xE1 and not exif:
            body = file.read(length - 2)
            exif = body[6:] if body.startswith(b"Exif\0\0") else b""
        elif marker == 0xE2:
            body = file.read(length - 2)
            frames = _pictures_of_index(body[4:]) if body.startswith(b"MPF\0") else frames
        else:
            file.seek(length - 2, 1)
    raise bad_header("it has more segments than any camera writes")


def _next_marker(file: BinaryIO) -> int:
    """The next marker; stray bytes between segments are skipped, as decoders do, but only a few of them."""
    for _ in range(4096):
        byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
            if byte not in (b"\xff", b"\0", b""):
                return byte[0]
        if not byte:
            raise bad_header("it ends before its picture data begins")
    raise bad_header("what follows its first bytes is not JPEG data")


def _jpeg_frame(marker: int, frame: bytes, exif: bytes, frames: int) -> RawHeader:
    precision, height, width, components = struct.unpack(">BHHB", frame)
    if marker not in _SOF_DECODABLE or precision != 8:
        raise unsupported("a lossless, hierarchical or 12-bit JPEG", "Save it as an ordinary (baseline) JPEG.")
    if components not in (1, 3, 4):
        raise bad_header(f"it claims {components} colour components")
    name = "MPO" if frames > 1 else "JPEG"
    return RawHeader(name, width, height, orientation_of(exif), frames, exif)


def _pictures_of_index(block: bytes) -> int:
    try:
        tiff = Tiff(reader_of(block))
        return max(1, tiff.directory(tiff.first).integer(0xB001) or 1)
    except (TiffError, struct.error):
        return 1


def _read_png(file: BinaryIO) -> RawHeader:
    chunks = walk_png(file)
    orientation = orientation_of(chunks.exif)
    return RawHeader("PNG", chunks.width, chunks.height, orientation, chunks.frames, chunks.exif)


def _read_webp(file: BinaryIO) -> RawHeader:
    size, exif, frames, position = (0, 0), b"", 0, 12
    for _ in range(MAX_SEGMENTS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if not any(size) and name in (b"VP8X", b"VP8L", b"VP8 "):
            size = _webp_size(name, file.read(10))
        elif name == b"ANMF":
            frames += 1
        elif name == b"EXIF" and length <= MAX_EXIF_BYTES:
            exif = without_prefix(file.read(length))
        position += 8 + length + (length & 1)
    if not any(size):
        raise bad_header("it holds no WebP picture")
    return RawHeader("WEBP", *size, orientation_of(exif), max(1, frames), exif)


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if name == b"VP8L":
        if body[0] != 0x2F:
            raise bad_header("its lossless WebP data has no signature")
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if body[3:6] != b"\x9d\x01\x2a":
        raise bad_header("its WebP data has no key frame")
    width, height = struct.unpack("<HH", body[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _read_tiff(file: BinaryIO) -> RawHeader:
    tiff = Tiff(file_reader(file))
    first = tiff.directory(tiff.first)
    _refuse_raw(first)
    width, height = first.integer(256), first.integer(257)
    if not width or not height:
        raise bad_header("its first page has no size")
    value = first.integer(_ORIENTATION) or 1
    return RawHeader("TIFF", width, height, value if 1 <= value <= 8 else 1, _count_pages(tiff, first))


def _refuse_raw(first: Directory) -> None:
    """Camera raw files are TIFFs whose first page is a stamp-sized preview or the bare sensor."""
    sensor = first.integer(262) in (32803, 34892) or 50706 in first.entries
    preview_only = bool((first.integer(254) or 0) & 1) and 330 in first.entries
    if sensor or preview_only:
        raise unsupported("a camera raw file", "Develop it to JPEG or TIFF and upload that.")


def _count_pages(tiff: Tiff, first: Directory) -> int:
    seen, following = {tiff.first}, first.following
    while following and following not in seen and len(seen) < MAX_SEGMENTS:
        seen.add(following)
        try:
            following = tiff.directory(following).following
        except TiffError:
            break
    return len(seen)


def _read_avif(file: BinaryIO) -> RawHeader:
    picture = read_avif_properties(file)
    return RawHeader("AVIF", picture.width, picture.height, picture.orientation, picture.frames, picture.exif)


_READERS: dict[str, Callable[[BinaryIO], RawHeader]] = {
    "JPEG": _read_jpeg,
    "PNG": _read_png,
    "WEBP": _read_webp,
    "TIFF": _read_tiff,
    "AVIF": _read_avif,
}
