"""A version's folder as one zip, made while it is sent: nothing is written, and no file is held in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 18
NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The same version gives the same bytes."""


class _Sink:
    """What zipfile has written since it was last asked."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it."""

    def close(self) -> None:
        """Nor is anything open."""

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def zipped(folder: Path, root: str) -> Iterator[bytes]:
    """The zip in pieces, every file below `root`; stored as they are, since weights do not get smaller."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", NO_TIME)
            entry.file_size = path.stat().st_size
            with archive.open(entry, "w") as target, path.open("rb") as source:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield sink.take()
    yield sink.take()
