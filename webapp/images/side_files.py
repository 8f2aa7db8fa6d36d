"""What cameras and desktops leave beside pictures: one line of a summary, never a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ENDINGS = frozenset(
    {".thm", ".xmp", ".lrv", ".aae", ".ctg", ".lrprev", ".pp3", ".dop", ".on1", ".cos", ".ini", ".db", ".lnk"}
)
NAMES = frozenset({"thumbs.db", "ehthumbs.db", ".ds_store", "desktop.ini", ".picasa.ini", "picasa.ini", "autprint.mrk"})
FOLDERS = frozenset({"__macosx", "@eadir", ".thumbnails", ".trashes", ".spotlight-v100", ".fseventsd"})
RAW = frozenset(
    {".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"}
)
JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class SideFiles:
    """Which of the files are wanted, which are left out, and how many of each ending those are."""

    wanted: tuple[str, ...]
    left_out: tuple[str, ...]
    counts: dict[str, int]


def side_kind(path: str) -> str | None:
    """Under which word a file is left out by its own name, or None when it is wanted."""
    *folders, name = path.lower().split("/")
    if any(folder in FOLDERS for folder in folders):
        return next(folder for folder in folders if folder in FOLDERS)
    if name in NAMES:
        return name
    if name.startswith("._"):
        return "._*"
    ending = ending_of(path)
    return ending if ending in ENDINGS else None


def ending_of(path: str) -> str:
    """The last ending in lower case with its dot; a leading dot makes a hidden file, not an ending."""
    name = path.rsplit("/", 1)[-1]
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def stem_of(path: str) -> str:
    """Folder and name without the ending: what a raw file and its JPEG have in common."""
    return path[: len(path) - len(ending_of(path))].lower()


def summarise_side_files(paths: Iterable[str], *, has_jpeg: Callable[[str], bool] | None = None) -> SideFiles:
    """Tell wanted files from side files. A raw file counts as one where a JPEG of its stem lies beside it.

    `has_jpeg` answers for stems whose JPEG is not among `paths`, such as those of an earlier part of the list.
    """
    listed = list(paths)
    stems = {stem_of(path) for path in listed if ending_of(path) in JPEG}
    wanted: list[str] = []
    left_out: list[str] = []
    counts: Counter[str] = Counter()
    for path in listed:
        kind = side_kind(path)
        if kind is None and ending_of(path) in RAW:
            beside = stem_of(path) in stems or (has_jpeg is not None and has_jpeg(stem_of(path)))
            kind = f"{ending_of(path)} beside JPEG" if beside else None
        if kind is None:
            wanted.append(path)
        else:
            left_out.append(path)
            counts[kind] += 1
    return SideFiles(tuple(wanted), tuple(left_out), dict(counts))
