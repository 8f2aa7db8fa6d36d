"""One prediction as the JSON that pages, REST and command line show."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from webapp.predictions.models import Prediction, Region
from webapp.projects.models import Label
from webapp.versions.models import Pipeline, Version

TOP = 5
NAMES_LAST_SECONDS = 5.0


@dataclass(frozen=True)
class PipelineWords:
    """What an answer says of its pipeline. Label names may be changed by people, so this is kept for seconds only."""

    digest: str
    project: str
    notice: str
    names: dict[str, str]
    kinds: dict[str, str]
    keys: tuple[str, ...]
    versions: tuple[dict[str, Any], ...]
    speaker: dict[str, Any]
    read_at: float


_words: dict[int, PipelineWords] = {}


def words_of(pipeline_id: int) -> PipelineWords:
    known = _words.get(pipeline_id)
    if known is None or time.monotonic() - known.read_at > NAMES_LAST_SECONDS:
        known = _words[pipeline_id] = _read_words(pipeline_id)
    return known


def _read_words(pipeline_id: int) -> PipelineWords:
    row = Pipeline.objects.select_related("project", "detector", "classifier", "identifier", "external").get(
        pk=pipeline_id
    )
    versions = [version for version in (row.detector, row.classifier, row.identifier, row.external) if version]
    speaker = row.classifier or versions[0]
    labels = list(Label.objects.filter(project_id=row.project_id).values_list("key", "name", "kind"))
    return PipelineWords(
        digest=row.digest,
        project=row.project.slug,
        notice=row.project.notice,
        names={key: name for key, name, _ in labels},
        kinds={key: kind for key, _, kind in labels},
        keys=tuple(label["key"] for label in speaker.card.get("labels", [])),
        versions=tuple(_version(version) for version in versions),
        speaker=_version(speaker),
        read_at=time.monotonic(),
    )


def _version(version: Version) -> dict[str, Any]:
    return {"id": version.pk, "name": version.name, "role": version.role}


def answer_of(prediction_id: int, *, all_scores: bool = False) -> dict[str, Any]:
    """The answer of a prediction, settled or not; scores sorted, the top five unless all are asked for."""
    prediction = Prediction.objects.select_related("image__file").get(pk=prediction_id)
    return answer_json(prediction, list(prediction.regions.order_by("position")), all_scores=all_scores)


def answer_json(prediction: Prediction, regions: Sequence[Region], *, all_scores: bool = False) -> dict[str, Any]:
    """The same from rows at hand: `prediction.image.file` and the regions in order."""
    words = words_of(prediction.pipeline_id)
    image = prediction.image
    found = [_region(region, words, all_scores=all_scores) for region in regions]
    return {
        "state": prediction.state,
        "prediction": prediction.pk,
        "label": _name(words, prediction.label_key),
        "key": prediction.label_key or None,
        "kind": words.kinds.get(prediction.label_key),
        "score": prediction.score,
        "counts": {_name(words, key): count for key, count in prediction.counts.items()},
        "reason": prediction.reason or None,
        "code": prediction.code or None,
        "image": {
            "id": image.pk,
            "sha256": image.file.sha256,
            "width": image.width,
            "height": image.height,
            "damaged": bool(image.damaged_share),
            "damaged_share": image.damaged_share,
        },
        "regions": found,
        "version": words.speaker,
        "versions": list(words.versions),
        "pipeline": words.digest,
        "project": words.project,
        "notice": words.notice or None,
    }


def _name(words: PipelineWords, key: str) -> str | None:
    return words.names.get(key, key) or None


def _region(region: Region, words: PipelineWords, *, all_scores: bool) -> dict[str, Any]:
    return {
        "box": None if region.x is None else [region.x, region.y, region.width, region.height],
        "detection": {"label": region.detection_label, "score": region.detection_score}
        if region.detection_score is not None
        else None,
        "label": _name(words, region.label_key),
        "key": region.label_key or None,
        "score": region.score,
        "scores": _scores(region, words, all_scores=all_scores),
    }


def _scores(region: Region, words: PipelineWords, *, all_scores: bool) -> list[dict[str, Any]]:
    """Sorted scores. They are stored in half precision; the answer's own score is exact and leads."""
    raw = bytes(region.scores)
    stored = zip(words.keys, struct.unpack(f"<{len(raw) // 2}e", raw), strict=False)
    pairs = [(region.score if key == region.label_key else score, key) for key, score in stored]
    best = nlargest(len(pairs) if all_scores else TOP, pairs)
    return [{"label": _name(words, key), "key": key, "score": score} for score, key in best]
