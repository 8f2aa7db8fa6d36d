"""Reads hostile zips: the table entry by entry, the bytes counted as they come out, memory flat at any size.

The standard library's reader holds the whole table at once and believes its sizes, so the table is read here; only
what a zip of pictures needs is understood (stored or deflated entries, zip64, names in UTF-8 or the DOS code page).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from webapp.errors import Invalid

CHUNK = 256 * 1024
MIB = 2**20

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_DRIVE = re.compile(r"^[A-Za-z]:")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800
_UNIX, _MAC = 3, 19
_FULL = 0xFFFFFFFF


class ArchiveRefused(Invalid):
    """The archive as a whole cannot be read, or would do harm."""


class EntryRefused(Invalid):
    """One entry cannot be taken; its neighbours can."""


@dataclass(frozen=True)
class ZipLimits:
    """Bounds on what comes out. A ratio is bytes out for each byte in, and counts only past its grace."""

    entries: int = 200_000
    table_bytes: int = 128 * MIB
    entry_bytes: int = 100 * MIB
    total_bytes: int = 40_960 * MIB
    entry_ratio: int = 200
    entry_grace: int = 16 * MIB
    archive_ratio: int = 50
    archive_grace: int = 256 * MIB


@dataclass(frozen=True)
class Table:
    """Where the list of entries lies. `shift` is how many bytes stand before the archive's own start."""

    start: int
    size: int
    shift: int
    file_size: int


@dataclass(frozen=True)
class ZipEntry:
    """One line of the table, as it claims to be."""

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    offset: int
    unix_mode: int
    has_nul: bool

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


def find_table(file: BinaryIO, limits: ZipLimits) -> Table:
    """Locate the list of entries from the archive's end."""
    size = file.seek(0, 2)
    tail_at = max(0, size - 65_557)
    file.seek(tail_at)
    tail = file.read()
    at = _end_in(tail)
    if at is None:
        raise ArchiveRefused(
            "This is not a whole zip: its end is missing. Was copying interrupted? Make or copy it again.",
            code="not-a-zip",
        )
    _, disk, _, _, _, table_size, offset, _ = _END.unpack_from(tail, at)
    end_at = tail_at + at
    wide = _wide_end(file, end_at)
    if wide is not None:
        end_at, table_size, offset = wide
    elif disk not in (0, 0xFFFF):
        raise ArchiveRefused("This is one part of a split zip. Join the parts, or send the pictures.", code="split-zip")
    start = end_at - table_size
    if start < 0 or offset > start:
        raise ArchiveRefused("The zip's list of files is damaged. Make or copy it again.", code="damaged-zip")
    if table_size > limits.table_bytes:
        raise ArchiveRefused(_too_many(limits), code="zip-too-many-entries")
    return Table(start=start, size=table_size, shift=start - offset, file_size=size)


def entries(file: BinaryIO, table: Table, limits: ZipLimits) -> Iterator[ZipEntry]:
    """The lines of the table in order. The file may be moved between two of them."""
    at, end, seen = table.start, table.start + table.size, 0
    window, window_at = b"", at
    while at < end:
        seen += 1
        if seen > limits.entries:
            raise ArchiveRefused(_too_many(limits), code="zip-too-many-entries")
        if at + _ENTRY.size + 3 * 65_535 > window_at + len(window) and window_at + len(window) < end:
            file.seek(at)
            window, window_at = file.read(min(end - at, MIB)), at
        entry, length = _entry_at(window, at - window_at)
        yield entry
        at += length


def refusal(entry: ZipEntry) -> EntryRefused | None:
    """Why an entry may not be opened at all, by its line in the table."""
    if entry.has_nul:
        return EntryRefused("Its name holds a NUL character: rename it and zip again.", code="zip-name")
    if entry.name.startswith("/") or _DRIVE.match(entry.name):
        return EntryRefused("Its name is an absolute path: zip the folder with relative names.", code="zip-name")
    if ".." in entry.name.split("/"):
        return EntryRefused("Its name leads out of the archive (`..`): rename it and zip again.", code="zip-name")
    if entry.unix_mode & 0o170000 not in (0, 0o100000, 0o040000):
        what = "a link" if entry.unix_mode & 0o170000 == 0o120000 else "not a plain file"
        return EntryRefused(f"It is {what}: put the picture itself into the zip.", code="zip-link")
    if entry.flags & _ENCRYPTED:
        return EntryRefused("It is encrypted: zip it without a password.", code="zip-encrypted")
    if entry.method not in (_STORED, _DEFLATED):
        return EntryRefused(
            f"It is packed by method {entry.method}, which is not read: zip it with the usual one (deflate).",
            code="zip-method",
        )
    return None


class Counter:
    """Bytes that came out of one archive so far, over all tries."""

    def __init__(self, archive_size: int, limits: ZipLimits, total: int = 0) -> None:
        self.archive_size = archive_size
        self.limits = limits
        self.total = total

    def add(self, entry: ZipEntry, out: int, grown: int) -> None:
        """Count `grown` new bytes of an entry of which `out` bytes have come; raises where a bound is passed."""
        limits = self.limits
        self.total += grown
        past = self.total > limits.archive_grace and self.total > self.archive_size * limits.archive_ratio
        if self.total > limits.total_bytes or past:
            raise ArchiveRefused(
                f"After {self.total / 1e9:.1f} GB had come out of a zip of {self.archive_size / 1e6:.1f} MB, unpacking "
                "was stopped: no folder of pictures shrinks so much. Send the pictures themselves.",
                code="zip-bomb",
            )
        if out > limits.entry_bytes:
            raise EntryRefused(
                f"It unpacks to more than {limits.entry_bytes / 1e6:.0f} MB: save it smaller.", code="too-large"
            )
        if out > limits.entry_grace and out > entry.packed_size * limits.entry_ratio:
            raise EntryRefused("It unpacks to far more than any picture does: save it anew.", code="zip-ratio")


