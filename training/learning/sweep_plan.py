"""What a sweep tries: settings drawn from a space, the config that each makes, and their order by score. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, get_type_hints

import numpy as np

from training.contract import Range, RunConfig, as_values, parse_config, parse_space, with_imbalance
from training.contract.space import Dimension, grid_size

Settings = dict[str, Any]


def draw(config: RunConfig) -> list[Settings]:
    """What is tried: the config as it stands, and draws from its space; the same for the same config.

    A grid that is small enough is tried whole. Otherwise each setting's values are spread evenly over the trials (a
    Latin hypercube), so that a dozen of them still see every network and the whole of a range.
    """
    space = parse_space(config.sweep)
    drawn = _grid(space) if grid_size(space) <= config.trials else _spread(space, config.trials, config.seed)
    found: list[Settings] = []
    for chosen in ({}, *drawn):
        settings = {key: value for key, value in chosen.items() if value != ""}
        if settings not in found:
            found.append(settings)
    return found[: max(1, config.trials)]


def _grid(space: Mapping[str, Dimension]) -> list[Settings]:
    lists = [one for one in space.values() if not isinstance(one, Range)]
    return [dict(zip(space, values, strict=True)) for values in product(*lists)]


def _spread(space: Mapping[str, Dimension], count: int, seed: int) -> list[Settings]:
    random = np.random.default_rng([seed, 8])
    columns = []
    for key, dimension in space.items():
        order = random.permutation(count)
        if isinstance(dimension, Range):
            values = [dimension.at((place + 0.5) / count) for place in order]
            if get_type_hints(RunConfig)[key] is int:
                values = [round(value) for value in values]
        else:
            values = [dimension[place % len(dimension)] for place in order]
        columns.append(values)
    return [dict(zip(space, row, strict=True)) for row in zip(*columns, strict=True)]


def config_of(config: RunConfig, settings: Settings, epochs: int, *, start_architecture: str) -> RunConfig:
    """The config of one trial that sees the images `epochs` times."""
    asked = {"recipe": "fine-tune", **settings}
    if asked.get("architecture", "") in ("", config.architecture, start_architecture):
        asked["architecture"] = config.architecture
    else:
        asked |= {"start": "pretrained", "start_from": ""}
    if asked["recipe"] == "head":
        asked["input_size"] = 0  # its embeddings are of the size that the start reads
    whole = replace(config, **asked)
    share = epochs / max(1, whole.epochs)
    shorter = replace(
        whole,
        epochs=epochs,
        warmup_epochs=whole.warmup_epochs * share,
        restart_epochs=whole.restart_epochs * share,
        head_epochs=min(whole.head_epochs, epochs - 1),
        sweep="",
    )
    return parse_config(as_values(with_imbalance(shorter, shorter.imbalance)), origin="a trial")


def words_of(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "as the settings say"


def ranked(scores: Sequence[tuple[int, float, float]]) -> list[int]:
    """Trials by score, of equals the one with the lower loss: (number, score, loss) each."""
    return [number for number, _, _ in sorted(scores, key=lambda one: (-one[1], one[2], one[0]))]
