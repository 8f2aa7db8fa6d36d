"""YOLO in the layout of Ultralytics: data.yaml, `images/<part>/` and `labels/<part>/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from webapp.datasets.formats.box_rows import record_of
from webapp.datasets.formats.paths import Pictures, walk
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import Head, ImageRecord, Source, SourceError
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import known_options, label_records, part_of

_PARTS = ("train", "val", "test", "interesting")
_LARGEST = 1 << 20


def open_yolo(root: Path, options: Mapping[str, Any]) -> Source:
    """`root` is the yaml, the folder that holds it, or a folder with `images/`, `labels/` and classes.txt."""
    known_options(options)
    file = root if root.is_file() else the_yaml_in(root)
    if file is None:
        return _without_yaml(root)
    content = _content(file)
    folder = file.parent
    base = _inside(folder, str(content.get("path") or ""), "") or ""
    listed: list[tuple[str, str]] = []
    notices: list[str] = []
    for key in _PARTS:
        places = content.get(key) or []
        for written in places if isinstance(places, list) else [places]:
            place = _inside(folder, str(written), base)
            if place is None:
                notices.append(f"{file.name} names {written} for {key}, which is not there.")
            else:
                listed.append((part_of(key), place))
    if not listed:
        raise SourceError(f"{file} names no folder of pictures that is there. {' '.join(notices)}".strip())
    classes = _names(file, content)
    head = Head("yolo", name=folder.name, labels=label_records(classes), licence=str(content.get("license") or ""))
    with_points = bool(content.get("kpt_shape"))
    notices += ["Keypoints are not kept, only the boxes."] if with_points else []
    head = replace(head, notices=tuple(notices))
    return ReadSource(head, lambda _measure: _read(folder, listed, classes, with_points))


def the_yaml_in(folder: Path) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    found = [path for path in found if path.stat().st_size <= _LARGEST and "names" in _content(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SourceError(f"{folder} holds several: {names}. Import one of them by its own path.")
    return found[0] if found else None


def _content(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} is no YAML: {' '.join(str(error).split())[:200]}.") from error
    return content if isinstance(content, dict) else {}


def _names(file: Path, content: Mapping[str, Any]) -> list[str]:
    """Class names by number; a gap in the numbers is a fault of the file."""
    names = content.get("names")
    if isinstance(names, list):
        return [str(name) for name in names]
    if not isinstance(names, dict) or not names:
        raise SourceError(f"{file} has no names: a list, or numbers with names.")
    try:
        by_number = {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise SourceError(f"{file}: the names must be under numbers from 0.") from error
    if sorted(by_number) != list(range(len(by_number))):
        raise SourceError(f"{file}: the numbers of the names are {sorted(by_number)[:10]}, not 0, 1, 2 and so on.")
    return [by_number[number] for number in range(len(by_number))]


def _inside(folder: Path, written: str, base: str) -> str | None:
    """A path of the yaml relative to its folder; what points elsewhere is looked for by its last folders."""
    if written in ("", "."):
        return base
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        for prefix in dict.fromkeys((base, "")):
            inner = "/".join([*([prefix] if prefix else []), *parts[start:]])
            if (folder / inner).exists():
                return inner
    return None


def _read(folder: Path, listed: list[tuple[str, str]], classes: list[str], with_points: bool) -> Iterator[ImageRecord]:
    pictures, seen = Pictures(folder), Spool()
    for part, place in listed:
        paths = _of_list(pictures, place) if (folder / place).is_file() else walk(folder, place)
        for path in paths:
            if seen.add_image(path):
                yield record_of(pictures, path, part, classes, with_points=with_points)


def _of_list(pictures: Pictures, place: str) -> Iterator[str]:
    """The pictures of a list. Names start from its own folder, as with `./images/a.jpg`, or from that of the yaml."""
    beside = replace(pictures, base=place.rpartition("/")[0])
    for name in _lines(pictures.root / place):
        found = beside.find_end(name)
        yield found.path if found.file is not None else name


def _lines(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as text:
        yield from (line.strip() for line in text if line.strip())


def _without_yaml(root: Path) -> Source:
    for name in ("classes.txt", "labels/classes.txt", "obj.names"):
        if (root / name).is_file():
            classes = list(_lines(root / name))
            break
    else:
        raise SourceError(f"{root} has labels, but neither data.yaml nor classes.txt says what the classes are called.")
    head = Head("yolo", name=root.name, labels=label_records(classes))
    return ReadSource(head, lambda _measure: _read_folders(root, classes))


def _read_folders(root: Path, classes: list[str]) -> Iterator[ImageRecord]:
    pictures = Pictures(root)
    for path in walk(root):
        parts = (part_of(folder) for folder in path.split("/")[:-1])
        yield record_of(pictures, path, next((part for part in parts if part), ""), classes)
