"""What a run would have to do, counted in rows, at the rates that a trial measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.contract import (
    TEST,
    TRAIN,
    VALIDATION,
    RunConfig,
    Workload,
    estimate,
    estimate_values,
    parse_config,
    read_rates,
    whole_trainings,
)
from webapp.datasets.models import SnapshotEntry
from webapp.predictions.models import Embedding
from webapp.runs.models import Trial
from webapp.versions.models import Version


def estimated(trial: Trial, known: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial of other images at the rates of a known one; nothing where those cannot be read."""
    rates = read_rates(known)
    return estimate_values(estimate(rates, workload_of(trial)), rates) if rates is not None else {}


def workload_of(trial: Trial) -> Workload:
    parts: Mapping[str, int] = trial.snapshot.counts.get("parts", {})
    config = _config(trial)
    is_sweep = trial.recipe == "sweep"
    return Workload(
        recipe=trial.recipe,
        train=parts.get(TRAIN, 0),
        validation=parts.get(VALIDATION, 0),
        test=parts.get(TEST, 0),
        missing=_missing(trial, parts),
        epochs=config.epochs,
        # The first stage sees so many of each label at most; how many labels have enough is not counted here.
        first_train=parts.get(TRAIN, 0) // 2 if trial.recipe == "two-stage" else 0,
        tries=whole_trainings(config.sweep, config.trials, config.epochs) if is_sweep else 1.0,
        most_seconds=60 * config.minutes if is_sweep else 0.0,
    )


def _config(trial: Trial) -> RunConfig:
    start = {"start": "version", "start_from": "-"} if trial.start_version_id else {}
    return parse_config({**trial.config, **start, "recipe": trial.recipe}, origin="the trial")


def _missing(trial: Trial, parts: Mapping[str, int]) -> int:
    """Images whose embedding has to be computed: recipe head reads those of two parts, the others of one."""
    version = trial.start_version
    if version is None:
        return 0
    read = (TRAIN, VALIDATION) if trial.recipe == "head" else (TRAIN,)
    wanted = sum(parts.get(part, 0) for part in read)
    entries = SnapshotEntry.objects.filter(snapshot=trial.snapshot, part__in=read)
    stored = Embedding.objects.filter(space=_space(version), region=None, image__in=entries.values("image"))
    return max(0, wanted - stored.count())


def _space(version: Version) -> str:
    return str(version.card.get("embedding_space") or version.digest)
