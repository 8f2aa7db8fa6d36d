"""COCO and COCO Camera Traps: annotations gathered by image whatever the order of the file, in flat memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from webapp.datasets.formats.detect import json_files
from webapp.datasets.formats.faults import Faults
from webapp.datasets.formats.json_stream import items, json_kind, pairs
from webapp.datasets.formats.outlines import around, around_turned
from webapp.datasets.formats.paths import MOST_BASES, PROBES, Pictures, folders_in, pictures_for
from webapp.datasets.formats.pixels import Frame, frame_of
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import (
    AnnotationRecord,
    Box,
    Head,
    ImageRecord,
    LabelRecord,
    SiteRecord,
    Source,
    SourceError,
)
from webapp.datasets.formats.spool import Spool
from webapp.datasets.formats.values import (
    clipped,
    finite,
    is_empty_word,
    known_options,
    label_record,
    moment,
    part_of,
    whole,
)

_IMAGE_KEYS = ("file_name", "width", "height", "location", "seq_id", "datetime", "date", "split")
_CAPTURED = "date_captured"
"""The time of capture in camera traps; in plain COCO it is that of a download or an export."""
_ANNOTATION_KEYS = (
    *("bbox", "bbox_relative", "count", "attributes", "iscrowd"),
    *("individual", "individual_id", "name", "viewpoint"),
)
_FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")


@dataclass
class _Spooled:
    """The files of a source, put in order: the words they use and what a person should know of them."""

    camera_traps: bool
    spool: Spool = field(default_factory=Spool)
    labels: dict[str, LabelRecord] = field(default_factory=dict)
    sites: dict[str, None] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    pictures: list[Pictures] = field(default_factory=list)
    annotations: list[int] = field(default_factory=list)
    outlines: int = 0
    points: int = 0


def open_coco(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `images`, the folder that file names start from. `root` is the file or a folder with one a part."""
    return _open(root, options, camera_traps=False)


def open_camera_traps(root: Path, options: Mapping[str, Any]) -> Source:
    """The same for camera traps: category 0 is empty, and a picture without annotations was not looked at."""
    return _open(root, options, camera_traps=True)


def _open(root: Path, options: Mapping[str, Any], *, camera_traps: bool) -> Source:
    known_options(options, "images")
    listed = [root] if root.is_file() else [path for path in json_files(root) if json_kind(path).startswith("coco")]
    files = [path for path in listed if len(listed) == 1 or not _of_other_things(path)]
    if not files:
        raise SourceError(f"There is no COCO file in {root} or in its folder annotations.")
    folder = root if root.is_dir() else root.parent
    together = _Spooled(camera_traps)
    together.notices += [
        f"{path.name} holds no boxes or labels and is not read." for path in listed if path not in files
    ]
    for number, file in enumerate(files):
        names = _spool_file(file, number, part_of_file(file, len(files)), together)
        bases = _bases(folder, file)
        found = pictures_for(folder, names, images=str(options.get("images") or ""), bases=bases)
        together.pictures.append(found)
    together.spool.finish()
    _say_orphans(together)
    _say_what_is_not_kept(together)
    if len(files) > 1:
        _merge(together)
    head = Head(
        format="coco-ct" if camera_traps else "coco",
        name=str(together.info.get("description") or files[0].stem),
        source=str(together.info.get("url") or together.info.get("contributor") or ""),
        licence=str(together.info.get("license") or ""),
        labels=tuple({label.name: label for label in together.labels.values()}.values()),
        sites=tuple(SiteRecord(site) for site in together.sites),
        notices=tuple(together.notices),
        more={"info": together.info},
    )
    return ReadSource(head, lambda measure: _read(together, measure))


def _of_other_things(file: Path) -> bool:
    """Captions and panoptic maps lie beside the boxes of COCO's own sets."""
    first = next(items(file, "annotations.item"), None)
    return isinstance(first, dict) and "category_id" not in first and bool({"caption", "segments_info"} & set(first))


def _bases(folder: Path, file: Path) -> Iterator[str]:
    """Where names of pictures may start from: beside their own file, then in the folders where tools put them."""
    beside = file.parent.relative_to(folder).as_posix()
    yield "" if beside == "." else beside
    yield from ("images", file.stem, f"images/{file.stem}")
    words = file.stem.replace("-", "_").split("_")
    yield from (f"{place}{word}" for word in words for place in ("images/", ""))
    yield from ("data", "train")
    yield from islice((name for under in ("", "images") for name in folders_in(folder, under)), MOST_BASES)


def part_of_file(file: Path, files: int) -> str:
    """The part a file of several stands for: `instances_train2017.json`, `train/_annotations.coco.json`."""
    if files == 1:
        return ""
    words = file.stem.rstrip("0123456789").replace("-", "_").split("_")
    return next((part_of(word) for word in (*words, file.parent.name) if part_of(word)), "")


