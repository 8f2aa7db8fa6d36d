"""Writes a table: a line for each animal, and one for each picture without any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from webapp.datasets.formats.cells import TableWriter
from webapp.datasets.formats.columns import FLAGS
from webapp.datasets.formats.job import Job, animals_of, option, spooled_text
from webapp.datasets.formats.records import AnnotationRecord, DetectionRecord, ImageRecord
from webapp.datasets.formats.tables import UNKNOWN_INDIVIDUAL
from webapp.datasets.formats.values import EMPTY

STYLES = ("full", "simple", "whales")
_PICTURE = (
    *("filepath", "split", "site", "latitude", "longitude", "visit", "sequence", "datetime"),
    *("image_width", "image_height", "verdict", "labelled_by", "how", "sha256"),
)
_ANIMAL = ("label", "scientific_name", "individual", "count", "box_x", "box_y", "box_width", "box_height")
_MACHINE = ("machine_label", "machine_score")


def write(job: Job, images: Iterable[ImageRecord], options: Mapping[str, Any]) -> None:
    """`style`: full, simple (filepath,label,split,site) or whales (Image,Id)."""
    style = option(options, "style", "full", STYLES)
    if style == "full":
        _write_full(job, images)
        return
    header = ["Image", "Id"] if style == "whales" else ["filepath", "label", "split", "site"]
    name = "train.csv" if style == "whales" else "labels.csv"
    with job.out.open_text(name) as text:
        table = TableWriter(text, header)
        for record in images:
            for row in _whales(job, record) if style == "whales" else _simple(job, record):
                table.write(row)


def _whales(job: Job, record: ImageRecord) -> Iterator[list[object]]:
    """A whale without a name is the literal new_whale."""
    animals = animals_of(record)
    if len(animals) != 1:
        job.leave_out(record.path, "not-one-animal", "Image,Id holds pictures of exactly one animal.")
        return
    name = job.place(record.path.rpartition("/")[2])
    job.copy(record, f"train/{name}")
    yield [name, animals[0].individual or UNKNOWN_INDIVIDUAL]


def _simple(job: Job, record: ImageRecord) -> Iterator[list[object]]:
    if record.annotations is None or record.cannot_tell:
        job.leave_out(record.path, "not-labelled", "Nobody has labelled it, or nobody could tell.")
        return
    name = job.place(f"images/{record.path}")
    job.copy(record, name)
    for label in dict.fromkeys(annotation.label for annotation in animals_of(record)) or [EMPTY]:
        yield [name, label, record.part, record.site]


def _write_full(job: Job, images: Iterable[ImageRecord]) -> None:
    """In two steps, since which fields there are is known only after the last picture."""
    places = {site.name: site for site in job.head.sites}
    latin = {label.name: label.scientific_name for label in job.head.labels}
    fields: dict[str, None] = {}
    with spooled_text() as rows:
        for record in images:
            name = job.place(f"images/{record.path}")
            job.copy(record, name)
            picture = {**_picture(record), "filepath": name}
            if site := places.get(record.site):
                picture |= {"latitude": site.latitude, "longitude": site.longitude}
            for told in [_animal(animal, latin) for animal in animals_of(record)] or [{}]:
                fields |= dict.fromkeys(key for key in told if key.startswith("field:"))
                rows.write(json.dumps({**picture, **told}) + "\n")
                job.counts["rows"] += 1
        rows.seek(0)
        header = [*_PICTURE, *_ANIMAL, *FLAGS, *sorted(fields), *_MACHINE]
        with job.out.open_text("labels.csv") as text:
            table = TableWriter(text, header)
            for line in rows:
                row = json.loads(line)
                table.write([row.get(column) for column in header])


def _picture(record: ImageRecord) -> dict[str, object]:
    verdict = "" if record.annotations is None else "labelled" if animals_of(record) else EMPTY
    best = _best(record.detections or ())
    return {
        "split": record.part,
        "site": record.site,
        "visit": record.visit,
        "sequence": record.sequence,
        "datetime": record.captured_at,
        "image_width": record.width,
        "image_height": record.height,
        "verdict": "cannot-tell" if record.cannot_tell else verdict,
        "labelled_by": record.labelled_by,
        "how": record.how,
        "sha256": record.sha256,
        "machine_label": best[0] if best else "",
        "machine_score": round(best[1], 4) if best else "",
    }


def _best(detections: Iterable[DetectionRecord]) -> tuple[str, float] | None:
    """What the machine said of the box it was surest of."""
    said = [one.scores[0] if one.scores else (one.category, one.confidence) for one in detections]
    return max(said, key=lambda pair: pair[1], default=None)


def _animal(animal: AnnotationRecord, latin: Mapping[str, str]) -> dict[str, object]:
    told: dict[str, object] = {
        "label": animal.label,
        "scientific_name": latin.get(animal.label, ""),
        "individual": animal.individual,
        "count": animal.count,
        **{key: animal.flags.get(key) for key in FLAGS},
        **{f"field:{key}": value for key, value in animal.fields.items()},
    }
    if animal.box:
        names = ("box_x", "box_y", "box_width", "box_height")
        told |= {name: round(side, 6) for name, side in zip(names, animal.box, strict=True)}
    return told
