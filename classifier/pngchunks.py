"""Walks the chunks of a PNG without decoding it, and refuses text that unpacks to far more than it says."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from classifier.errors import ImageRejected

SIGNATURE_BYTES = 8
MAX_CHUNKS = 200_000
MAX_EXIF_BYTES = 1 << 20
MAX_TEXT_CHUNKS = 1000
MAX_TEXT_BYTES = 1 << 20
MAX_ALL_TEXT_BYTES = 8 << 20


@dataclass(slots=True)
class PngChunks:
    """What the chunks say; `text_bytes` counts text as unpacked."""

    width: int = 0
    height: int = 0
    frames: int = 1
    exif: bytes = b""
    texts: int = 0
    text_bytes: int = 0


def walk_png(file: BinaryIO) -> PngChunks:
    """Read sizes, frames, EXIF and the amount of text; a file that ends early is read as far as it goes."""
    found = PngChunks()
    position = SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return _checked(found)
        length, name = struct.unpack(">I4s", head)
        if position == SIGNATURE_BYTES and name != b"IHDR":
            raise ImageRejected("bad-header", "This PNG does not start with its size. Save the picture again.")
        if name == b"IEND":
            return _checked(found)
        _take(found, name, length, file)
        position += 12 + length
    raise ImageRejected("bad-header", "This PNG has more parts than any program writes. Save it again.")


def _take(found: PngChunks, name: bytes, length: int, file: BinaryIO) -> None:
    if name == b"IHDR":
        found.width, found.height = struct.unpack(">II", file.read(8))
    elif name == b"acTL":
        found.frames = max(1, struct.unpack(">I", file.read(4))[0])
    elif name == b"eXIf" and length <= MAX_EXIF_BYTES:
        found.exif = file.read(length).removeprefix(b"Exif\0\0")
    elif name in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
        found.texts += name != b"iCCP"
        found.text_bytes += _unpacked_bytes(name, length, file)
        if found.texts > MAX_TEXT_CHUNKS or found.text_bytes > MAX_ALL_TEXT_BYTES:
            raise _too_much_text()


def _unpacked_bytes(name: bytes, length: int, file: BinaryIO) -> int:
    """How much text a chunk holds once unpacked, unpacking no more than the cap."""
    if length > MAX_ALL_TEXT_BYTES:
        raise _too_much_text()
    if name == b"tEXt":
        return length
    body = file.read(length)
    _, _, rest = body.partition(b"\0")
    if name == b"iTXt":
        if rest[:1] != b"\1":
            return length
        packed = rest[2:].split(b"\0", 2)[-1]
    else:
        packed = rest[1:]
    try:
        text = zlib.decompressobj().decompress(packed, MAX_TEXT_BYTES + 1)
    except zlib.error:
        return length
    if name != b"iCCP" and len(text) > MAX_TEXT_BYTES:
        raise _too_much_text()
    return len(text)


def _checked(found: PngChunks) -> PngChunks:
    if not found.width or not found.height:
        raise ImageRejected("bad-header", "This PNG has no size. Copy it again from the camera or card.")
    return found


def _too_much_text() -> ImageRejected:
    reason = "This PNG carries megabytes of hidden text beside the picture. Save it again without metadata."
    return ImageRejected("too-much-text", reason, status=413)
