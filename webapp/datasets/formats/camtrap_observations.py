"""From what people or a machine said of an image to the observations of a Camtrap DP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webapp.datasets.formats.camtrap_dp import FIELDS
from webapp.datasets.formats.camtrap_tables import LIFE_STAGES, SEXES
from webapp.datasets.formats.job import animals_of
from webapp.datasets.formats.records import AnnotationRecord, Box, DetectionRecord, Head, ImageRecord, LabelRecord

_PEOPLE = ("person", "human", "people", "homo sapiens")
_VEHICLES = ("vehicle", "car")
_PLAIN = {"human": "person", "vehicle": "vehicle"}
_ALLOWED = {"sex": SEXES, "lifeStage": LIFE_STAGES}
_THINNEST = 1e-9


class Observations:
    """Gathers, on the way, which animals there are and whether any was known by name."""

    def __init__(self, head: Head) -> None:
        self._labels = {label.name: label for label in head.labels}
        self._machine = _machine_name(head)
        self._taxa: dict[str, LabelRecord] = {}
        self.individuals = False
        self.without_scientific_name: dict[str, None] = {}

    def of(self, record: ImageRecord, medium: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """One row an animal; one row also says that there is nothing, that nobody could tell, or nobody looked."""
        said = self._by_people(record) if record.annotations is not None or record.cannot_tell else None
        if said is None:
            said = self._by_machine(record.detections) if record.detections is not None else [_told("unclassified")]
        for number, row in enumerate(said, start=1):
            yield {
                "observationID": f"{medium['mediaID']}:{number}",
                "deploymentID": medium["deploymentID"],
                "mediaID": medium["mediaID"],
                "eventID": record.sequence,
                "eventStart": medium["timestamp"],
                "eventEnd": medium["timestamp"],
                "observationLevel": "media",
                **row,
            }

    def _by_people(self, record: ImageRecord) -> list[dict[str, Any]]:
        by = {"classificationMethod": "human", "classifiedBy": record.labelled_by}
        if record.cannot_tell:
            return [_told("unknown", **by)]
        return [self._animal(animal) | by for animal in animals_of(record)] or [_told("blank", **by)]

    def _animal(self, animal: AnnotationRecord) -> dict[str, Any]:
        kind, latin, tags = self._named(animal.label)
        fields = {str(key): str(value) for key, value in animal.fields.items() if value not in (None, "")}
        row = _told(kind, scientificName=latin, individualID=animal.individual, **_sides(animal.box))
        row["count"] = animal.count if kind != "blank" and animal.count >= 1 else None
        for column, key in FIELDS.items():
            if fields.get(key) and fields[key] in _ALLOWED.get(column, (fields[key],)):
                row[column] = fields.pop(key)
        tags += [f"{key}:{value}" for key, value in fields.items()]
        tags += [f"{key}:{str(value).lower()}" for key, value in animal.flags.items() if value is not None]
        row["observationTags"] = " | ".join(tag.replace("|", "/") for tag in tags)
        self.individuals |= bool(animal.individual)
        return row

    def _by_machine(self, detections: tuple[DetectionRecord, ...]) -> list[dict[str, Any]]:
        by = {"classificationMethod": "machine", "classifiedBy": self._machine}
        rows = []
        for one in detections:
            label, score = one.scores[0] if one.scores else (one.category, one.confidence)
            kind, latin, tags = self._named(label) if label != "animal" else ("animal", "", [])
            row = _told(kind, scientificName=latin, **_sides(one.box), **by)
            rows.append(row | {"classificationProbability": round(score, 4), "observationTags": " | ".join(tags)})
        return rows or [_told("blank", **by)]

    def _named(self, name: str) -> tuple[str, str, list[str]]:
        """Type, scientific name, and a tag with the label where those two would not lead back to it."""
        record = self._labels.get(name) or LabelRecord(name)
        folded = name.casefold()
        kind = "human" if folded in _PEOPLE else "vehicle" if folded in _VEHICLES else ""
        kind = kind or {"background": "blank", "unknown": "unknown"}.get(record.kind, "animal")
        if kind != "animal":
            return kind, "", [] if _PLAIN.get(kind) == name else [f"label:{name}"]
        latin = record.scientific_name or name
        if not record.scientific_name:
            self.without_scientific_name.setdefault(name)
        kept = self._taxa.setdefault(latin, record)
        return kind, latin, [] if kept.name == name else [f"label:{name}"]

    def taxa(self) -> list[dict[str, Any]]:
        """The `taxonomic` block: every scientific name that an observation uses."""
        return [_taxon(latin, record) for latin, record in self._taxa.items()]


def _taxon(latin: str, record: LabelRecord) -> dict[str, Any]:
    told: dict[str, Any] = {"scientificName": latin}
    if record.outside_ids:
        told["taxonID"] = str(record.outside_ids.get("taxonID") or next(iter(record.outside_ids.values())))
    if record.name != latin:
        told["vernacularNames"] = {"eng": record.name}
    return told


def _machine_name(head: Head) -> str:
    machine = head.machine
    return " and ".join(name for name in (machine.detector, machine.classifier) if name) if machine else ""


def _told(kind: str, **more: Any) -> dict[str, Any]:
    return {"observationType": kind, **more}


def _sides(box: Box | None) -> dict[str, float]:
    """A box that stays inside the image after rounding."""
    if box is None:
        return {}
    x, y = (min(max(round(edge, 6), 0.0), 1.0 - _THINNEST) for edge in box[:2])
    width, height = (min(max(round(side, 6), _THINNEST), 1.0) for side in box[2:])
    return {"bboxX": x, "bboxY": y, "bboxWidth": min(width, 1.0 - x), "bboxHeight": min(height, 1.0 - y)}
