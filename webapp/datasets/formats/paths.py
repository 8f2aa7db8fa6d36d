"""Finds the files a source names, inside its folder and nowhere else."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from webapp.datasets.formats.records import SourceError

IMAGE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".avif", ".mpo", ".heic", ".heif", ".gif"}
    | {".bmp"}
)
"""What is listed as a picture; those that Osprey does not read are refused one by one, with their reason."""

_DRIVE = re.compile(r"^[A-Za-z]:[/\\]")
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_OF_SYSTEMS = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})
PROBES = 20
"""So many names of a source decide from which folder they start."""
MOST_BASES = 100
"""Of the folders beside a source, so many are tried as that one."""


def is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122 (in bulk)


def walk(root: Path, under: str = "") -> Iterator[str]:
    """Paths of the pictures below a folder, in one stable order; links are listed but links to folders not entered."""
    here = root / under
    try:
        with os.scandir(here) as entries:
            listed = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except OSError as error:
        raise SourceError(f"The folder {here} cannot be read: {error.strerror}.") from error
    prefix = f"{under}/" if under else ""
    yield from (prefix + name for name, is_folder in listed if not is_folder and is_image(name))
    for name, is_folder in listed:
        if is_folder and not name.startswith(".") and name != "__MACOSX":
            yield from walk(root, prefix + name)


def others_in(root: Path) -> Iterator[str]:
    """What `walk` leaves out below a folder, by its ending; links to folders too, for they are not entered."""
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _OF_SYSTEMS:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from others_in(Path(entry.path))
            elif entry.is_symlink() and entry.is_dir():
                yield "links to folders"
            elif not is_image(entry.name):
                yield os.path.splitext(entry.name)[1].lower() or "without an ending"  # noqa: PTH122 (in bulk)


@dataclass(frozen=True, slots=True)
class Found:
    """`path` is relative to the source's folder; without a file `problem` says why."""

    path: str
    file: Path | None
    problem: str = ""


@dataclass(frozen=True)
class Pictures:
    """The folder of a source, and the folder in it that the names of its pictures start from."""

    root: Path
    base: str = ""

    @cached_property
    def _root(self) -> str:
        return str(self.root)

    @cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)

    @cached_property
    def _real_folder(self) -> Callable[[str], str]:
        """Asked for every picture, with the same answer for most; kept no longer than this reading."""
        return lru_cache(maxsize=512)(os.path.realpath)

    def find(self, name: str) -> Found:
        """The file of that name. Absolute names from another machine are looked for by their last folders."""
        plain = name.strip().replace("\\", "/")
        if not plain or "\0" in plain:
            return Found(plain.replace("\0", "?") or "?", None, "A row names no file.")
        if _ADDRESS.match(plain):
            return Found(plain, None, f"{plain} is a web address: fetch the pictures first, then import their folder.")
        if plain.startswith("/") or _DRIVE.match(plain):
            return self._moved(plain)
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        if ".." in parts:
            return Found(plain, None, f"{plain} points out of the folder with '..' and is not read.")
        return self._however_spelled("/".join([*([self.base] if self.base else []), *parts]))

    def find_end(self, name: str) -> Found:
        """As `find`; where nothing is there, without the folders that lists of other tools put in front of names."""
        found = self.find(name)
        if found.file is not None:
            return found
        parts = [part for part in found.path.split("/") if part not in ("", ".")]
        if ".." in parts or _ADDRESS.match(found.path):
            return found
        others = (self._checked("/".join(parts[start:])) for start in range(1, len(parts)))
        return next((other for other in others if other.file is not None), found)

    def _however_spelled(self, path: str) -> Found:
        """Tables from a Mac or from Windows spell accents and endings otherwise than the disk does."""
        found = self._checked(path)
        if found.file is not None:
            return found
        others = (self._checked(other) for other in _spellings(path))
        return next((other for other in others if other.file is not None), found)

    def _moved(self, plain: str) -> Found:
        """An absolute name: inside the folder it is taken as it is; else its end is looked for inside."""
        real = os.path.realpath(plain)
        if not _DRIVE.match(plain) and _inside(real, self._real_root):
            return self._checked(os.path.relpath(real, self._real_root).replace(os.sep, "/"))
        parts = [part for part in PurePosixPath(_DRIVE.sub("/", plain)).parts[1:] if part not in (".", "..")]
        for start in range(len(parts)):
            for base in dict.fromkeys((self.base, "")):
                found = self._checked("/".join([*([base] if base else []), *parts[start:]]))
                if found.file:
                    return found
        return Found(
            plain, None, f"{plain} lies outside the source's folder and is not read; nothing in the folder ends so."
        )

    def _checked(self, path: str) -> Found:
        folder, _, name = path.rpartition("/")
        real = f"{self._real_folder(f'{self._root}/{folder}')}/{name}"
        try:
            mode = os.lstat(real).st_mode
            if stat.S_ISLNK(mode):
                real = os.path.realpath(real)
                mode = os.stat(real).st_mode  # noqa: PTH116 (in bulk)
        except (OSError, ValueError):
            mode = 0
        if not _inside(real, self._real_root):
            return Found(path, None, f"{path} is a link out of the folder and is not read.")
        if not stat.S_ISREG(mode):
            return Found(path, None, f"{path} is not there.")
        return Found(path, self.root / path)


def _spellings(path: str) -> Iterator[str]:
    """The same name with accents composed or taken apart, and with its ending in small letters or capitals."""
    stem, ending = os.path.splitext(path)  # noqa: PTH122 (in bulk)
    stems = dict.fromkeys((stem, unicodedata.normalize("NFC", stem), unicodedata.normalize("NFD", stem)))
    endings = dict.fromkeys((ending, ending.lower(), ending.upper()))
    yield from (one + other for one in stems for other in endings if one + other != path)


def _inside(real: str, root: str) -> bool:
    return real == root or real.startswith(root.rstrip("/") + "/")


def pictures_for(root: Path, names: Iterable[str], *, images: str = "", bases: Iterable[str] = ()) -> Pictures:
    """The folder from which the first names are found best: the one given, else the root or one of `bases`."""
    if images:
        folder = Path(images) if Path(images).is_absolute() else root / images
        if not folder.is_dir():
            raise SourceError(f"The folder of the images is not there: {folder}.")
        real, real_root = os.path.realpath(folder), os.path.realpath(root)
        if _inside(real, real_root):
            inner = os.path.relpath(real, real_root).replace(os.sep, "/")
            return Pictures(root, "" if inner == "." else inner)
        return Pictures(folder)
    probes = [name for _, name in zip(range(PROBES), names, strict=False)]
    candidates = [Pictures(root, base) for base in dict.fromkeys(["", *bases]) if (root / base).is_dir()]
    return max(candidates, key=lambda one: sum(one.find(name).file is not None for name in probes))


def folders_in(root: Path, under: str = "") -> list[str]:
    """The folders in a folder of a source, as paths from its root."""
    here = root / under
    names = sorted(path.name for path in here.iterdir() if path.is_dir()) if here.is_dir() else []
    return [f"{under}/{name}" if under else name for name in names if not name.startswith(".") and name != "__MACOSX"]


def required_file(path: Path) -> Path:
    if not path.is_file():
        raise SourceError(f"{path} is not there.")
    return path
