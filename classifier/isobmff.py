"""Reads the boxes of an AVIF file that give the size and rotation of its primary picture, and its EXIF block."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from classifier.errors import ImageRejected

MAX_BOXES = 10_000
MAX_META_BYTES = 1 << 20
MAX_EXIF_BYTES = 1 << 20

# (quarter turns anticlockwise, mirror axis or None) -> EXIF orientation
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (0, 1): 2, (1, 0): 5, (1, 1): 7, (2, 0): 2, (2, 1): 4, (3, 0): 7, (3, 1): 5,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AvifProperties:
    """The primary picture: stored size, rotation as an EXIF orientation, frames of a sequence, EXIF block."""

    width: int
    height: int
    orientation: int
    frames: int
    exif: bytes


def read_avif_properties(file: BinaryIO) -> AvifProperties:
    """Find the `meta` box and read the primary item's properties from it."""
    meta, frames = b"", 1
    for name, start, length in _top_level(file):
        if name == b"meta" and not meta:
            meta = _read_box(file, start, length)
        elif name == b"moov":
            frames = _frames_of(_read_box(file, start, length))
    if not meta:
        raise ImageRejected("bad-header", "This AVIF holds no still picture. Save it as JPEG or PNG.")
    boxes = dict(_children(meta[4:]))
    width, height, orientation = _primary(boxes)
    return AvifProperties(width, height, orientation, frames, _exif_of(boxes, file))


def _top_level(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    position = 0
    for _ in range(MAX_BOXES):
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head[:8])
        header = 8
        if length == 1 and len(head) == 16:
            (length,), header = struct.unpack(">Q", head[8:]), 16
        if length < header or length > 1 << 62:
            if length:
                return
            length = MAX_META_BYTES
        yield name, position + header, length - header
        position += length


def _read_box(file: BinaryIO, start: int, length: int) -> bytes:
    if length > MAX_META_BYTES:
        raise ImageRejected("bad-header", "This AVIF describes itself at absurd length. Save it as JPEG or PNG.")
    file.seek(start)
    return file.read(length)


def _children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(body):
        length, name = struct.unpack_from(">I4s", body, position)
        if length < 8:
            return
        yield name, body[position + 8 : position + length]
        position += length


def _primary(boxes: dict[bytes, bytes]) -> tuple[int, int, int]:
    item = _item_id(boxes.get(b"pitm", b""))
    properties = dict(_children(boxes.get(b"iprp", b"")))
    held = list(_children(properties.get(b"ipco", b"")))
    size, turns, mirror = (0, 0), 0, None
    for index in _associations(properties.get(b"ipma", b"")).get(item, []):
        name, body = held[index - 1] if 0 < index <= len(held) else (b"", b"")
        if name == b"ispe":
            size = struct.unpack_from(">II", body, 4)
        elif name == b"irot":
            turns = body[0] & 3
        elif name == b"imir":
            mirror = body[0] & 1
    if not all(size):
        raise ImageRejected("bad-header", "This AVIF does not say how large its picture is. Save it as JPEG or PNG.")
    return *size, _ORIENTATIONS[turns, mirror]


def _item_id(body: bytes) -> int:
    layout = ">I" if body[:1] != b"\0" else ">H"
    return int(struct.unpack_from(layout, body, 4)[0])


def _associations(body: bytes) -> dict[int, list[int]]:
    """The `ipma` box: for each item the one-based places of its properties."""
    if len(body) < 8:
        return {}
    wide_ids, wide_places = body[0] > 0, bool(body[3] & 1)
    (count,) = struct.unpack_from(">I", body, 4)
    position, found = 8, {}
    for _ in range(min(count, MAX_BOXES)):
        (item,) = struct.unpack_from(">I" if wide_ids else ">H", body, position)
        position += 4 if wide_ids else 2
        places = body[position]
        position += 1
        layout = f">{places}{'H' if wide_places else 'B'}"
        values = struct.unpack_from(layout, body, position)
        position += struct.calcsize(layout)
        found[item] = [value & (0x7FFF if wide_places else 0x7F) for value in values]
    return found


def _frames_of(movie: bytes) -> int:
    """Samples of the first track's sample-size table; 1 where there is none."""
    at = movie.find(b"stsz")
    return max(1, int.from_bytes(movie[at + 12 : at + 16], "big")) if at >= 0 else 1


def _exif_of(boxes: dict[bytes, bytes], file: BinaryIO) -> bytes:
    """The EXIF item, which starts with the offset of its TIFF header; empty for any layout but the usual one."""
    try:
        item = _exif_item(boxes.get(b"iinf", b""))
        extent = _extent(boxes.get(b"iloc", b""), item) if item is not None else None
    except (struct.error, IndexError):
        return b""
    if extent is None or not 4 < extent[1] <= MAX_EXIF_BYTES:
        return b""
    file.seek(extent[0])
    block = file.read(extent[1])
    skip = int.from_bytes(block[:4], "big")
    return block[4 + skip :].removeprefix(b"Exif\0\0") if skip < len(block) else b""


def _exif_item(body: bytes) -> int | None:
    start = 6 if body[:1] == b"\0" else 8
    for name, entry in _children(body[start:]):
        if name == b"infe" and entry[:1] in (b"\2", b"\3"):
            wide = entry[0] == 3
            (item,) = struct.unpack_from(">I" if wide else ">H", entry, 4)
            if entry[10 if wide else 8 :][:4] == b"Exif":
                return int(item)
    return None


def _extent(body: bytes, wanted: int) -> tuple[int, int] | None:
    """Offset and length of an item stored in one piece in the file (`iloc`, versions 0 to 2)."""
    version = body[0]
    sizes, bases = body[4], body[5]
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, bases >> 4
    index_bytes = bases & 15 if version else 0
    id_bytes = 4 if version == 2 else 2
    position = 6 + id_bytes
    for _ in range(min(int.from_bytes(body[6:position], "big"), MAX_BOXES)):
        item = int.from_bytes(body[position : position + id_bytes], "big")
        position += id_bytes
        method = int.from_bytes(body[position : position + 2], "big") & 15 if version else 0
        position += (2 if version else 0) + 2
        base = int.from_bytes(body[position : position + base_bytes], "big")
        position += base_bytes
        (extents,) = struct.unpack_from(">H", body, position)
        position += 2
        step = index_bytes + offset_bytes + length_bytes
        if item == wanted:
            at = position + index_bytes
            offset = int.from_bytes(body[at : at + offset_bytes], "big")
            length = int.from_bytes(body[at + offset_bytes : at + offset_bytes + length_bytes], "big")
            return (base + offset, length) if method == 0 and extents == 1 else None
        position += extents * step
    return None
