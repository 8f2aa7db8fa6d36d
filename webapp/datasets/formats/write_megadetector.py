"""Writes results as MegaDetector does, format 1.6: what the machine saw, or people where they looked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from webapp.datasets.formats.job import Classes, Job, animals_of, option, spooled_text
from webapp.datasets.formats.megadetector import NEWEST
from webapp.datasets.formats.records import AnnotationRecord, Box, DetectionRecord, ImageRecord

SOURCES = ("both", "machine", "people")
_CATEGORIES = ("animal", "person", "vehicle")
_PEOPLE = {"person": "person", "human": "person", "people": "person", "vehicle": "vehicle", "car": "vehicle"}
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_CHUNK = 1 << 20


def write(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """`source`: machine, people (their verdicts with a confidence of 1), or both: people where they looked."""
    source = option(options, "source", "both", SOURCES)
    categories, classes = dict.fromkeys(_CATEGORIES), Classes(())
    with spooled_text() as rows:
        for record in images:
            detections = _detections(record, source)
            if detections is None and not record.failure:
                job.leave_out(record.path, "nobody-looked", "Neither a machine nor a person looked at it.")
                continue
            name = job.place(record.path)
            job.copy(record, name)
            entry: dict[str, Any] = {"file": name}
            if detections is None:
                entry |= {"failure": record.failure, "detections": None}
            else:
                categories |= dict.fromkeys(_category(one.category) for one in detections)
                told = [_row(one, list(categories), classes) for one in detections]
                entry |= _video(record, told) | {"detections": told}
                job.counts["detections"] += len(told)
            rows.write((",\n" if job.counts["images"] > 1 else "\n") + json.dumps(entry))
        rows.seek(0)
        with job.out.open_text("results.json") as text:
            text.write(json.dumps(_top(job, list(categories), classes))[:-1] + ',\n"images": [')
            while chunk := rows.read(_CHUNK):
                text.write(chunk)
            text.write("]}\n")


def _detections(record: ImageRecord, source: str) -> list[DetectionRecord] | None:
    """None where nobody of those asked for looked."""
    if source != "machine" and record.annotations is not None and not record.cannot_tell:
        return [_said(animal) for animal in animals_of(record)]
    return None if source == "people" or record.detections is None else list(record.detections)


def _said(animal: AnnotationRecord) -> DetectionRecord:
    category = _PEOPLE.get(animal.label.casefold(), "animal")
    scores = () if category != "animal" else ((animal.label, 1.0),)
    return DetectionRecord(category, 1.0, animal.box, scores)


def _category(name: str) -> str:
    folded = name.strip().casefold()
    return _PEOPLE.get(folded, folded) or "animal"


def _row(one: DetectionRecord, categories: list[str], classes: Classes) -> dict[str, Any]:
    told: dict[str, Any] = {
        "category": str(1 + categories.index(_category(one.category))),
        "conf": float(round(one.confidence, 4)),
        "bbox": [round(side, 6) for side in one.box or _WHOLE],
    }
    if one.scores:
        best_first = sorted(one.scores, key=lambda pair: -pair[1])
        told["classifications"] = [[str(classes.number(name)), float(round(score, 4))] for name, score in best_first]
    return told if one.frame_number is None else {**told, "frame_number": one.frame_number}


def _video(record: ImageRecord, told: list[dict[str, Any]]) -> dict[str, Any]:
    """A video needs all three or none: its rate, the frames looked at, and the frame of each detection."""
    rate, frames = record.more.get("frame_rate"), record.more.get("frames_processed")
    if rate and frames and all("frame_number" in one for one in told):
        return {"frame_rate": rate, "frames_processed": frames}
    for one in told:
        one.pop("frame_number", None)
    return {}


def _top(job: Job, categories: list[str], classes: Classes) -> dict[str, Any]:
    machine = job.head.machine
    info: dict[str, Any] = {"format_version": NEWEST}
    info["detector"] = (machine.detector if machine else "") or "unknown"
    info["detection_completion_time"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if machine:
        info |= {key: value for key, value in machine.facts.items() if key != "format_version"}
    if machine and machine.classifier:
        info["classifier"] = machine.classifier
    top: dict[str, Any] = {"info": info}
    top["detection_categories"] = {str(number): name for number, name in enumerate(categories, start=1)}
    top["classification_categories"] = {str(number): label.name for number, label in classes.numbered()}
    return top
