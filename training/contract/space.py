"""What a sweep tries: for each setting a list of values or a range, as JSON; and the ways with rare labels by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMBALANCE: Mapping[str, Mapping[str, Any]] = {
    "plain": {"sampler": "natural", "class_weights": "none", "logit_adjustment": 0.0},
    "square-root": {"sampler": "square-root", "class_weights": "none", "logit_adjustment": 0.0},
    "balanced": {"sampler": "balanced", "class_weights": "none", "logit_adjustment": 0.0},
    "logit-adjustment": {"sampler": "natural", "class_weights": "none", "logit_adjustment": 1.0},
}
"""Settings of each way; `auto` and `as-set` are none of them."""

DEFAULT_SPACE = {
    "architecture": ["", "convnextv2_atto", "resnet18"],
    "learning_rate": {"low": 3e-4, "high": 3e-3, "log": True},
    "imbalance": ["plain", "square-root", "logit-adjustment"],
}
FIXED = (
    "start", "start_from", "revision", "seed", "deterministic", "device", "threads", "workers", "name", "metric",
    "min_images", "per_class", "image_weights", "epochs", "sweep", "trials", "minutes", "checkpoint_steps",
    "proof_images", "lower_precision", "variants",
)  # fmt: skip
"""Settings that are the same in all trials, or their validation could not be compared."""


class SpaceError(ValueError):
    """What a sweep shall try cannot be read; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Range:
    """Any number from `low` to `high`, evenly or (`log`) by its logarithm."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The number at a share from 0 to 1, to three digits."""
        if self.log:
            found = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        else:
            found = self.low + share * (self.high - self.low)
        return float(f"{found:.3g}")


Dimension = tuple[Any, ...] | Range


def parse_space(text: str) -> dict[str, Dimension]:
    """Setting -> what is tried of it; empty text means the default."""
    try:
        given = json.loads(text) if text.strip() else DEFAULT_SPACE
    except ValueError as error:
        raise SpaceError(f"is no JSON ({error})") from error
    if not isinstance(given, dict) or not given:
        raise SpaceError('is no object such as {"learning_rate": {"low": 3e-4, "high": 3e-3, "log": true}}')
    return {str(key): _dimension(str(key), value) for key, value in given.items()}


def _dimension(key: str, value: Any) -> Dimension:
    if isinstance(value, list) and value:
        return tuple(value)
    if not isinstance(value, dict) or not {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        raise SpaceError(f'{key}: a list of values, or {{"low": …, "high": …, "log": true}} is expected')
    low, high, log = value["low"], value["high"], value.get("log", False)
    numbers = all(type(one) in (int, float) for one in (low, high))
    if not numbers or not isinstance(log, bool) or not low < high or (log and low <= 0):
        raise SpaceError(f"{key}: low is below high, and above 0 where log is true")
    return Range(float(low), float(high), log)


# ---- how long it goes on ---------------------------------------------------------------------------------------------

ETA = 3
"""Of so many trials one goes on to the next rung, with so many times the epochs."""
FEWEST_EPOCHS = 2


def grid_size(space: Mapping[str, Dimension]) -> float:
    """Combinations there are; infinite where a range is among them."""
    return math.prod(len(one) if isinstance(one, tuple) else math.inf for one in space.values())


def rungs(epochs: int, trials: int) -> list[int]:
    """How often each rung sees the images, the last one as often as the config says."""
    found = [epochs]
    while found[0] // ETA >= FEWEST_EPOCHS and ETA ** len(found) <= trials:
        found.insert(0, found[0] // ETA)
    return found


def survivors(count: int) -> int:
    return max(1, math.ceil(count / ETA))


def whole_trainings(sweep: str, trials: int, epochs: int) -> float:
    """How many trainings of all epochs a sweep costs, early ends and all."""
    count = int(min(trials, 1 + grid_size(parse_space(sweep))))
    total = 0
    for step in rungs(epochs, count):
        total += count * step
        count = survivors(count)
    return total / epochs
