"""COCO and COCO Camera Traps: annotations gathered by image whatever the order of the file, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webapp.datasets.formats.detect import json_files
from webapp.datasets.formats.json_stream import items, json_kind, pairs
from webapp.datasets.formats.paths import Pictures, pictures_for
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
    SOME_ENTRIES,
    clipped,
    finite,
    is_empty_word,
    known_options,
    label_record,
    moment,
    part_of,
)

_IMAGE_KEYS = ("file_name", "width", "height", "location", "seq_id", "datetime", "date", "split")
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
    annotations: int = 0


class _Faults:
    """What of one block of a file cannot be read: a few entries cost only themselves, many refuse the file."""

    def __init__(self, file: Path, kind: str) -> None:
        self._file, self._kind = file, kind
        self._entries = self._count = 0
        self._first = ""

    def next_entry(self) -> None:
        self._entries += 1

    def note(self, wrong: str) -> str:
        said = f"{self._kind} number {self._entries} {wrong}"
        self._count += 1
        self._first = self._first or said
        return said

    def told(self) -> list[str]:
        """A sentence for the report, where there is any; SourceError where there are too many."""
        if self._count * SOME_ENTRIES > self._entries:
            many = f" ({self._count:,} of {self._entries:,} cannot be read)" if self._count > 1 else ""
            raise SourceError(f"{self._file}: {self._first}{many}.")
        if not self._count:
            return []
        many = f"{self._count:,} {self._kind}s were left out, of which the first: " if self._count > 1 else ""
        return [f"{self._file.name}: {many}{self._first}{'' if many else ': left out'}."]


def open_coco(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `images`, the folder that file names start from. `root` is the file or a folder with one a part."""
    return _open(root, options, camera_traps=False)


def open_camera_traps(root: Path, options: Mapping[str, Any]) -> Source:
    """The same for camera traps: category 0 is empty, and a picture without annotations was not looked at."""
    return _open(root, options, camera_traps=True)


def _open(root: Path, options: Mapping[str, Any], *, camera_traps: bool) -> Source:
    known_options(options, "images")
    files = [root] if root.is_file() else [path for path in json_files(root) if json_kind(path).startswith("coco")]
    if not files:
        raise SourceError(f"There is no COCO file in {root} or in its folder annotations.")
    folder = root if root.is_dir() else root.parent
    together = _Spooled(camera_traps)
    for number, file in enumerate(files):
        _spool_file(file, number, part_of_file(file, len(files)), together)
    together.spool.finish()
    _say_orphans(together)
    names = (body["file_name"] for _, body, _ in together.spool.images())
    bases = ("images", *(path.stem for path in files), *(f"images/{path.stem}" for path in files), "data", "train")
    pictures = pictures_for(folder, names, images=str(options.get("images") or ""), bases=bases)
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
    return ReadSource(head, lambda measure: _read(together, pictures, measure))


def part_of_file(file: Path, files: int) -> str:
    """The part a file of several stands for: `instances_train2017.json`, `train/_annotations.coco.json`."""
    if files == 1:
        return ""
    words = file.stem.rstrip("0123456789").replace("-", "_").split("_")
    return next((part_of(word) for word in (*words, file.parent.name) if part_of(word)), "")


def _spool_file(file: Path, number: int, part: str, together: _Spooled) -> None:
    info = pairs(file, "info")
    together.info = together.info or {key: value for key, value in info.items() if isinstance(value, (str, int, float))}
    categories = _categories(file)
    together.labels.update({f"{number}/{key}": label for key, label in categories.items()})
    _spool_images(file, number, part, together)
    _spool_annotations(file, number, categories, together)


def _spool_images(file: Path, number: int, part: str, together: _Spooled) -> None:
    faults = _Faults(file, "image")
    for image in items(file, "images.item"):
        faults.next_entry()
        if not isinstance(image, dict) or "id" not in image or not isinstance(image.get("file_name"), str):
            faults.note("lacks an id or a file_name")
            continue
        body = {key: image[key] for key in _IMAGE_KEYS if image.get(key) is not None}
        if not together.spool.add_image(f"{number}/{image['id']}", {**body, "part": part}):
            raise SourceError(f"{file}: two images have the id {image['id']!r} ({image['file_name']}).")
        if body.get("location") is not None:
            together.sites.setdefault(str(body["location"]))
    together.notices += faults.told()


def _spool_annotations(file: Path, number: int, categories: Mapping[str, LabelRecord], together: _Spooled) -> None:
    """One of an unknown category stays beside its image as a fault, so that this image is not taken for empty."""
    faults = _Faults(file, "annotation")
    for annotation in items(file, "annotations.item"):
        faults.next_entry()
        if not isinstance(annotation, dict) or not {"image_id", "category_id"} <= set(annotation):
            faults.note("lacks its image_id or category_id")
            continue
        key, category = f"{number}/{annotation['image_id']}", str(annotation["category_id"])
        together.annotations += 1
        if category not in categories:
            unknown = f"is of category {annotation['category_id']!r}, which the file does not define"
            together.spool.add_row(key, {"fault": f"{file.name}: {faults.note(unknown)}"})
            continue
        body = {key: annotation[key] for key in _ANNOTATION_KEYS if annotation.get(key) is not None}
        together.spool.add_row(key, {**body, "label": categories[category].name})
    together.notices += faults.told()


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


def _read(together: _Spooled, pictures: Pictures, measure: bool) -> Iterator[ImageRecord]:
    unlabelled = together.camera_traps or not together.annotations
    for _, body, rows in together.spool.images():
        found = pictures.find(body["file_name"])
        boxed = measure and any("bbox" in row for row in rows)
        frame = frame_of(found.file, _size(body.get("width")), _size(body.get("height"))) if boxed else None
        problems = [found.problem] if found.problem else []
        annotations = []
        faults = [f"{row['fault']}." for row in rows if "fault" in row]
        problems += faults
        for row in rows:
            if "fault" in row or is_empty_word(row["label"]):
                continue
            try:
                annotations.append(replace(_annotation(row), box=_box(row, frame)))
            except (ValueError, TypeError) as error:
                annotations.append(_annotation(row))
                problems.append(f"{found.path}: {error}.")
        captured_at, problem = _time(body)
        unsaid = (unlabelled and not rows) or (faults and len(faults) == len(rows))
        upright = frame.upright if frame else (_size(body.get("width")), _size(body.get("height")))
        yield ImageRecord(
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


def _annotation(row: Mapping[str, Any]) -> AnnotationRecord:
    attributes = row.get("attributes") if isinstance(row.get("attributes"), dict) else {}
    said = {**{key: row[key] for key in ("viewpoint",) if key in row}, **(attributes or {})}
    flags = {key: value for key in _FLAGS if isinstance(value := said.pop(key, None), bool)}
    if row.get("iscrowd") == 1:
        flags["group_of"] = True
    named = [said.pop("individual", ""), *(row.get(key) for key in ("individual_id", "individual", "name"))]
    individual = next((name for name in named if name), "")
    count = said.pop("count", row.get("count"))
    sure = count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1
    return AnnotationRecord(str(row["label"]), count=sure, individual=str(individual), fields=said, flags=flags)


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
        return frame.share(x, y, width, height) if frame else None
    return None
