"""Results of somebody else's model: predictions of an external version, with their boxes; never labels."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from webapp.datasets.formats.records import DetectionRecord, Head, ImageRecord, MachineRecord
from webapp.datasets.import_words import Words
from webapp.datasets.imported_labels import inside
from webapp.images import states
from webapp.predictions.live import machine_says
from webapp.predictions.models import Prediction, Region
from webapp.projects.models import Project
from webapp.rows import insert_rows
from webapp.versions.activate import active_pipeline_id
from webapp.versions.models import Pipeline, Version
from webapp.versions.pipelines import make_pipeline

THRESHOLD = 0.2
"""Where the file names none: what the detector's own tools use."""
KEY_LENGTH = 120
FAILED = "external-failure"
MOST_REGIONS = 1000
PASSING = ("detection_completion_time", "completion_time", "date", "time")
"""Facts of one run of the machine, not of the machine."""


@dataclass(frozen=True)
class Machine:
    """Whose answers come in, and how they are read."""

    pipeline: Pipeline
    purpose: str
    threshold: float


def machine_of(project: Project, head: Head) -> Machine | None:
    """The external version and pipeline of a source, the same for each file of the same machine."""
    if head.machine is None:
        return None
    threshold = threshold_of(head.machine)
    version = _version(project, head.machine, head)
    pipeline = make_pipeline(project=project, external=version, thresholds={"detection": threshold})
    is_alone = active_pipeline_id(project.pk) is None
    purpose = Prediction.Purpose.LIVE if is_alone else Prediction.Purpose.ALSO
    return Machine(pipeline, purpose, threshold)


def threshold_of(machine: MachineRecord) -> float:
    """The one its file calls typical, wherever in its facts that stands."""
    for name, value in _flat(machine.facts):
        if name.endswith("typical_detection_threshold") and isinstance(value, int | float) and 0 <= value <= 1:
            return float(value)
    return THRESHOLD


def _flat(facts: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", value))
    return found


def _version(project: Project, machine: MachineRecord, head: Head) -> Version:
    facts = {name: value for name, value in machine.facts.items() if name not in PASSING}
    card = {
        "role": Version.Role.EXTERNAL.value,
        "name": name_of(machine, head),
        "detector": machine.detector,
        "classifier": machine.classifier,
        "facts": facts,
        "format": head.format,
    }
    text = json.dumps(card, sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()
    values = {
        "name": str(card["name"])[:120],
        "role": Version.Role.EXTERNAL,
        "card": json.loads(text),
        "origin": f"Results that came in as {head.format}",
        "licence": head.licence[:200],
    }
    return Version.objects.get_or_create(project=project, digest=digest, defaults=values)[0]


def name_of(machine: MachineRecord, head: Head) -> str:
    return " + ".join(filter(None, (machine.detector, machine.classifier))) or f"{head.format} results"


def add_predictions(machine: Machine, words: Words, said: Mapping[int, ImageRecord]) -> int:
    """What the machine says of these images (by image id), where it has not said it before; returns how many.

    In the caller's transaction, which holds the images' states.
    """
    here = Prediction.objects.filter(pipeline=machine.pipeline, purpose=machine.purpose, image_id__in=list(said))
    known = set(here.values_list("image_id", flat=True))
    fresh = {pk: record for pk, record in said.items() if pk not in known and _answers(record)}
    rows = {pk: _prediction(machine, words, pk, record) for pk, record in fresh.items()}
    Prediction.objects.bulk_create(list(rows.values()))
    insert_rows(
        [region for pk, record in fresh.items() for region in _regions(words, rows[pk], record.detections or ())]
    )
    if machine.purpose == Prediction.Purpose.LIVE and rows:
        told = machine_says(list(rows))
        states.after_prediction(told, measured={})
    return len(rows)


def _answers(record: ImageRecord) -> bool:
    return record.detections is not None or bool(record.failure)


def _prediction(machine: Machine, words: Words, image_id: int, record: ImageRecord) -> Prediction:
    row = Prediction(
        image_id=image_id,
        pipeline=machine.pipeline,
        purpose=machine.purpose,
        state=Prediction.State.DONE,
        done_at=timezone.now(),
        worker="import",
    )
    if record.detections is None:
        row.state, row.code, row.reason = Prediction.State.FAILED, FAILED, f"The machine said: {record.failure}"
        return row
    sure = [one for one in record.detections if one.confidence >= machine.threshold]
    row.counts = dict(Counter(_word(one)[0] for one in sure if one.box is not None))
    best = max(sure, key=lambda one: one.confidence, default=None)
    if best is None:
        row.label = words.background
        row.label_key = words.background.key if words.background else ""
        most = max((one.confidence for one in record.detections), default=0.0)
        row.score = 1.0 - min(1.0, most)
        return row
    name, score = _word(best)
    row.label = words.known(name)
    row.label_key = (row.label.key if row.label else name)[:KEY_LENGTH]
    row.score = score
    return row


def _word(found: DetectionRecord) -> tuple[str, float]:
    """The word for a detection and how sure: its second step's where there is one."""
    return found.scores[0] if found.scores else (found.category, found.confidence)


def _regions(words: Words, prediction: Prediction, found: Sequence[DetectionRecord]) -> list[Region]:
    rows = []
    for place, one in enumerate(sorted(found, key=lambda one: -one.confidence)[:MOST_REGIONS]):
        name, score = _word(one)
        label = words.known(name)
        box = inside(one.box, words.notices)
        rows.append(
            Region(
                prediction=prediction,
                position=place,
                **dict(zip(("x", "y", "width", "height"), box or (None,) * 4, strict=True)),
                detection_label=one.category[:KEY_LENGTH],
                detection_score=one.confidence,
                label=label,
                label_key=(label.key if label else name)[:KEY_LENGTH],
                score=score,
            )
        )
    return rows