def read_entry(file: BinaryIO, table: Table, entry: ZipEntry, counter: Counter) -> Iterator[bytes]:
    """The bytes of one entry in small pieces, counted while they come, checked against its checksum at the end."""
    file.seek(_data_start(file, table, entry))
    crc, out = 0, 0
    pieces = _inflate(file, entry) if entry.method == _DEFLATED else _copy(file, entry.packed_size)
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        out += len(piece)
        counter.add(entry, out, len(piece))
        yield piece
    if crc != entry.crc:
        raise _damaged()


def _copy(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0:
        piece = file.read(min(CHUNK, left))
        if not piece:
            raise _damaged()
        left -= len(piece)
        yield piece


def _inflate(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    machine = zlib.decompressobj(-15)
    for packed in _copy(file, entry.packed_size):
        rest = packed
        while rest and not machine.eof:
            try:
                piece = machine.decompress(rest, CHUNK)
            except zlib.error as error:
                raise _damaged() from error
            rest = machine.unconsumed_tail
            if piece:
                yield piece
    while not machine.eof:
        piece = machine.decompress(b"", CHUNK)
        if not piece:
            raise _damaged()
        yield piece


def _damaged() -> EntryRefused:
    return EntryRefused("Its bytes are damaged inside the zip: make or copy the zip again.", code="zip-damaged")


def _too_many(limits: ZipLimits) -> str:
    return f"The zip lists more than {limits.entries:,} files. Split it, or send the folder itself."


def _end_in(tail: bytes) -> int | None:
    """Where the end record begins: the last place whose comment reaches exactly to, or past a cut at, the end."""
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= _END.size and _END.unpack_from(tail, at)[7] <= len(tail) - at - _END.size:
            return at
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return None


def _wide_end(file: BinaryIO, end_at: int) -> tuple[int, int, int] | None:
    """Of a zip64: where its end record begins, the table's size and its offset."""
    if end_at < _LOCATOR.size:
        return None
    file.seek(end_at - _LOCATOR.size)
    mark, _, at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if mark != b"PK\x06\x07":
        return None
    # Bytes put before the archive shift it, so the usual place is tried as well.
    for place in (at, end_at - _LOCATOR.size - _END64.size):
        if not 0 <= place <= end_at - _END64.size:
            continue
        file.seek(place)
        record = _END64.unpack(file.read(_END64.size))
        if record[0] == b"PK\x06\x06":
            return place, record[8], record[9]
    raise ArchiveRefused("The zip's list of files is damaged. Make or copy it again.", code="damaged-zip")


def _entry_at(window: bytes, at: int) -> tuple[ZipEntry, int]:
    damaged = ArchiveRefused("The zip's list of files is damaged. Make or copy it again.", code="damaged-zip")
    if len(window) - at < _ENTRY.size:
        raise damaged
    line = _ENTRY.unpack_from(window, at)
    mark, system, flags, method, crc, packed, unpacked = line[0], line[2], line[5], line[6], line[9], line[10], line[11]
    name_length, extra_length, note_length, outside, offset = line[12], line[13], line[14], line[17], line[18]
    name_at = at + _ENTRY.size
    extra_at = name_at + name_length
    length = _ENTRY.size + name_length + extra_length + note_length
    if mark != b"PK\x01\x02" or len(window) < at + length:
        raise damaged
    raw = window[name_at:extra_at]
    packed, offset = _widened(window[extra_at : extra_at + extra_length], unpacked, packed, offset)
    entry = ZipEntry(
        name=_decoded(raw, flags),
        flags=flags,
        method=method,
        crc=crc,
        packed_size=packed,
        offset=offset,
        unix_mode=outside >> 16 if system in (_UNIX, _MAC) else 0,
        has_nul=b"\0" in raw,
    )
    return entry, length


def _widened(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int]:
    """Packed size and offset with the 64-bit values of the zip64 field, where the short ones are full."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = [value for (value,) in struct.iter_unpack("<Q", extra[at + 4 : at + 4 + length // 8 * 8])]
            wanted = [value == _FULL for value in (unpacked, packed, offset)]
            if sum(wanted) <= len(wide):
                values = iter(wide)
                _, packed, offset = (
                    next(values) if full else short
                    for full, short in zip(wanted, (unpacked, packed, offset), strict=True)
                )
            break
        at += 4 + length
    return packed, offset


def _decoded(raw: bytes, flags: int) -> str:
    """UTF-8 also without its flag, since Macs leave it out; else the DOS code page.

    Some programs of Windows write folders with backslashes.
    """
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    return name.replace("\\", "/")


def _data_start(file: BinaryIO, table: Table, entry: ZipEntry) -> int:
    """Where the bytes of an entry begin. Macs write offsets past 4 GB modulo 2**32, so later laps are tried."""
    places = [entry.offset + table.shift, entry.offset]
    places += range(entry.offset, table.start, 2**32)
    for place in places:
        if not 0 <= place <= table.start - _LOCAL.size:
            continue
        file.seek(place)
        mark, *_, name_length, extra_length = _LOCAL.unpack(file.read(_LOCAL.size))
        start = place + _LOCAL.size + int(name_length) + int(extra_length)
        if mark == b"PK\x03\x04" and _same_name(file.read(int(name_length)), entry):
            if start + entry.packed_size > table.start:
                raise _damaged()
            return start
    raise _damaged()


def _same_name(raw: bytes, entry: ZipEntry) -> bool:
    return _decoded(raw, entry.flags) == entry.name
