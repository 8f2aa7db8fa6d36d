"""Where an export goes: a folder that appears whole or not at all, or a zip that is written as it grows."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Protocol, Self, TextIO

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20


class OutputError(Exception):
    """The export cannot be put there: the text says why and what to do."""


class Output(Protocol):
    """What writers write to. Several texts may be open while files are added; each name is used once."""

    def add_bytes(self, name: str, content: bytes) -> None: ...

    def add_file(self, name: str, file: Path) -> None: ...

    def open_text(self, name: str) -> AbstractContextManager[TextIO]: ...


class FolderOutput:
    """Writes beside the folder and renames at the end; an error or a kill leaves no half folder under the name."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise OutputError(f"{folder} is there already. Name a new folder, or remove that one first.")
        self._folder = folder

    def __enter__(self) -> Self:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._work = Path(tempfile.mkdtemp(prefix=f".{self._folder.name}.", dir=self._folder.parent))
        self._work.chmod(0o755)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            return
        if self._folder.is_dir():
            self._folder.rmdir()
        self._work.rename(self._folder)

    def add_bytes(self, name: str, content: bytes) -> None:
        with self._new(name).open("xb") as file:
            file.write(content)

    def add_file(self, name: str, file: Path) -> None:
        with file.open("rb") as source, self._new(name).open("xb") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    @contextmanager
    def open_text(self, name: str) -> Iterator[TextIO]:
        with self._new(name).open("x", encoding="utf-8", newline="") as file:
            yield file

    def _new(self, name: str) -> Path:
        path = self._work / checked_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class ZipOutput:
    """Writes a zip to a stream that need not be seekable. Pictures are stored as they are, texts packed.

    A text is kept in a temporary file until it is closed, since a zip takes one entry at a time.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(stream, "w", allowZip64=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._zip.close()

    def add_bytes(self, name: str, content: bytes) -> None:
        self._zip.writestr(self._entry(name, zipfile.ZIP_DEFLATED), content)

    def add_file(self, name: str, file: Path) -> None:
        entry = self._entry(name, zipfile.ZIP_STORED)
        entry.file_size = file.stat().st_size
        with file.open("rb") as source, self._zip.open(entry, "w") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    @contextmanager
    def open_text(self, name: str) -> Iterator[TextIO]:
        entry = self._entry(name, zipfile.ZIP_DEFLATED)
        with tempfile.TemporaryFile("w+b") as kept:
            text = io.TextIOWrapper(kept, encoding="utf-8", newline="", write_through=True)
            yield text
            text.flush()
            entry.file_size = kept.seek(0, io.SEEK_END)
            kept.seek(0)
            with self._zip.open(entry, "w") as target:
                shutil.copyfileobj(kept, target, _CHUNK)

    def _entry(self, name: str, packed: int) -> zipfile.ZipInfo:
        checked = checked_name(name)
        if checked in self._zip.NameToInfo:
            raise FileExistsError(f"{checked} is in the zip already.")
        entry = zipfile.ZipInfo(checked, _ZIP_TIME)
        entry.compress_type = packed
        entry.external_attr = 0o644 << 16
        return entry


def checked_name(name: str) -> str:
    """A relative name with forward slashes that stays inside; a writer that gives another is at fault."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a file in an export.")
    return "/".join(parts)