def _spool_file(file: Path, number: int, part: str, together: _Spooled) -> list[str]:
    """The names of its first pictures."""
    info = pairs(file, "info")
    together.info = together.info or {key: value for key, value in info.items() if isinstance(value, (str, int, float))}
    categories = _categories(file)
    together.labels.update({f"{number}/{key}": label for key, label in categories.items()})
    names = _spool_images(file, number, part, together)
    _spool_annotations(file, number, categories, together)
    return names


def _spool_images(file: Path, number: int, part: str, together: _Spooled) -> list[str]:
    faults = Faults(file, "image")
    names: list[str] = []
    for image in items(file, "images.item"):
        faults.next_entry()
        if not isinstance(image, dict) or "id" not in image or not isinstance(image.get("file_name"), str):
            faults.note("lacks an id or a file_name")
            continue
        body = {key: image[key] for key in _IMAGE_KEYS if image.get(key) not in (None, "")}
        if together.camera_traps and image.get(_CAPTURED):
            body.setdefault("datetime", image[_CAPTURED])
        if not together.spool.add_image(f"{number}/{image['id']}", {**body, "part": part, "of": number}):
            raise SourceError(f"{file}: two images have the id {image['id']!r} ({image['file_name']}).")
        if "location" in body:
            together.sites.setdefault(str(body["location"]))
        if len(names) < PROBES:
            names.append(image["file_name"])
    together.notices += faults.told()
    return names


def _spool_annotations(file: Path, number: int, categories: Mapping[str, LabelRecord], together: _Spooled) -> None:
    """One of an unknown category stays beside its image as a fault, so that this image is not taken for empty."""
    faults = Faults(file, "annotation")
    together.annotations.append(0)
    for annotation in items(file, "annotations.item"):
        faults.next_entry()
        if not isinstance(annotation, dict) or not {"image_id", "category_id"} <= set(annotation):
            faults.note("lacks its image_id or category_id")
            continue
        key, category = f"{number}/{annotation['image_id']}", str(annotation["category_id"])
        together.annotations[number] += 1
        if category not in categories:
            unknown = f"is of category {annotation['category_id']!r}, which the file does not define"
            together.spool.add_row(key, {"fault": f"{file.name}: {faults.note(unknown)}"})
            continue
        body = {key: annotation[key] for key in _ANNOTATION_KEYS if annotation.get(key) is not None}
        together.outlines += bool(annotation.get("segmentation"))
        together.points += bool(annotation.get("keypoints"))
        if not (body.get("bbox") or body.get("bbox_relative")):
            body |= _of_outline(annotation)
        together.spool.add_row(key, {**body, "label": categories[category].name})
    together.notices += faults.told()


