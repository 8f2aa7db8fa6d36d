"""Writes boxes for YOLO (data.yaml) and darknet (.data, .names, lists)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, TextIO

import yaml

from webapp.datasets.formats.box_rows import row_of
from webapp.datasets.formats.job import Classes, Job, animals_of, spooled_text
from webapp.datasets.formats.records import ImageRecord

_YOLO_PARTS = {"": "train", "validation": "val"}
_DARKNET_PARTS = {"": "train", "validation": "valid"}


def write_yolo(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """`images/<part>/` and `labels/<part>/`; pictures without a part train. Sub-folders keep equal names apart."""
    classes = Classes(job.head.labels)
    parts: dict[str, None] = {}
    for record in images:
        part = _YOLO_PARTS.get(record.part, record.part)
        if _write_labels(job, record, f"images/{part}/{record.path}", classes):
            parts.setdefault(part)
    # Trainers want a folder for val that is there; readers take what stands under train first.
    has_val = "val" in parts or "train" not in parts
    told = {"path": ".", "train": "images/train", "val": f"images/{'val' if has_val else 'train'}"}
    told |= {part: f"images/{part}" for part in parts}
    names = {number: label.name for number, label in classes.numbered()}
    text = yaml.safe_dump({**told, "names": names}, sort_keys=False, allow_unicode=True)
    said = "" if has_val else "# There is no validation part: val stands for the training pictures.\n"
    job.out.add_bytes("data.yaml", (said + text).encode())


def write_darknet(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """`root`: the folder where the export will lie, put before the paths of lists, which darknet opens as they are."""
    root = str(options.get("root") or "").rstrip("/")
    classes = Classes(job.head.labels)
    with ExitStack() as files:
        lists: dict[str, TextIO] = {}
        for record in images:
            name = _write_labels(job, record, f"images/{record.path}", classes)
            if name:
                part = _DARKNET_PARTS.get(record.part, record.part)
                if part not in lists:
                    lists[part] = files.enter_context(spooled_text())
                lists[part].write(f"{root}/{name}\n" if root else f"{name}\n")
        for part, kept in lists.items():
            kept.seek(0)
            with job.out.open_text(f"{part}.txt") as text:
                text.writelines(kept)
        names = [label.name for _, label in classes.numbered()]
        job.out.add_bytes("osprey.names", "".join(f"{name}\n" for name in names).encode())
        inside = f"{root}/" if root else ""
        listed = "".join(f"{part} = {inside}{part}.txt\n" for part in lists)
        data = f"classes = {len(names)}\n{listed}names = {inside}osprey.names\nbackup = {inside}backup/\n"
        job.out.add_bytes("osprey.data", data.encode())


def _write_labels(job: Job, record: ImageRecord, wanted: str, classes: Classes) -> str:
    """The picture and its label file; the name of the picture, or nothing when it stays out."""
    if record.annotations is None or record.cannot_tell:
        job.leave_out(record.path, "not-labelled", "A picture without labels would be taken for one without animals.")
        return ""
    animals = animals_of(record)
    boxed = [animal for animal in animals if animal.box]
    if len(boxed) < len(animals):
        job.leave_out(record.path, "no-box", "Its labels have no boxes, and the format holds nothing else.")
        return ""
    name = job.place(wanted, whole_stem=True)
    job.copy(record, name)
    rows = "".join(row_of(classes.number(animal.label), animal.box) for animal in boxed if animal.box)
    job.counts["boxes"] += len(boxed)
    stem = name.rpartition(".")[0] or name
    job.out.add_bytes(f"labels/{stem.removeprefix('images/')}.txt", rows.encode())
    return name
