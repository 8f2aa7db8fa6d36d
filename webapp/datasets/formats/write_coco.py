"""Writes COCO and COCO Camera Traps: one file, or one for each part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TextIO

from webapp.datasets.formats.job import Classes, Job, animals_of, size_of, spooled_text
from webapp.datasets.formats.records import AnnotationRecord, Box, Head, ImageRecord, LabelRecord
from webapp.datasets.formats.values import EMPTY

_DIGITS = 3
_CHUNK = 1 << 20


@dataclass
class _Part:
    """What one file will hold, on disk until the categories are known."""

    images: TextIO
    annotations: TextIO
    counts: dict[str, int] = field(default_factory=lambda: {"images": 0, "annotations": 0})

    def add(self, block: str, row: Mapping[str, Any]) -> None:
        file = self.images if block == "images" else self.annotations
        file.write((",\n" if self.counts[block] else "\n") + json.dumps(row))
        self.counts[block] += 1


def write_coco(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """Plain COCO; ids count from 1. A picture without annotations is one in which nothing is to be found."""
    classes = Classes(job.head.labels, first=1)
    with ExitStack() as files:
        parts: dict[str, _Part] = {}
        for record in images:
            if record.cannot_tell or record.annotations is None:
                job.leave_out(record.path, "not-labelled", "COCO takes a picture without labels for an empty one.")
                continue
            part = _part(parts, record.part, files)
            row, number = _image(job, record), job.counts["images"]
            size = size_of(record)
            if size is None:
                job.leave_out(record.path, "no-size", "Width and height are not known, so its boxes have no pixels.")
            part.add("images", {"id": number, **row, **_sides(size)})
            for animal in animals_of(record):
                job.counts["annotations"] += 1
                told: dict[str, Any] = {"id": job.counts["annotations"], "image_id": number}
                told["category_id"] = classes.number(animal.label)
                told |= _pixels(animal.box, size) if animal.box and size else {"area": 0}
                part.add("annotations", {**told, "iscrowd": int(bool(animal.flags.get("group_of"))), **_beside(animal)})
        categories = [_category(number, label) for number, label in classes.numbered()]
        _write_parts(job, parts, categories, {})


def write_camera_traps(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """COCO Camera Traps: ids are texts, category 0 is empty, names are in small letters."""
    classes = Classes(job.head.labels, first=1)
    with ExitStack() as files:
        parts: dict[str, _Part] = {}
        for record in images:
            part = _part(parts, record.part, files)
            size = size_of(record)
            row = _image(job, record)
            part.add("images", {"id": row["file_name"], **row, **_sides(size), **_trap(record)})
            if record.cannot_tell:
                job.leave_out(record.path, "cannot-tell", "The format has no word for it: written as not labelled.")
                continue
            for animal in _or_empty(record):
                job.counts["annotations"] += 1
                told = {"id": str(job.counts["annotations"]), "image_id": row["file_name"]}
                number = classes.number(animal.label) if animal.label != EMPTY else 0
                part.add("annotations", {**told, "category_id": number, **_seen(animal, size)})
        categories = [{"id": 0, "name": EMPTY}]
        for number, label in classes.numbered():
            small = label.name.lower()
            display = {} if small == label.name else {"display_name": label.name}
            categories.append({**_category(number, label), "name": small, **display})
        _write_parts(job, parts, categories, {"contributor": job.head.source})


def _or_empty(record: ImageRecord) -> list[AnnotationRecord]:
    if record.annotations is None:
        return []
    return animals_of(record) or [AnnotationRecord(EMPTY)]


def _part(parts: dict[str, _Part], name: str, files: ExitStack) -> _Part:
    if name not in parts:
        images, annotations = (files.enter_context(spooled_text()) for _ in range(2))
        parts[name] = _Part(images, annotations)
    return parts[name]


def _image(job: Job, record: ImageRecord) -> dict[str, Any]:
    name = job.place(f"images/{record.path}")
    job.copy(record, name)
    return {"file_name": name}


def _sides(size: tuple[int, int] | None) -> dict[str, int]:
    return {"width": size[0], "height": size[1]} if size else {}


def _pixels(box: Box, size: tuple[int, int]) -> dict[str, Any]:
    sides = [round(side * size[at % 2], _DIGITS) for at, side in enumerate(box)]
    return {"bbox": sides, "area": round(sides[2] * sides[3], _DIGITS)}


def _seen(animal: AnnotationRecord, size: tuple[int, int] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"count": animal.count, "sequence_level_annotation": False}
    if animal.box and size:
        told["bbox"] = _pixels(animal.box, size)["bbox"]
    elif animal.box:
        told["bbox_relative"] = [round(side, 6) for side in animal.box]
    return {**told, **_beside(replace(animal, count=1))}


def _beside(animal: AnnotationRecord) -> dict[str, Any]:
    """What COCO has no word for, where annotation tools keep it."""
    told: dict[str, Any] = {key: value for key, value in animal.flags.items() if value is not None}
    told |= animal.fields
    told |= {"individual": animal.individual} if animal.individual else {}
    told |= {"count": animal.count} if animal.count != 1 else {}
    return {"attributes": told} if told else {}


def _trap(record: ImageRecord) -> dict[str, Any]:
    told = {"location": record.site, "seq_id": record.sequence, "datetime": _local(record.captured_at)}
    return {key: value for key, value in told.items() if value}


def _local(captured_at: str) -> str:
    """`2021-05-01 06:00:00`: the camera's clock, without a zone."""
    return captured_at[:19].replace("T", " ")


def _category(number: int, label: LabelRecord) -> dict[str, Any]:
    told: dict[str, Any] = {"id": number, "name": label.name, "supercategory": label.parent}
    return {**told, "scientific_name": label.scientific_name} if label.scientific_name else told


def _write_parts(job: Job, parts: dict[str, _Part], categories: list[dict[str, Any]], more: Mapping[str, Any]) -> None:
    head: Head = job.head
    info = {"version": "1.0", "description": head.name or "Osprey", "license": head.licence, **more}
    for name, part in parts.items() or [("", None)]:
        with job.out.open_text(f"annotations/{name}.json" if name else "annotations.json") as text:
            text.write(f'{{"info": {json.dumps(info)},\n"categories": {json.dumps(categories)}')
            for block in ("images", "annotations"):
                text.write(f',\n"{block}": [')
                if part:
                    source = part.images if block == "images" else part.annotations
                    source.seek(0)
                    while chunk := source.read(_CHUNK):
                        text.write(chunk)
                text.write("]")
            text.write("}\n")
