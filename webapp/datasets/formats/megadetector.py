"""Results of MegaDetector, format 1.0 to 1.6: what a machine saw, never labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webapp.datasets.formats.json_stream import items, json_kind, pairs
from webapp.datasets.formats.paths import Pictures, pictures_for
from webapp.datasets.formats.reading import ReadSource
from webapp.datasets.formats.records import (
    DetectionRecord,
    Head,
    ImageRecord,
    LabelRecord,
    MachineRecord,
    Source,
    SourceError,
)
from webapp.datasets.formats.values import clipped, finite, known_options, label_record, moment, whole

_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f-]{27}$")
NEWEST = "1.6"
_KNOWN = ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5", NEWEST)


def open_megadetector(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `images`, the folder that file names start from. `root` is the JSON, or a folder that holds one."""
    known_options(options, "images")
    file = the_json_in(root, "megadetector")
    info = pairs(file, "info")
    categories = _words(file, "detection_categories")
    if not categories:
        raise SourceError(f"{file} names no detection_categories: it is no MegaDetector file, or not a whole one.")
    classes = _words(file, "classification_categories")
    latin = {key: str(text) for key, text in pairs(file, "classification_category_descriptions").items()}
    folder = file.parent if root.is_file() else root
    names = (str(image.get("file", "")) for image in items(file, "images.item"))
    pictures = pictures_for(folder, names, images=str(options.get("images") or ""), bases=("images", "data"))
    labels = [label_record(name) for name in categories.values()]
    labels += [_class_record(name, latin.get(key, "")) for key, name in classes.items()]
    head = Head(
        format="megadetector",
        name=file.stem,
        labels=tuple({label.name: label for label in labels}.values()),
        machine=machine_of(info),
        notices=_version_notice(file, str(info.get("format_version", ""))),
        more={"detection_categories": categories, "classification_categories": classes},
    )
    return ReadSource(head, lambda _measure: _read(file, pictures, categories, classes))


def the_json_in(root: Path, kind: str) -> Path:
    """The one JSON file of a kind; SourceError where there is none, or more than one."""
    if root.is_file():
        return root
    found = [path for path in sorted(root.glob("*.json")) if json_kind(path) == kind]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found) or "none"
    raise SourceError(f"{root} should hold one {kind} file; found: {names}. Import the file by its own path.")


def machine_of(info: Mapping[str, Any]) -> MachineRecord:
    return MachineRecord(
        detector=_name(info.get("detector")),
        classifier=_name(info.get("classifier")),
        facts={key: value for key, value in info.items() if isinstance(value, (str, int, float, dict))},
    )


def _name(value: object) -> str:
    """The base name of weights, without the folders of the machine that ran them."""
    return str(value or "").replace("\\", "/").rstrip("/").rpartition("/")[2]


def _words(file: Path, key: str) -> dict[str, str]:
    return {str(number): str(name) for number, name in pairs(file, key).items()}


def _class_record(name: str, taxonomy: str) -> LabelRecord:
    """A taxonomy ends with genus and species; that of SpeciesNet begins with an id and ends with the common name."""
    levels = [level.strip() for level in taxonomy.split(";")]
    levels = levels[:-1] if _ID.match(levels[0]) else levels
    species = " ".join(levels[-2:]).strip().capitalize() if len(levels) >= 6 and levels[-1] else ""
    return label_record(name, scientific_name=species)


def _version_notice(file: Path, version: str) -> tuple[str, ...]:
    if version in _KNOWN or not version:
        return ()
    return (f"{file.name} says format {version}; formats up to {NEWEST} are known. What was understood is read.",)


def _read(
    file: Path, pictures: Pictures, categories: Mapping[str, str], classes: Mapping[str, str]
) -> Iterator[ImageRecord]:
    for number, image in enumerate(items(file, "images.item")):
        name = image.get("file") if isinstance(image, dict) else None
        if not isinstance(name, str):
            raise SourceError(f"{file}: image number {number + 1} names no file.")
        found = pictures.find(name)
        listed, failure = image.get("detections"), str(image.get("failure") or "")
        detections, problems = [], [found.problem] if found.problem else []
        for detection in listed or ():
            try:
                detections.append(_detection(detection, categories, classes))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{found.path}: a detection was left out: {error}.")
        yield ImageRecord(
            found.path,
            found.file,
            width=_side(image.get("width")),
            height=_side(image.get("height")),
            captured_at=_time(image.get("datetime")),
            detections=None if failure or listed is None else tuple(detections),
            failure=failure,
            problem=" ".join(problems),
        )


def _detection(
    detection: Mapping[str, Any], categories: Mapping[str, str], classes: Mapping[str, str]
) -> DetectionRecord:
    key = str(detection["category"])
    if key not in categories:
        raise ValueError(f"category {key} is not defined")
    x, y, width, height = (finite(side) for side in detection["bbox"])
    scores = [(classes[str(word)], finite(score)) for word, score in detection.get("classifications") or ()]
    frame = detection.get("frame_number")
    return DetectionRecord(
        categories[key],
        finite(detection["conf"]),
        clipped(x, y, width, height),
        tuple(sorted(scores, key=lambda pair: -pair[1])),
        None if frame is None else whole(frame),
    )


def _side(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _time(value: object) -> str:
    try:
        return moment(str(value or ""))
    except ValueError:
        return ""
