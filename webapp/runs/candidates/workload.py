"""What a run would have to do, counted in rows, at the rates that a trial measured or runs had."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from training.contract import (
    TEST,
    TRAIN,
    VALIDATION,
    Rates,
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
from webapp.runs.models import Run, RunEvent, Trial
from webapp.versions.models import Version

SAME = (
    "start", "architecture", "revision", "input_size", "batch_size", "accumulate", "frozen_stages", "optimizer",
    "augment", "augmentation", "cache_side", "device", "precision", "channels_last", "threads", "workers",
)  # fmt: skip
"""Settings that change how long one image takes; of the others only the amount of work depends."""
ONE_NETWORK = ("fine-tune", "two-stage")
LOOKED_AT = 20


def estimated(trial: Trial, known: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a trial of other images at the rates of a known one; nothing where those cannot be read."""
    rates = read_rates(known)
    if rates is None:
        return {}
    rates = replace(rates, learn=_learned(trial, rates) or rates.learn)
    return estimate_values(estimate(rates, workload_of(trial)), rates)


def takes_as_long(one: Trial | Run, other: Trial | Run) -> bool:
    """Whether an image takes as long: the same network, recipe and settings."""
    same = (_network(one), one.recipe) == (_network(other), other.recipe)
    return same and all(one.config.get(key) == other.config.get(key) for key in SAME)


def _network(one: Trial | Run) -> tuple[str, object] | None:
    """Versions that differ in their weights alone take as long."""
    version = one.start_version
    return (version.architecture, version.card.get("input_size")) if version is not None else None


def _learned(trial: Trial, rates: Rates) -> float:
    """Seconds an image of the newest run that is alike: a whole run knows more than a few steps; 0 without one."""
    if trial.recipe not in ONE_NETWORK:
        return 0.0
    runs = Run.objects.filter(state=Run.State.DONE, recipe=trial.recipe, device=rates.device)
    newest = runs.select_related("start_version").order_by("-pk")[:LOOKED_AT]
    alike = next((run for run in newest if takes_as_long(run, trial)), None)
    epochs = RunEvent.objects.filter(run=alike, kind="epoch").values_list("detail__images_per_second", flat=True)
    found = [1 / rate for rate in epochs if rate] if alike is not None else []
    return statistics.median(found) if found else 0.0


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
