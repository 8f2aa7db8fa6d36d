"""Pascal VOC: an XML file for each picture, read without entities, so that none can swell or reach out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from webapp.datasets.formats.outlines import around_turned
from webapp.datasets.formats.paths import IMAGE_ENDINGS, Found, Pictures, pictures_for, walk
from webapp.datasets.formats.pixels import Frame, frame_of
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import AnnotationRecord, Box, Head, ImageRecord, Source, SourceError
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import finite, is_empty_word, known_options, label_records, part_of

_FOLDERS = ("JPEGImages", "images", "Images")
_FLAGS = ("occluded", "truncated")
_LARGEST = 10 << 20
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_TURNED = ("cx", "cy", "w", "h", "angle")


class _BadXml(Exception):
    """One file that is none; the others are read all the same."""


def open_voc(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `images`, the folder of the pictures. `root` holds `Annotations/`, or XML beside the pictures."""
    known_options(options, "images")
    if not root.is_dir():
        raise SourceError(f"{root} is no folder: Pascal VOC is read from the folder that holds Annotations/.")
    xmls = next((name for name in ("Annotations", "annotations") if (root / name).is_dir()), "")
    images = str(options.get("images") or next((name for name in _FOLDERS if (root / name).is_dir()), xmls))
    if next(_xml_files(root / xmls), None) is None:
        raise SourceError(f"There are no XML files in {root / xmls}.")
    parts = _parts(root)
    head = Head("voc", name=root.name, labels=label_records(sorted(_words(root / xmls))))
    return ReadSource(head, lambda measure: _read(root, xmls, images, parts, measure))


def _xml_files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".xml" and path.is_file())


def _words(folder: Path) -> set[str]:
    """The names of all objects; files that cannot be read are told of when their picture is due."""
    found: set[str] = set()
    for file in _xml_files(folder):
        try:
            found |= {_text(thing, "name") for thing in _parsed(file).iter("object")}
        except _BadXml:
            continue
    return found - {""}


def _parsed(file: Path) -> Element:
    if file.stat().st_size > _LARGEST:
        raise _BadXml(f"{file.name} has more than {_LARGEST >> 20} MB and is not read.")
    try:
        tree = defusedxml.ElementTree.parse(file).getroot()
    except ParseError as error:
        raise _BadXml(f"{file.name}, line {error.position[0]}: no XML: {error}.") from error
    except DefusedXmlException as error:
        raise _BadXml(f"{file.name} defines entities, which no annotation needs, and is not read.") from error
    except (ValueError, LookupError) as error:
        raise _BadXml(f"{file.name} cannot be read: {error}.") from error
    if tree is None:
        raise _BadXml(f"{file.name} is empty.")
    return tree


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _parts(root: Path) -> Spool:
    """Which part a picture is in, by the lists `train.txt`, `val.txt` and `test.txt`."""
    spool = Spool()
    for file in sorted((root / "ImageSets" / "Main").glob("*.txt")):
        if part := part_of(file.stem):
            with file.open(encoding="utf-8", errors="replace") as text:
                for line in text:
                    spool.add_row(line.strip(), part)
    spool.finish()
    return spool


def _read(root: Path, xmls: str, images: str, parts: Spool, measure: bool) -> Iterator[ImageRecord]:
    """The annotated pictures, then those without an XML file."""
    pictures = pictures_for(root, (), images=images)
    for file in _xml_files(root / xmls):
        stem = file.relative_to(root / xmls).with_suffix("").as_posix()
        part = _part(parts, stem)
        try:
            tree = _parsed(file)
        except _BadXml as error:
            found = _picture(pictures, stem, None)
            yield ImageRecord(found.path, found.file, part, problem=str(error))
            continue
        yield _record(_picture(pictures, stem, tree), tree, part, measure)
    under = pictures.root / pictures.base
    for path in walk(under):
        stem = PurePosixPath(path).with_suffix("").as_posix()
        if not (root / xmls / f"{stem}.xml").is_file():
            found = pictures.find(path)
            yield ImageRecord(found.path, found.file, _part(parts, stem), problem=found.problem)


def _part(parts: Spool, stem: str) -> str:
    """By the lists, else by a folder of that name."""
    listed = next(iter(parts.rows_of(stem)), "")
    return listed or next((part for folder in stem.split("/")[:-1] if (part := part_of(folder))), "")


def _picture(pictures: Pictures, stem: str, tree: Element | None) -> Found:
    """The picture of an XML file: by its own name, by the name it states, else as missing."""
    for ending in (".jpg", ".JPG", ".jpeg", ".png", *sorted(IMAGE_ENDINGS)):
        if (pictures.root / pictures.base / f"{stem}{ending}").is_file():
            return pictures.find(f"{stem}{ending}")
    stated = _text(tree, "filename") if tree is not None else ""
    folder = stem.rpartition("/")[0]
    return pictures.find(f"{folder}/{stated}" if folder and stated else stated or f"{stem}.jpg")


def _record(found: Found, tree: Element, part: str, measure: bool) -> ImageRecord:
    width, height = (_whole(_text(tree, f"size/{side}")) for side in ("width", "height"))
    boxed = measure and any(tree.find(f"object/{kind}") is not None for kind in ("bndbox", "robndbox"))
    frame = frame_of(found.file, width, height) if boxed else None
    annotations, problems = [], [found.problem] if found.problem else []
    for thing in tree.iter("object"):
        name, box = _text(thing, "name"), None
        if not name or is_empty_word(name):
            continue
        try:
            box = _box(thing, frame)
        except ValueError as error:
            problems.append(f"{found.path}: {error}.")
        flags = {key: _text(thing, key) == "1" for key in _FLAGS if _text(thing, key) in ("0", "1")}
        annotations.append(AnnotationRecord(name, box, flags=flags, fields=_fields(thing)))
    size = frame.upright if frame else (width, height)
    return ImageRecord(
        found.path, found.file, part, tuple(annotations), width=size[0], height=size[1], problem=" ".join(problems)
    )


def _fields(thing: Element) -> dict[str, str]:
    told = {key: _text(thing, key) for key in ("pose", "difficult")}
    told |= {_text(one, "name"): _text(one, "value") for one in thing.iterfind("attributes/attribute")}  # of CVAT
    told.pop("rotation", None)
    return {key: value for key, value in told.items() if value.casefold() not in ("", "0", "unspecified", "unknown")}


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) > 0 else None


def _box(thing: Element, frame: Frame | None) -> Box | None:
    """Corners count from 1 and belong to the box; where one is 0 or a fraction, they are edges instead."""
    if frame is not None and thing.find("robndbox") is not None:  # roLabelImg: about its middle, turned
        across, down, wide, high, angle = (finite(_text(thing, f"robndbox/{side}")) for side in _TURNED)
        return frame.share(*around_turned(across - wide / 2, down - high / 2, wide, high, angle))
    if frame is None or thing.find("bndbox") is None:
        return None
    texts = [_text(thing, f"bndbox/{side}") for side in _SIDES]
    x, y, right, bottom = (finite(text) for text in texts)
    if all(text.isdecimal() and text != "0" for text in texts):
        x, y = x - 1, y - 1
    return frame.share(x, y, right - x, bottom - y)
