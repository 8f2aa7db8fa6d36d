"""How long a run will take on a device, from what a short trial measured there: rates, the work, and an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from classifier.strict_json import FieldError, from_json

# What no short trial can measure: sealing a head, exporting and proving a network. On two cores of 2026.
PUBLISH_HEAD, PUBLISH_NETWORK = 3.0, 14.0
DECAYS = 5
WAYS = 3
"""Weight decays and ways with rare labels that recipe head tries."""
PROOFS, CHECKED = 100, 500
"""Pictures on which both forms are proven equal, and the most on which two precisions are compared."""
_LEAST_SPREAD = 0.15
_KNOWN_WORSE = 1.35
"""Disks get busy and clocks sink: a run is rather slower than its trial than quicker."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds, measured on one device; 0 where the recipe does no such thing.

    Once: `begin`, before the first image. An image: `copy` makes its small copy, `prepare` its network input, `embed`
    asks the engine (decoding too), `learn` trains on it, `watch` answers it in validation, `prove` answers it as it
    was trained, at f32. `solve`: for a thousand images and one weight decay. `spread` is the relative spread of what
    was repeated.
    """

    device: str
    begin: float = 0.0
    copy: float = 0.0
    prepare: float = 0.0
    embed: float = 0.0
    learn: float = 0.0
    watch: float = 0.0
    prove: float = 0.0
    solve: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run has to do. `missing`: images to learn from or to watch that have no stored embedding."""

    recipe: str
    train: int
    validation: int
    test: int
    missing: int
    epochs: int = 0
    first_train: int = 0
    tries: float = 1.0
    most_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low` and `high` are what it will hardly leave, no interval of statistics."""

    seconds: float
    low: float
    high: float
    images_per_second: float
    device: str


def estimate(rates: Rates, work: Workload) -> Estimate:
    """The work at these rates."""
    steady = rates.begin + (PUBLISH_HEAD if work.recipe == "head" else PUBLISH_NETWORK)
    one = rates.embed or rates.prepare + rates.watch
    seen = work.validation + work.test + PROOFS + 2 * min(CHECKED, work.validation)
    moving = seen * one + PROOFS * (rates.prove or rates.watch)
    if work.recipe == "head":
        moving += work.missing * rates.embed + _solving(rates, work.train, DECAYS * WAYS)
        rate = 1 / rates.embed if rates.embed else 0.0
    else:
        moving += work.train * rates.copy + work.validation * rates.prepare
        moving += work.missing * rates.embed + _solving(rates, work.train, 1)
        epoch = (work.train + work.first_train) * rates.learn + work.validation * rates.watch
        moving += work.tries * work.epochs * epoch
        rate = 1 / rates.learn if rates.learn else 0.0
    spread = max(_LEAST_SPREAD, min(1.0, 2 * rates.spread))
    whole, low = steady + moving, 0.6 * steady + moving * (1 - spread) / _KNOWN_WORSE**0.5
    high = 1.5 * steady + moving * (1 + spread) * _KNOWN_WORSE
    if work.most_seconds:
        # A sweep ends at its time, and what it is at then runs on for a while.
        whole, low = min(whole, work.most_seconds), min(low, work.most_seconds)
        high = min(high, 1.2 * work.most_seconds)
    return Estimate(round(whole, 1), round(low, 1), round(high, 1), round(rate, 1), rates.device)


def _solving(rates: Rates, images: int, times: int) -> float:
    return rates.solve * times * images / 1000


def estimate_values(found: Estimate, rates: Rates) -> dict[str, Any]:
    """What `python -m training trial` prints, and a site keeps for the next time."""
    return {**asdict(found), "rates": asdict(rates)}


def read_rates(values: Mapping[str, Any]) -> Rates | None:
    """The rates among such values; None where they are of another Osprey."""
    try:
        return from_json(Rates, values["rates"])
    except (FieldError, KeyError):
        return None