def _of_outline(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """The box around its outline, where only that is given; else why there is none."""
    try:
        box = around(annotation.get("segmentation"))
    except (ValueError, TypeError) as error:
        return {"wrong": str(error)}
    return {"bbox": list(box)} if box else {}


def _say_what_is_not_kept(together: _Spooled) -> None:
    """Boxes are kept; what other tools draw beside them is not, and nobody should have to find that out."""
    if together.outlines:
        together.notices.append(
            f"Outlines and masks are not kept, only the boxes around them; annotations: {together.outlines:,}."
        )
    if together.points:
        together.notices.append(f"Keypoints are not kept; annotations that have some: {together.points:,}.")


def _merge(together: _Spooled) -> None:
    """Files of one set may speak of the same pictures, as one with labels and one with boxes: gather by picture."""
    merged = Spool()
    for _, body, rows in together.spool.images():
        number = body["of"]
        path = together.pictures[number].find(body["file_name"]).path
        merged.add_image(path, body)
        if together.annotations[number]:
            merged.add_row(path, {"looked": True})
        for row in rows:
            merged.add_row(path, row)
    merged.finish()
    together.spool = merged


def _told_once(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What several files say of one picture, without what one says twice or another says with a box."""
    boxed = {row.get("label") for row in rows if row.get("bbox") or row.get("bbox_relative")}
    found: list[dict[str, Any]] = []
    for row in rows:
        has_box = bool(row.get("bbox") or row.get("bbox_relative"))
        if row not in found and (has_box or "label" not in row or row["label"] not in boxed):
            found.append(row)
    return found


def _categories(file: Path) -> dict[str, LabelRecord]:
    found: dict[str, LabelRecord] = {}
    listed = [one for one in items(file, "categories.item") if isinstance(one, dict)]
    names = {str(category.get("name")) for category in listed}
    for category in listed:
        if not category.get("name") or "id" not in category:
            raise SourceError(f"{file}: a category lacks its id or name: {category}.")
        name, shown = str(category["name"]), str(category.get("display_name", ""))
        above = str(category.get("supercategory", ""))
        found[str(category["id"])] = label_record(
            shown if shown.casefold() == name.casefold() else name,
            scientific_name=str(category.get("scientific_name", "")),
            parent=above if above in names and above != name else "",
        )
    return found


def _say_orphans(together: _Spooled) -> None:
    count, keys = together.spool.orphans()
    if count:
        some = ", ".join(key.partition("/")[2] for key in keys)
        words = "1 annotation belongs" if count == 1 else f"{count:,} annotations belong"
        together.notices.append(f"{words} to images that are not listed, such as {some}: left out.")
    if not together.spool.count():
        raise SourceError("The file lists no images.")


def _read(together: _Spooled, measure: bool) -> Iterator[ImageRecord]:
    several = len(together.pictures) > 1
    for _, body, rows in together.spool.images():
        looked = any("looked" in row for row in rows) if several else bool(together.annotations[0])
        told = _told_once([row for row in rows if "looked" not in row]) if several else rows
        yield _record(together, body, told, looked and not together.camera_traps, measure)


def _record(
    together: _Spooled, body: Mapping[str, Any], rows: Sequence[dict[str, Any]], looked: bool, measure: bool
) -> ImageRecord:
    """`looked`: without annotations of its own the picture is empty, because others of its file have some."""
    found = together.pictures[body["of"]].find(body["file_name"])
    boxed = measure and any("bbox" in row for row in rows)
    frame = frame_of(found.file, _size(body.get("width")), _size(body.get("height"))) if boxed else None
    problems = [found.problem] if found.problem else []
    annotations = []
    faults = [f"{row['fault']}." for row in rows if "fault" in row]
    problems += faults
    for row in rows:
        if "fault" in row or is_empty_word(row["label"]):
            continue
        said, wrong = _annotation(row)
        try:
            said = replace(said, box=_box(row, frame))
        except (ValueError, TypeError) as error:
            wrong.append(f"{error}")
        annotations.append(said)
        problems += [f"{found.path}: {one}." for one in wrong]
    captured_at, problem = _time(body)
    unsaid = not rows and not looked or (faults and len(faults) == len(rows))
    upright = frame.upright if frame else (_size(body.get("width")), _size(body.get("height")))
    return ImageRecord(
        path=found.path,
        file=found.file,
        part=body["part"] or part_of(str(body.get("split", ""))) or str(body.get("split", "")),
        annotations=None if unsaid else tuple(annotations),
        width=upright[0],
        height=upright[1],
        site=str(body.get("location", "")),
        sequence=str(body.get("seq_id", "")),
        captured_at=captured_at,
        problem=" ".join([*problems, problem] if problem else problems),
    )


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _time(body: Mapping[str, Any]) -> tuple[str, str]:
    written = str(body.get("datetime") or body.get("date") or "")
    try:
        return moment(written), ""
    except ValueError:
        return "", f"{body['file_name']}: {written!r} is no time."


def _annotation(row: Mapping[str, Any]) -> tuple[AnnotationRecord, list[str]]:
    """And what of it cannot be read."""
    attributes = row.get("attributes") if isinstance(row.get("attributes"), dict) else {}
    said = {**{key: row[key] for key in ("viewpoint",) if key in row}, **(attributes or {})}
    said.pop("rotation", None)  # the box is laid around the turned one
    flags = {key: value for key in _FLAGS if isinstance(value := said.pop(key, None), bool)}
    if row.get("iscrowd") == 1:
        flags["group_of"] = True
    named = [said.pop("individual", ""), *(row.get(key) for key in ("individual_id", "individual", "name"))]
    individual = next((name for name in named if name), "")
    count, wrong = said.pop("count", row.get("count")), [row["wrong"]] if "wrong" in row else []
    try:
        sure = 1 if count is None else max(1, whole(count))
    except ValueError as error:
        sure = 1
        wrong.append(f"the count {error}, so 1 is kept")
    said_so = AnnotationRecord(str(row["label"]), count=sure, individual=str(individual), fields=said, flags=flags)
    return said_so, wrong


def _box(row: Mapping[str, Any], frame: Frame | None) -> Box | None:
    for key in ("bbox_relative", "bbox"):
        sides = row.get(key)
        if not sides:
            continue
        if not isinstance(sides, list) or len(sides) != 4:
            raise ValueError(f"the box {sides} does not have four numbers")
        x, y, width, height = (finite(side) for side in sides)
        if key == "bbox_relative":
            return clipped(x, y, width, height)
        turned = math.radians(_rotation(row))
        return frame.share(*around_turned(x, y, width, height, turned)) if frame else None
    return None


def _rotation(row: Mapping[str, Any]) -> float:
    """Degrees by which CVAT says that a box is turned about its middle."""
    attributes = row.get("attributes")
    turned = attributes.get("rotation") if isinstance(attributes, dict) else None
    return float(turned) if isinstance(turned, (int, float)) else 0.0
