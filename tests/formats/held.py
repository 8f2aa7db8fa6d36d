"""Records that every format is asked to hold, and what each of them can."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.datasets_made import picture, put
from webapp.datasets.formats import opening, writing
from webapp.datasets.formats.output import FolderOutput
from webapp.datasets.formats.records import (
    AnnotationRecord,
    Box,
    Head,
    ImageRecord,
    LabelRecord,
    SiteRecord,
    Source,
    VisitRecord,
)

SIZE = (64, 48)
HEAD = Head(
    format="tests",
    name="Held by all",
    labels=(
        LabelRecord("Red Fox", "Vulpes vulpes"),
        LabelRecord("Wels (big)", "Silurus glanis"),
        LabelRecord("no-latin"),
    ),
    sites=(SiteRecord("Ridge 1", 61.5, -10.25, 100, "Europe/Oslo"), SiteRecord("=Lake", -3.5, -60.0)),
    visits=(
        VisitRecord("spring", "Ridge 1", datetime(2021, 3, 1, tzinfo=UTC), datetime(2021, 6, 1, tzinfo=UTC), "cam-7"),
        VisitRecord("spring", "=Lake"),
    ),
)
_BOXES: list[Box] = [(0.0, 0.0, 1.0, 1.0), (0.126, 0.251, 0.333, 0.29), (0.9, 0.05, 0.1, 0.7)]

HOLDS: Mapping[str, frozenset[str]] = {
    "imagefolder": frozenset({"labels", "parts"}),
    "csv": frozenset({"labels", "parts", "boxes", "sites", "times", "visits", "sequences", "animals", "coordinates"}),
    "coco": frozenset({"labels", "parts", "boxes", "animals"}),
    "coco-ct": frozenset({"labels", "parts", "boxes", "sites", "times", "sequences", "animals"}),
    "yolo": frozenset({"labels", "parts", "boxes"}),
    "darknet": frozenset({"labels", "parts", "boxes"}),
    "voc": frozenset({"labels", "parts", "boxes"}),
    "megadetector": frozenset({"labels", "boxes"}),
    "camtrapdp": frozenset({"labels", "boxes", "sites", "times", "visits", "sequences", "animals", "coordinates"}),
}


def records(folder: Path) -> list[ImageRecord]:
    """Eight pictures: boxes, individuals, counts, fields and flags; the last is looked at and empty."""
    names = ["a b/Cat-Test_(1).jpeg", "a b/x.jpg", "c/x.jpg", "c/X.JPG", "c/x.png", "-d/=1.jpg", "e/ä.jpg", "f.jpg"]
    found = []
    for number, name in enumerate(names):
        site = "=Lake" if number % 3 == 2 else "Ridge 1"
        label = HEAD.labels[number % 3].name
        animals = [
            AnnotationRecord(
                label,
                box,
                count=1 + at,
                individual=f"@{label} {number}" if at == 0 else "",
                fields={"sex": "female", "life-stage": "adult", "mood": "calm"} if at == 0 else {},
                flags={"occluded": True} if at == 1 else {},
            )
            for at, box in enumerate(_BOXES[: 1 + number % 3])
        ]
        found.append(
            ImageRecord(
                path=name,
                file=put(folder / f"{number}.jpg", picture(900 + number, *SIZE)),
                part=("train", "validation", "test", "interesting")[number % 4],
                annotations=tuple(animals) if number < len(names) - 1 else (),
                width=SIZE[0],
                height=SIZE[1],
                site=site,
                visit="spring",
                sequence=f"burst-{number // 3}",
                captured_at=f"2021-05-0{1 + number}T06:07:08",
            )
        )
    return found


def export(format: str, head: Head, images: Iterable[ImageRecord], folder: Path, **options: Any) -> writing.Written:
    with FolderOutput(folder) as out:
        return writing.write(format, head=head, images=images, out=out, options={"with_images": True, **options})


def reopened(folder: Path) -> Source:
    return opening.open_source(folder)


def by_content(images: Iterable[ImageRecord]) -> dict[str, ImageRecord]:
    """Records under the checksums of their pictures: names may change from format to format."""
    return {hashlib.sha256(record.file.read_bytes()).hexdigest(): record for record in images if record.file}


def labels_of(record: ImageRecord) -> list[tuple[str, Box | None]]:
    """Labels with their boxes, from people or, where only results of a machine are held, from it."""
    if record.annotations is None and record.detections is not None:
        return sorted((one.scores[0][0], one.box) for one in record.detections)
    return sorted((one.label, one.box) for one in record.annotations or ())
