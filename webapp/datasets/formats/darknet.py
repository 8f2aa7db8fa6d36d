"""Darknet: a .data file that names the classes and the lists of pictures; labels by replacing `images` in the path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webapp.datasets.formats.box_rows import record_of
from webapp.datasets.formats.paths import Pictures
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import Head, ImageRecord, Source, SourceError
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import known_options, label_records, part_of

_LISTS = ("train", "valid", "test", "interesting")


def open_darknet(root: Path, options: Mapping[str, Any]) -> Source:
    """`root` is the .data file or the folder that holds one; paths of another machine are found by their ends."""
    known_options(options)
    file = root if root.is_file() else _the_data_in(root)
    content = _content(file)
    pictures = Pictures(file.parent)
    if "names" not in content:
        raise SourceError(f"{file} names no file of class names: it needs a line 'names = ...'.")
    names_file = _required(pictures, file, content["names"])
    classes = [line.strip() for line in names_file.read_text(encoding="utf-8", errors="replace").splitlines()]
    while classes and not classes[-1]:
        classes.pop()
    lists = [(part_of(key), _required(pictures, file, content[key])) for key in _LISTS if content.get(key)]
    if not lists:
        raise SourceError(f"{file} names no list of pictures: it needs 'train = ...' or 'valid = ...'.")
    notices = []
    if (stated := content.get("classes", "")) and stated != str(len(classes)):
        notices.append(f"{file.name} says {stated} classes, {names_file.name} names {len(classes)}: the names count.")
    head = Head("darknet", name=file.stem, labels=label_records(classes), notices=tuple(notices))
    return ReadSource(head, lambda _measure: _read(pictures, lists, classes))


def _the_data_in(folder: Path) -> Path:
    found = sorted(folder.glob("*.data"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise SourceError(f"{folder} should hold one .data file; found: {names}. Import the file by its own path.")
    return found[0]


def _content(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith(("#", ";")))
    return {key.strip(): value.strip() for key, value in pairs}


def _required(pictures: Pictures, file: Path, name: str) -> Path:
    found = pictures.find_end(name)
    if found.file is None:
        raise SourceError(f"{file} needs {name}: {found.problem}")
    return found.file


def _read(pictures: Pictures, lists: list[tuple[str, Path]], classes: list[str]) -> Iterator[ImageRecord]:
    """A picture that is in two lists belongs to the first."""
    seen = Spool()
    for part, listing in lists:
        with listing.open(encoding="utf-8", errors="replace") as text:
            for line in text:
                if line.strip() and seen.add_image(path := pictures.find_end(line).path):
                    yield record_of(pictures, path, part, classes)
