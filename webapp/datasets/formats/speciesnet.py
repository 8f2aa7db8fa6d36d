"""SpeciesNet's predictions.json: boxes and the species of each picture, as a machine saw them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webapp.datasets.formats.json_stream import items
from webapp.datasets.formats.megadetector import the_json_in
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
from webapp.datasets.formats.values import clipped, finite, known_options, label_record

_CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}


def open_speciesnet(root: Path, options: Mapping[str, Any]) -> Source:
    """Options: `images`, the folder that file paths start from. `root` is the JSON, or a folder that holds one."""
    known_options(options, "images")
    file = the_json_in(root, "speciesnet")
    words: dict[str, LabelRecord] = {name: label_record(name) for name in _CATEGORIES.values()}
    versions: set[str] = set()
    for entry in items(file, "predictions.item"):
        if isinstance(entry, dict):
            versions.add(str(entry.get("model_version") or ""))
            for taxonomy in [*_classes(entry), str(entry.get("prediction") or "")]:
                record = _record(taxonomy)
                words.setdefault(record.name, record)
    words.pop("", None)
    folder = file.parent if root.is_file() else root
    names = (str(entry.get("filepath", "")) for entry in items(file, "predictions.item") if isinstance(entry, dict))
    pictures = pictures_for(folder, names, images=str(options.get("images") or ""), bases=("images", "data"))
    version = ", ".join(sorted(versions - {""}))
    machine = MachineRecord("speciesnet detector", f"speciesnet {version}".strip(), {"model_version": version})
    head = Head("speciesnet", name=file.stem, labels=tuple(words.values()), machine=machine)
    return ReadSource(head, lambda _measure: _read(file, pictures))


def _classes(entry: Mapping[str, Any]) -> list[str]:
    found = entry.get("classifications")
    return [str(name) for name in found.get("classes") or ()] if isinstance(found, dict) else []


def _record(taxonomy: str) -> LabelRecord:
    """`<id>;class;order;family;genus;species;common name`: the label is the common name."""
    levels = [level.strip() for level in taxonomy.split(";")]
    if len(levels) != 7:
        return label_record(taxonomy.strip())
    latin = " ".join(level for level in levels[4:6] if level).capitalize()
    name = levels[6] or latin or next((level for level in reversed(levels[1:4]) if level), levels[0])
    return label_record(name, scientific_name=latin, outside_ids={"speciesnet": levels[0]})


def _read(file: Path, pictures: Pictures) -> Iterator[ImageRecord]:
    for number, entry in enumerate(items(file, "predictions.item")):
        if not isinstance(entry, dict) or not isinstance(entry.get("filepath"), str):
            raise SourceError(f"{file}: prediction number {number + 1} names no file.")
        found = pictures.find(entry["filepath"])
        failed = [str(part).casefold() for part in entry.get("failures") or ()]
        problems = [found.problem] if found.problem else []
        detections: tuple[DetectionRecord, ...] | None = None
        try:
            detections = _detections(entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{found.path}: its prediction cannot be read: {error}.")
        failure = f"SpeciesNet failed in: {', '.join(failed)}." if failed and not detections else ""
        yield ImageRecord(
            found.path,
            found.file,
            detections=None if failure else detections,
            failure=failure,
            problem=" ".join(problems),
            more={"prediction_source": str(entry.get("prediction_source") or "")},
        )


def _detections(entry: Mapping[str, Any]) -> tuple[DetectionRecord, ...]:
    """The boxes, best first; the species are those of the best box, whose crop the classifier was shown."""
    scores = _scores(entry)
    listed = sorted(entry.get("detections") or (), key=lambda one: -finite(one["conf"]))
    found = []
    for at, one in enumerate(listed):
        category = str(one.get("label") or _CATEGORIES.get(str(one["category"]), "animal"))
        category = "person" if category == "human" else category
        x, y, width, height = (finite(side) for side in one["bbox"])
        found.append(DetectionRecord(category, finite(one["conf"]), clipped(x, y, width, height), () if at else scores))
    if not found and scores:
        found.append(DetectionRecord("animal", scores[0][1], None, scores))
    return tuple(found)


def _scores(entry: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """The answer that SpeciesNet settled on first, then what its classifier alone thought."""
    classes = entry.get("classifications") or {}
    pairs = zip(classes.get("classes") or (), classes.get("scores") or (), strict=True)
    scores = {_record(str(name)).name: finite(score) for name, score in pairs}
    settled = str(entry.get("prediction") or "")
    if not settled:
        return tuple(scores.items())
    name = _record(settled).name
    return ((name, finite(entry.get("prediction_score") or scores.pop(name, 0.0))), *_without(scores, name))


def _without(scores: Mapping[str, float], name: str) -> Iterator[tuple[str, float]]:
    return ((other, score) for other, score in scores.items() if other != name)
