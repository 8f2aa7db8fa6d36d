"""JSON files of any length, an item at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import ijson

from webapp.datasets.formats.records import SourceError

_NO_NUMBER = re.compile(r"\b(NaN|Infinity)\b")
_DECIDING = 3_000_000
"""Events looked at before a file that says nothing telling is given up."""


def items(file: Path, prefix: str) -> Iterator[Any]:
    """What lies at a place like `images.item`, one after another; SourceError where the file is no JSON."""
    with _open(file) as data:
        yield from ijson.items(data, prefix, use_float=True)


def pairs(file: Path, prefix: str) -> dict[str, Any]:
    """A short object, such as the categories of a file; empty where there is none."""
    found: Any = next(items(file, prefix), {})
    return found if isinstance(found, dict) else {}


@contextmanager
def _open(file: Path) -> Iterator[IO[bytes]]:
    if not file.is_file():
        raise SourceError(f"{file} is not there.")
    try:
        with file.open("rb") as data:
            if data.read(3) != b"\xef\xbb\xbf":
                data.seek(0)
            yield data
    except (ijson.JSONError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:160]
        if _NO_NUMBER.search(said):
            raise SourceError(f"{file} is no JSON, which has no NaN or Infinity: write null instead.") from error
        raise SourceError(f"{file} is no whole JSON file: {said}. Was it cut short while copying?") from error


def json_kind(file: Path) -> str:
    """megadetector, speciesnet, coco or coco-ct by what the file holds; empty for any other JSON."""
    seen: set[str] = set()
    with _open(file) as data:
        for number, (prefix, event, value) in enumerate(ijson.parse(data, use_float=True)):
            if event == "map_key":
                seen.add(f"{prefix}.{value}")
                if found := _telling(seen):
                    return found
            if number > _DECIDING:
                break
    return _coco_kind(seen) if {"images.item.file_name", "annotations.item.image_id"} & seen else ""


def _telling(seen: set[str]) -> str:
    if ".detection_categories" in seen or {"images.item.file", "images.item.detections"} <= seen:
        return "megadetector"
    if "predictions.item.filepath" in seen:
        return "speciesnet"
    finished = {".images", ".annotations"} <= seen and ".categories" in seen and "annotations.item.image_id" in seen
    return _coco_kind(seen) if finished and "images.item.file_name" in seen else ""


def _coco_kind(seen: set[str]) -> str:
    """Camera traps say location, sequence and time of a picture, in words that plain COCO lacks."""
    telling = {"images.item.location", "images.item.seq_id", "images.item.frame_num", "annotations.item.bbox_relative"}
    return "coco-ct" if telling & seen else "coco"
