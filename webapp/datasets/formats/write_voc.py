"""Writes Pascal VOC: an XML file for each picture, corners in whole pixels that count from 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, TextIO
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from webapp.datasets.formats.job import Job, animals_of, size_of, spooled_text
from webapp.datasets.formats.records import AnnotationRecord, Box, ImageRecord

_PARTS = {"validation": "val"}


def write(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    with ExitStack() as files:
        lists: dict[str, TextIO] = {}
        for record in images:
            if record.annotations is None or record.cannot_tell:
                job.leave_out(record.path, "not-labelled", "A file without objects would say that there is nothing.")
                continue
            size = size_of(record)
            if size is None:
                job.leave_out(record.path, "no-size", "Width and height are not known, so its boxes have no pixels.")
                continue
            if any(animal.box is None for animal in animals_of(record)):
                job.leave_out(record.path, "no-box", "A label of it has no box: its file would say that it shows less.")
                continue
            name = job.place(record.path, whole_stem=True)
            job.copy(record, f"JPEGImages/{name}")
            stem = name.rpartition(".")[0] or name
            job.out.add_bytes(f"Annotations/{stem}.xml", _xml(record, name, size))
            job.counts["boxes"] += len(animals_of(record))
            part = _PARTS.get(record.part, record.part)
            if part and part not in lists:
                lists[part] = files.enter_context(spooled_text())
            if part:
                lists[part].write(f"{stem}\n")
        for part, kept in lists.items():
            kept.seek(0)
            with job.out.open_text(f"ImageSets/Main/{part}.txt") as text:
                text.writelines(kept)


def _xml(record: ImageRecord, name: str, size: tuple[int, int]) -> bytes:
    root = Element("annotation")
    folder, _, base = name.rpartition("/")
    SubElement(root, "folder").text = f"JPEGImages/{folder}" if folder else "JPEGImages"
    SubElement(root, "filename").text = base
    sides = SubElement(root, "size")
    for tag, number in (("width", size[0]), ("height", size[1]), ("depth", 3)):
        SubElement(sides, tag).text = str(number)
    SubElement(root, "segmented").text = "0"
    for animal in animals_of(record):
        if animal.box is not None:
            _add_object(root, animal, animal.box, size)
    indent(root)
    content: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _add_object(root: Element, animal: AnnotationRecord, box: Box, size: tuple[int, int]) -> None:
    thing = SubElement(root, "object")
    SubElement(thing, "name").text = _printable(animal.label)
    SubElement(thing, "pose").text = _printable(str(animal.fields.get("pose") or "Unspecified"))
    for tag in ("truncated", "occluded"):
        SubElement(thing, tag).text = str(int(bool(animal.flags.get(tag))))
    SubElement(thing, "difficult").text = _printable(str(animal.fields.get("difficult") or "0"))
    corners = SubElement(thing, "bndbox")
    x, y, width, height = box
    left, top = round(x * size[0]), round(y * size[1])
    right, bottom = max(left + 1, round((x + width) * size[0])), max(top + 1, round((y + height) * size[1]))
    for tag, number in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        SubElement(corners, tag).text = str(number)


def _printable(text: str) -> str:
    """XML 1.0 has no signs for control characters."""
    return "".join(sign for sign in text if sign >= " " and not "\ud800" <= sign <= "\udfff")
