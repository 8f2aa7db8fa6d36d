"""Pictures in folders named for their class, with or without folders for the parts, and with folders of sites."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webapp.datasets.formats.paths import Pictures, others_in, walk
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import AnnotationRecord, Head, ImageRecord, SiteRecord, Source, SourceError
from webapp.datasets.formats.values import is_empty_word, known_options, label_record, label_records, part_of

LAYOUTS = ("label", "site/label", "label/site", "site", "none")
FISHERIES = ("ALB", "BET", "DOL", "LAG", "NoF", "OTHER", "SHARK", "YFT")
_CAMERA = re.compile(r"^(DCIM|\d{3}[A-Za-z0-9_]{5})$")
_PLACE = re.compile(r"\d|^(site|cam|camera|loc|location|station|plot|grid|trap|boat|vessel)\b", re.IGNORECASE)
_OF_PICTURES = frozenset({"images", "image", "imgs", "img", "pictures", "photos", "media", "jpegimages"})
_ENDINGS_TOLD = 6
Folders = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """What the folders mean: how many lead to the parts, whether there are parts, and what the rest names."""

    skipped: int
    parts: bool
    names: str
    notices: tuple[str, ...] = ()

    def meaning(self, folders: Folders) -> tuple[str, str, str]:
        """Part, label and site of the pictures that lie in such folders."""
        rest = folders[self.skipped :]
        part = part_of(rest[0]) if self.parts and rest else ""
        rest = rest[1:] if part else rest
        rest = _without_camera(rest)
        first, others = (rest[0], "/".join(rest[1:])) if rest else ("", "")
        if self.names == "label":
            return part, first, ""
        if self.names == "label/site":
            return part, first, others
        if self.names == "site/label":
            return (part, rest[-1], "/".join(rest[:-1])) if len(rest) > 1 else (part, first, "")
        return part, "", "/".join(rest) if self.names == "site" else ""


def open_folder(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `folders`, one of LAYOUTS, where the names alone do not show which are labels and which sites."""
    known_options(options, "folders")
    if not root.is_dir():
        raise SourceError(f"{root} is no folder: pictures in class folders are read from the folder that holds them.")
    folders = sorted({tuple(path.split("/")[:-1]) for path in walk(root)})
    if not folders:
        raise SourceError(f"There are no pictures in {root}.")
    layout = _layout(folders, str(options.get("folders", "")))
    alone = {one[0] for one in folders if one} if not layout.skipped and not layout.parts else set()
    if not options.get("folders") and len(alone) == 1 and (name := alone.pop()).casefold() in _OF_PICTURES:
        notice = f"The only folder is called {name}, which is taken for no label. Say folders=label if it is one."
        layout = Layout(1, False, layout.names, (*layout.notices, notice))
    said = [layout.meaning(one) for one in folders]
    head = Head(
        format="imagefolder",
        name=root.name,
        labels=label_records(label for _, label, _ in said),
        sites=tuple(SiteRecord(site) for site in dict.fromkeys(site for *_, site in said) if site),
        notices=(*layout.notices, *_not_read(root)),
    )
    return ReadSource(head, lambda _measure: _read(root, layout))


def _not_read(root: Path) -> Iterator[str]:
    """Tables and JSON that nothing names pictures in are not read with the folders, nor is what is no picture."""
    for path in sorted([*root.iterdir(), *root.glob("annotations/*")]):
        ending = path.suffix.lower()
        if ending in (".csv", ".tsv") and path.is_file():
            yield f"{path.name} lies beside the folders and is not read: choose the format csv for it."
        elif ending in (".json", ".xml", ".yaml") and path.is_file():
            yield f"{path.relative_to(root).as_posix()} is of no format that is known here, and is not read."
    others = Counter(others_in(root))
    if others:
        listed = ", ".join(f"{name} ({count:,})" for name, count in others.most_common(_ENDINGS_TOLD))
        more = ", …" if len(others) > _ENDINGS_TOLD else ""
        yield f"What is no picture is left where it is: {listed}{more}."


def _read(root: Path, layout: Layout) -> Iterator[ImageRecord]:
    pictures = Pictures(root)
    for path in walk(root):
        part, label, site = layout.meaning(tuple(path.split("/")[:-1]))
        found = pictures.find(path)
        annotations = None if not label else () if is_empty_word(label) else (AnnotationRecord(label),)
        yield ImageRecord(path, found.file, part, annotations, site=site, problem=found.problem)


