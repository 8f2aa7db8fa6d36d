"""Names the entries of a zip as items: folders left out, side files told apart, no two entries alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webapp.images.paths import LONGEST, normalise_path, shorten
from webapp.images.side_files import JPEG, RAW, ending_of, side_kind, stem_of
from webapp.images.zips import ZipEntry


@dataclass(frozen=True)
class Survey:
    """What only the whole table tells. Hashes stand for names, so that 200,000 of them stay small."""

    prefix: str
    entries: int
    twice: frozenset[int]
    jpeg_stems: frozenset[int]


@dataclass(frozen=True)
class Listed:
    """One entry with its place in the table, the path of its item, and what kind of side file it is, if any."""

    number: int
    entry: ZipEntry
    path: str
    side_kind: str | None


def survey(entries: Iterable[ZipEntry], *, prefix: str) -> Survey:
    """Read the table once. `prefix` is the name of the zip: its entries are shown as files of that folder."""
    seen: set[int] = set()
    twice: set[int] = set()
    jpegs: set[int] = set()
    total = 0
    for total, entry in enumerate(entries, start=1):  # noqa: B007  (the last number is the total)
        if entry.is_folder:
            continue
        path = _path(prefix, entry)
        key = hash(path)
        (twice if key in seen else seen).add(key)
        if ending_of(path) in JPEG:
            jpegs.add(hash(stem_of(path)))
    return Survey(prefix, total, frozenset(twice), frozenset(jpegs))


def listed(entries: Iterable[ZipEntry], known: Survey) -> Iterator[Listed]:
    """The entries that are files, in order; the same names each time, since each worker begins at the first."""
    times: Counter[str] = Counter()
    for number, entry in enumerate(entries):
        if entry.is_folder:
            continue
        path = _path(known.prefix, entry)
        kind = _side_kind(path, known)
        if hash(path) in known.twice:
            times[path] += 1
            path = path if times[path] == 1 else _numbered(path, number)
        yield Listed(number, entry, path, kind)


def _path(prefix: str, entry: ZipEntry) -> str:
    return normalise_path(f"{prefix}/{entry.name}")


def _side_kind(path: str, known: Survey) -> str | None:
    kind = side_kind(path)
    if kind is None and ending_of(path) in RAW and hash(stem_of(path)) in known.jpeg_stems:
        return f"{ending_of(path)} beside JPEG"
    return kind


def _numbered(path: str, number: int) -> str:
    ending = ending_of(path)
    return shorten(f"{path[: len(path) - len(ending)]} (entry {number + 1}){ending}", LONGEST)
