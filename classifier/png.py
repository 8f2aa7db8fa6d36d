"""Saves what a cut-short or broken PNG still holds, by rebuilding a whole PNG around the rows that can be unpacked."""

from __future__ import annotations

import struct
import zlib

from classifier.jpeg import damaged

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEPT = (b"PLTE", b"tRNS")
_STEP = 1024


def salvage_png(data: bytes) -> tuple[bytes, float]:
    """Give back a well-formed PNG with the readable rows (the others zero) and the share of rows missing."""
    header, kept, packed = _parts(data)
    width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced or colour not in _CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise damaged("it was cut short or overwritten, and interlaced PNG cannot be read in part")
    row_bytes = 1 + (width * depth * _CHANNELS[colour] + 7) // 8
    rows = _unpack(packed, row_bytes * height)
    whole = _whole_rows(rows, row_bytes)
    if whole == 0:
        raise damaged("no row of its PNG data can be read")
    del rows[whole * row_bytes :]
    rows.extend(bytes((height - whole) * row_bytes))
    body = [_chunk(b"IHDR", header), *kept, _chunk(b"IDAT", zlib.compress(rows, 1)), _chunk(b"IEND", b"")]
    # Rows that all unpack, in a file that does not read, have a wrong checksum somewhere: never call that whole.
    return _SIGNATURE + b"".join(body), max(1.0 - whole / height, 1.0 / height)


def _whole_rows(rows: bytearray, row_bytes: int) -> int:
    """Rows that are complete, up to the first whose filter does not exist: from there on it unpacked to nonsense."""
    filters = rows[: len(rows) // row_bytes * row_bytes : row_bytes]
    return next((at for at, kind in enumerate(filters) if kind > 4), len(filters))


def _parts(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    header, kept, packed, position = b"", [], [], len(_SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        if name == b"IHDR":
            header = body
        elif name in _KEPT:
            kept.append(_chunk(name, body))
        elif name == b"IDAT":
            packed.append(body)
        elif name == b"IEND":
            break
        position += 12 + length
    if len(header) != 13:
        raise damaged("its PNG header is broken")
    return header, kept, b"".join(packed)


def _unpack(packed: bytes, wanted: int) -> bytearray:
    """Inflate in small steps, so that what came before a broken place is kept; never more than `wanted` bytes."""
    inflater, rows = zlib.decompressobj(), bytearray()
    for at in range(0, len(packed), _STEP):
        try:
            rows += inflater.decompress(packed[at : at + _STEP], wanted - len(rows))
        except zlib.error:
            break
        if len(rows) >= wanted:
            break
    return rows


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
