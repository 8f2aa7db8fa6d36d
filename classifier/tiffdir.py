"""Reads TIFF directories, the tables that TIFF files, EXIF blocks and picture indexes share, by bounded reads."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

MAX_ENTRIES = 4096
MAX_VALUE_BYTES = 65_536

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_RATIONALS = {5: "I", 10: "i"}
_ASCII = 2

ReadAt = Callable[[int, int], bytes]


class TiffError(ValueError):
    """The bytes are not a TIFF structure, or one that contradicts itself."""


def reader_of(data: bytes) -> ReadAt:
    """Adapt a block in memory to the `read_at(offset, length)` that `Tiff` asks for."""
    return lambda offset, length: data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Directory:
    """One table of tags; a tag that is missing, of another type or cut off reads as None."""

    order: str
    entries: dict[int, tuple[int, int, bytes]]
    following: int

    def integers(self, tag: int) -> tuple[int, ...] | None:
        """All whole numbers of a tag."""
        kind, count, raw = self.entries.get(tag, (0, 0, b""))
        if kind not in _INTEGERS or len(raw) != count * _SIZES[kind]:
            return None
        return struct.unpack(f"{self.order}{count}{_INTEGERS[kind]}", raw)

    def integer(self, tag: int) -> int | None:
        """The first whole number of a tag."""
        values = self.integers(tag)
        return values[0] if values else None

    def rationals(self, tag: int) -> tuple[float, ...] | None:
        """All fractions of a tag; a division by zero makes the whole tag unreadable."""
        kind, count, raw = self.entries.get(tag, (0, 0, b""))
        if kind not in _RATIONALS or len(raw) != count * 8:
            return None
        numbers = struct.unpack(f"{self.order}{2 * count}{_RATIONALS[kind]}", raw)
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if any(below == 0 for _, below in pairs):
            return None
        return tuple(above / below for above, below in pairs)

    def text(self, tag: int) -> str:
        """A text tag up to its first NUL, printable characters only; empty where there is none."""
        kind, _, raw = self.entries.get(tag, (0, 0, b""))
        if kind != _ASCII:
            return ""
        text = raw.split(b"\0", 1)[0].decode("utf-8", errors="replace")
        return "".join(character for character in text if character.isprintable()).strip()


class Tiff:
    """The frame of a TIFF structure: byte order, classic or big, where the first directory lies."""

    def __init__(self, read_at: ReadAt) -> None:
        self._read_at = read_at
        head = read_at(0, 16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise TiffError("no TIFF byte-order mark")
        self.order = order
        (magic,) = struct.unpack(f"{order}H", head[2:4])
        self.big = magic == 43
        if magic not in (42, 43) or (self.big and len(head) < 16):
            raise TiffError("no TIFF magic number")
        layout = f"{order}Q" if self.big else f"{order}I"
        (self.first,) = struct.unpack(layout, head[8:16] if self.big else head[4:8])

    def directory(self, offset: int) -> Directory:
        """Read the table at `offset`; raises TiffError when it is cut off or absurdly long."""
        count_layout, entry_layout, inline = ("Q", "HHQ8s", 8) if self.big else ("H", "HHI4s", 4)
        count = self._unpack(count_layout, offset)[0]
        if not 0 < count <= MAX_ENTRIES:
            raise TiffError(f"a directory of {count} entries")
        position = offset + struct.calcsize("<" + count_layout)
        size = struct.calcsize("<" + entry_layout)
        table = self._read_at(position, count * size)
        if len(table) < count * size:
            raise TiffError("a directory is cut off")
        entries: dict[int, tuple[int, int, bytes]] = {}
        for tag, kind, values, field in struct.iter_unpack(self.order + entry_layout, table):
            raw = self._value(kind, values, field, inline)
            if raw is not None:
                entries.setdefault(tag, (kind, values, raw))
        return Directory(self.order, entries, self._following(position + count * size))

    def _value(self, kind: int, count: int, field: bytes, inline: int) -> bytes | None:
        length = _SIZES.get(kind, 0) * count
        if not 0 < length <= MAX_VALUE_BYTES:
            return None
        if length <= inline:
            return field[:length]
        (offset,) = struct.unpack(self.order + ("Q" if inline == 8 else "I"), field)
        raw = self._read_at(offset, length)
        return raw if len(raw) == length else None

    def _following(self, position: int) -> int:
        layout = self.order + ("Q" if self.big else "I")
        raw = self._read_at(position, struct.calcsize(layout))
        return int(struct.unpack(layout, raw)[0]) if len(raw) == struct.calcsize(layout) else 0

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        raw = self._read_at(offset, struct.calcsize("<" + layout))
        if len(raw) < struct.calcsize("<" + layout):
            raise TiffError("a directory lies outside the file")
        return struct.unpack(self.order + layout, raw)
