"""The one module that hosts the engine: a few loaded pipelines, the newest used kept."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from classifier.engine import LoadedPipeline, load_pipeline
from classifier.errors import ModelError
from classifier.last_layer import LastLayer, read_last_layer
from classifier.types import PipelineSpec
from webapp.predictions.record import Names
from webapp.projects.models import Label
from webapp.versions.broken import mark_broken, mark_whole
from webapp.versions.fetch import verified_folder
from webapp.versions.models import Pipeline, Version

log = logging.getLogger(__name__)

KEEP = 4
TRY_AGAIN_SECONDS = 10


@dataclass(frozen=True)
class Hosted:
    """A pipeline in memory, with what its answers mean in rows."""

    pipeline: LoadedPipeline
    names: Names


class EngineHost:
    """Loads pipelines on demand. One that cannot be loaded is tried again every ten seconds; its rows wait."""

    def __init__(self) -> None:
        self._hosted: OrderedDict[int, Hosted] = OrderedDict()
        self._failed: dict[int, float] = {}
        self._last_layers: dict[int, LastLayer | None] = {}
        self.problem = ""

    def get(self, pipeline_id: int) -> Hosted | None:
        """The loaded pipeline, or None while its model folder cannot be used."""
        if pipeline_id in self._hosted:
            self._hosted.move_to_end(pipeline_id)
            return self._hosted[pipeline_id]
        return None if self._failed_lately(pipeline_id) else self._load(pipeline_id)

    def last_layer(self, pipeline_id: int) -> LastLayer | None:
        """What turns stored embeddings into answers of a loaded pipeline, where it is no more than that."""
        if pipeline_id not in self._last_layers:
            spec = self._hosted[pipeline_id].pipeline.spec
            alone = spec.classifier if spec.detector is None and spec.identifier is None else None
            card = self._hosted[pipeline_id].pipeline.stages["classifier"].card if alone else None
            self._last_layers[pipeline_id] = read_last_layer(alone, card) if alone and card else None
        return self._last_layers[pipeline_id]

    def unusable(self) -> list[int]:
        """Pipelines that failed to load a moment ago."""
        return [pipeline_id for pipeline_id in self._failed if self._failed_lately(pipeline_id)]

    def _failed_lately(self, pipeline_id: int) -> bool:
        return time.monotonic() - self._failed.get(pipeline_id, -TRY_AGAIN_SECONDS) < TRY_AGAIN_SECONDS

    def loaded(self) -> dict[str, str]:
        """Digest -> words of the back end, for the heartbeat."""
        return {hosted.pipeline.spec.digest[:12]: hosted.pipeline.backend for hosted in self._hosted.values()}

    def device(self) -> str:
        return next((hosted.pipeline.device for hosted in self._hosted.values()), "")

    def _load(self, pipeline_id: int) -> Hosted | None:
        row = Pipeline.objects.select_related("detector", "classifier", "identifier").get(pk=pipeline_id)
        try:
            spec = _spec(row)
            pipeline = load_pipeline(spec, device=settings.DEVICE, cache=settings.DATA_DIR / "cache" / "compiled")
        except DatabaseError:
            raise
        except Exception as error:  # a back end raises what it likes, and one model must not stop the others
            self._failed[pipeline_id] = time.monotonic()
            self.problem = str(error) if isinstance(error, ModelError) else f"{row}: {type(error).__name__}: {error}"
            log.error("pipeline %s cannot be used: %s", row, error, exc_info=not isinstance(error, ModelError))
            return None
        self._failed.pop(pipeline_id, None)
        self.problem = ""
        hosted = Hosted(pipeline, _names(row, pipeline))
        self._hosted[pipeline_id] = hosted
        while len(self._hosted) > KEEP:
            gone, _ = self._hosted.popitem(last=False)
            self._last_layers.pop(gone, None)
        return hosted


def versions_of(row: Pipeline) -> list[Version]:
    return [version for version in (row.detector, row.classifier, row.identifier) if version is not None]


def _spec(row: Pipeline) -> PipelineSpec:
    """The pipeline as the engine takes it; every folder is verified, and a damaged one marked for people to see."""
    return PipelineSpec(
        digest=row.digest,
        detector=_folder(row.detector),
        classifier=_folder(row.classifier),
        identifier=_folder(row.identifier),
        thresholds=row.thresholds,
        crop_margin=row.crop_margin,
        whole_image_when_nothing_found=row.whole_image_when_nothing_found,
    )


def _folder(version: Version | None) -> Path | None:
    if version is None:
        return None
    try:
        folder = verified_folder(version)
    except ModelError as error:
        mark_broken(version=version, reason=str(error))
        raise
    mark_whole(version=version)
    return folder


def _names(row: Pipeline, pipeline: LoadedPipeline) -> Names:
    known = Label.objects.filter(project_id=row.project_id).values_list("key", "id", "merged_into_id")
    labels = {key: merged_into_id or pk for key, pk, merged_into_id in known}
    speaker = row.classifier or versions_of(row)[0]
    space = ""
    if "classifier" in pipeline.stages:
        space = pipeline.stages["classifier"].card.embedding_space
    return Names(
        labels=labels,
        version_id=speaker.pk,
        space=space or speaker.digest,
    )