def open_fisheries(root: Path, options: Mapping[str, Any]) -> Source:
    """The fisheries set: `train/<class>/img_00003.jpg`; NoF is the deck without a fish; test folders have no class."""
    known_options(options)
    if not is_fisheries(root):
        raise SourceError(f"{root} does not hold train/ with the folders {', '.join(FISHERIES)}.")
    skipped = 0 if (root / "train").is_dir() else None
    labels = tuple(label_record(name) for name in FISHERIES)
    head = Head(format="fisheries", name=root.name, labels=labels)
    return ReadSource(head, lambda _measure: _read_fisheries(root, inside_train=skipped is None))


def _read_fisheries(root: Path, *, inside_train: bool) -> Iterator[ImageRecord]:
    pictures = Pictures(root)
    for path in walk(root):
        found = pictures.find(path)
        folders = ["train", *path.split("/")[:-1]] if inside_train else path.split("/")[:-1]
        label = folders[1] if len(folders) == 2 and folders[0] == "train" and folders[1] in FISHERIES else ""
        part = "train" if label else "test" if folders and folders[0].startswith("test") else ""
        annotations = (AnnotationRecord(label),) if label else None
        yield ImageRecord(path, found.file, part, annotations, problem=found.problem)


def is_fisheries(root: Path) -> bool:
    """Whether at least four of the eight class folders are there, in `train` or at once."""
    return any(sum((root / inner / name).is_dir() for name in FISHERIES) >= 4 for inner in ("train", ""))


def _layout(folders: list[Folders], asked: str) -> Layout:
    if asked and asked not in LAYOUTS:
        raise SourceError(f"folders={asked} is none of {', '.join(LAYOUTS)}.")
    skipped = _wrapping(folders)
    inner = [one[skipped:] for one in folders if len(one) > skipped]
    parts = _has_parts(inner)
    inner = [one[1:] if parts and part_of(one[0]) else one for one in inner]
    bare = [_without_camera(one) for one in inner]
    if asked:
        return Layout(skipped, parts, asked)
    if any(len(one) != len(plain) for one, plain in zip(inner, bare, strict=True)):
        notice = "Folders of a camera's card were found, so the folders above them are taken as sites, not as labels."
        return Layout(skipped, parts, "site", (f"{notice} Say folders=label if they are labels.",))
    if max(map(len, bare), default=0) < 2:
        return Layout(skipped, parts, "label")
    return _nested(skipped, parts, [one for one in bare if len(one) > 1])


def _nested(skipped: int, parts: bool, folders: list[Folders]) -> Layout:
    """Folders in folders: those whose names look like places are sites, the others labels."""
    outer = _like_places({one[0] for one in folders})
    inner = _like_places({one[-1] for one in folders})
    if outer and not inner:
        names, said = "site/label", "The outer folders look like places: taken as sites, the innermost ones as labels."
    elif inner and not outer:
        names, said = "label/site", "The inner folders look like places: taken as sites, the outermost ones as labels."
    else:
        names, said = "label", "Only the outermost folders are taken as labels; what lies below them is part of a name."
    return Layout(skipped, parts, names, (f"{said} Say folders={'|'.join(LAYOUTS)} if that is wrong.",))


def _like_places(names: set[str]) -> bool:
    return sum(bool(_PLACE.search(name)) for name in names) * 2 > len(names)


def _wrapping(folders: list[Folders]) -> int:
    """How many folders only wrap the folders of parts, as after unpacking a zip."""
    depth = 0
    while all(len(one) > depth + 1 for one in folders) and len({one[depth] for one in folders}) == 1:
        if part_of(folders[0][depth]):
            return depth
        depth += 1
        if any(part_of(one[depth]) for one in folders):
            return depth
    return 0


def _has_parts(folders: list[Folders]) -> bool:
    """A folder `test` may be a class like any other: parts hold further folders, or there is nothing but parts."""
    named = [one for one in folders if part_of(one[0])]
    return bool(named) and (any(len(one) > 1 for one in named) or len(named) == len(folders))


def _without_camera(folders: Folders) -> Folders:
    while folders and _CAMERA.match(folders[-1]):
        folders = folders[:-1]
    return folders
