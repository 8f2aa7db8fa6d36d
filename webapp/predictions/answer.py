"""One prediction as the JSON that pages, REST and command line show."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from django.db import connection

from webapp.images.models import File, Image
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
    return answer_json(_read(prediction_id), list(_read_regions(prediction_id)), all_scores=all_scores)


def _read(prediction_id: int) -> Prediction:
    """By hand, like the look of `accept`: each call reads one, and the ORM writes such a join longer than it runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.pipeline_id, p.state, p.label_key, p.score, p.counts, p.reason, p.code, "
            "i.id, i.width, i.height, i.damaged_share, f.sha256 FROM predictions_prediction p "
            "JOIN images_image i ON i.id = p.image_id JOIN images_file f ON f.id = i.file_id WHERE p.id = %s",
            [prediction_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise Prediction.DoesNotExist(f"there is no prediction {prediction_id}")
    pipeline_id, state, key, score, counts, reason, code, image_id, width, height, damaged, sha256 = row
    image = Image(pk=image_id, width=width, height=height, damaged_share=damaged, file=File(sha256=sha256))
    return Prediction(
        pk=prediction_id,
        pipeline_id=pipeline_id,
        image=image,
        state=state,
        label_key=key,
        score=score,
        counts=json.loads(counts) if isinstance(counts, str) else counts,
        reason=reason,
        code=code,
    )


def _read_regions(prediction_id: int) -> Iterator[Region]:
    columns = ("x", "y", "width", "height", "detection_label", "detection_score", "label_key", "score", "scores")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM predictions_region WHERE prediction_id = %s ORDER BY position",
            [prediction_id],
        )
        for row in cursor.fetchall():
            yield Region(**dict(zip(columns, row, strict=True)))


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
