"""Finds out which format a folder or file is in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from webapp.datasets.formats.cells import open_table
from webapp.datasets.formats.columns import suggest
from webapp.datasets.formats.imagefolder import is_fisheries
from webapp.datasets.formats.json_stream import json_kind
from webapp.datasets.formats.paths import folders_in, walk
from webapp.datasets.formats.records import SourceError
from webapp.datasets.formats.values import part_of

_TABLES = {".csv", ".tsv"}
_COCO = {"coco", "coco-ct"}
_SEEN = 8


def detect(root: Path) -> str:
    """The name of the format; SourceError says what was seen where none fits or several do."""
    if root.is_dir():
        return _of_folder(root)
    if not root.is_file():
        raise SourceError(f"{root} is not there.")
    return _of_file(root)


def _of_file(file: Path) -> str:
    ending = file.suffix.lower()
    if file.name == "datapackage.json":
        return "camtrapdp"
    if ending == ".json":
        if kind := json_kind(file):
            return kind
        raise SourceError(f"{file} is JSON, but neither COCO nor results of MegaDetector or SpeciesNet.")
    if ending in (".yaml", ".yml"):
        return "yolo"
    if ending == ".data":
        return "darknet"
    if ending in _TABLES or ending == ".txt":
        return "csv"
    raise SourceError(f"{file.name} is of no format that is read here. Import a folder, .csv, .json, .yaml or .data.")


def _of_folder(root: Path) -> str:
    files = sorted(path for path in root.iterdir() if path.is_file() and not path.name.startswith("."))
    names = {path.name for path in files}
    if "datapackage.json" in names:
        return "camtrapdp"
    if any(path.suffix in (".yaml", ".yml") and _is_yolo(path) for path in files):
        return "yolo"
    if any(path.suffix == ".data" for path in files):
        return "darknet"
    if is_fisheries(root):
        return "fisheries"
    if found := _of_json(root):
        return found
    if _is_voc(root):
        return "voc"
    if any(path.suffix.lower() in _TABLES and "path" in _meanings(path) for path in files):
        return "csv"
    if (root / "labels").is_dir() and (root / "images").is_dir() and any((root / "labels").rglob("*.txt")):
        return "yolo"
    if next(walk(root), None):
        return "imagefolder"
    raise SourceError(f"Nothing in {root} is of a format that is read here; seen: {_list(root)}.")


def _of_json(root: Path) -> str:
    """One JSON file decides; several do where all are COCO, as with a file for each part."""
    kinds = {path: json_kind(path) for path in json_files(root)}
    kinds = {path: kind for path, kind in kinds.items() if kind}
    if not kinds:
        return ""
    if set(kinds.values()) <= _COCO:
        return "coco-ct" if "coco-ct" in kinds.values() else "coco"
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    listed = ", ".join(f"{path.relative_to(root)} ({kind})" for path, kind in kinds.items())
    raise SourceError(f"{root} holds several sources: {listed}. Import one of them by its own path.")


def json_files(root: Path) -> Iterator[Path]:
    """The JSON files of a folder and of the folders right below it where such files are kept."""
    yield from sorted(root.glob("*.json"))
    inner = sorted(root.glob("*/*.json"))
    yield from (path for path in inner if path.parent.name == "annotations" or "coco" in path.name)


def _is_yolo(file: Path) -> bool:
    with file.open(encoding="utf-8", errors="replace") as text:
        keys = {line.split(":")[0].strip() for line in islice(text, 200) if not line.startswith((" ", "#"))}
    return "names" in keys and bool({"train", "val", "path"} & keys)


def _is_voc(root: Path) -> bool:
    """XML in a folder of its own, beside the pictures, or beside those of each part."""
    folders = [folder for folder in (root / "Annotations", root / "annotations") if folder.is_dir()]
    beside = [root, *(root / name for name in folders_in(root) if part_of(name))]
    found = chain.from_iterable(
        [*(folder.rglob("*.xml") for folder in folders), *(one.glob("*.xml") for one in beside)]
    )
    for file in islice(found, 1):
        with file.open("rb") as data:
            return b"<annotation" in data.read(2000)
    return False


def _meanings(file: Path) -> set[str]:
    return set(suggest(open_table(file).header).values()) if file.stat().st_size else set()


def _list(root: Path) -> str:
    entries = [f"{path.name}/" if path.is_dir() else path.name for path in islice(root.iterdir(), _SEEN)]
    return ", ".join(sorted(entries)) or "an empty folder"
