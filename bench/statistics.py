"""How often the intervals of a comparison hold the true difference, and how often two equal versions are told apart.

    ./osprey bench statistics [--pairs 300] [--groups 10,30,100] [--json]

Pairs of versions are drawn whose true figures are known and whose errors hang together within groups; each pair is
judged as `training compare` judges it. Coverage should be 95 %, false alarms at most 5 %.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.judging import difference
from training.evaluation.metrics import figure
from training.evaluation.statistics import interval
from training.evaluation.tables import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "map5")


@dataclass(frozen=True)
class World:
    """Two versions and the places they are tested in.

    Label c makes up `shares[c]` of the images; a group has its own mix of labels, the more so the smaller `mixing`.
    `recall_a` and `recall_b` are by label. Of what decides whether an answer is right, `by_group` is common to a group,
    `by_group_and_version` to a group and one version, `by_image` to an image. Sizes of groups are log-normal.
    """

    name: str
    shares: tuple[float, ...]
    recall_a: tuple[float, ...]
    recall_b: tuple[float, ...]
    size: float = 20.0
    size_spread: float = 0.0
    mixing: float = 2.0
    by_group: float = 0.1
    by_group_and_version: float = 0.1
    by_image: float = 0.4

    def alike(self) -> World:
        """The same with two versions that are equally good."""
        return replace(self, recall_b=self.recall_a)

    def truth(self) -> dict[str, float]:
        """The true differences, b - a."""
        a, b = (_truth(np.array(self.shares), np.array(recall)) for recall in (self.recall_a, self.recall_b))
        return {name: b[name] - a[name] for name in a}


def _truth(shares: Floats, recall: Floats) -> dict[str, float]:
    wrong = shares * (1 - recall)
    answered = shares * recall + (wrong.sum() - wrong) / (len(shares) - 1)
    accuracy = float(shares @ recall)
    return {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float((2 * shares * recall / (shares + answered)).mean()),
        "log_loss": 2 * (1 - accuracy),
        "map5": accuracy + (1 - accuracy) / 2,
    }


EVEN = (0.25, 0.25, 0.25, 0.25)
TAIL = tuple(1 / rank / sum(1 / other for other in range(1, 9)) for rank in range(1, 9))
WORLDS = (
    World("even groups of 20", EVEN, (0.80,) * 4, (0.84,) * 4),
    World("strongly alike within groups", EVEN, (0.80,) * 4, (0.84,) * 4, by_group_and_version=0.3),
    World("unequal groups (2 to 300)", EVEN, (0.80,) * 4, (0.84,) * 4, size=20, size_spread=1.0),
    World("long tail of 8 labels", TAIL, (0.85,) * 8, (0.88,) * 4 + (0.80,) * 4, size=60, size_spread=0.5, mixing=20),
    World("rare differences", EVEN, (0.96,) * 4, (0.97,) * 4, by_group_and_version=0.05, by_image=0.7),
)


def draw(world: World, groups: int, random: np.random.Generator) -> tuple[Table, Table]:
    """Two tables of the same images."""
    sizes = np.maximum(
        1, np.round(world.size * np.exp(world.size_spread * random.standard_normal(groups) - world.size_spread**2 / 2))
    ).astype(np.int64)
    shares = np.array(world.shares)
    mixes = random.dirichlet(shares * world.mixing * len(shares), groups)
    group = np.repeat(np.arange(groups), sizes)
    truth = (random.random(len(group))[:, None] > mixes.cumsum(axis=1)[group]).sum(axis=1).clip(0, len(shares) - 1)
    common = math.sqrt(world.by_group) * random.standard_normal(groups)[group]
    common += math.sqrt(world.by_image) * random.standard_normal(len(group))
    rest = 1 - world.by_group - world.by_image - world.by_group_and_version
    sides = []
    for recall in (world.recall_a, world.recall_b):
        own = math.sqrt(world.by_group_and_version) * random.standard_normal(groups)[group]
        hard = common + own + math.sqrt(rest) * random.standard_normal(len(group))
        sides.append(_side(hard, truth, group, groups, recall, np.array(world.shares), random))
    return sides[0], sides[1]


def _side(
    hard: Floats,
    truth: Ints,
    group: Ints,
    groups: int,
    recall: tuple[float, ...],
    shares: Floats,
    random: np.random.Generator,
) -> Table:
    limits = np.array([NormalDist().inv_cdf(share) for share in recall])
    right = hard < limits[truth]
    other = (truth + random.integers(1, len(recall), len(truth))) % len(recall)
    loss = 2 * (1 - float(shares @ np.array(recall))) * np.exp(0.5 * hard - 0.125)
    return Table(
        keys=tuple(f"label {place}" for place in range(len(recall))),
        image=np.arange(len(truth)),
        group=group,
        groups=groups,
        truth=truth,
        answer=np.where(right, truth, other),
        score=np.exp(-loss),
        truth_score=np.exp(-loss),
        rank=np.where(right, 1, 2),
        raw=np.full(len(truth), np.nan),
        failed=np.zeros(len(truth), np.bool_),
    )


def coverage(world: World, groups: int, pairs: int, seed: int, names: Sequence[str] = FIGURES) -> dict[str, float]:
    """For each figure the share of pairs whose interval holds the true difference."""
    truth, random = world.truth(), np.random.default_rng(seed)
    held = dict.fromkeys(names, 0)
    for _ in range(pairs):
        a, b = draw(world, groups, random)
        for name in names:
            low, high = interval(figure(name, b).minus(figure(name, a))) or (math.nan, math.nan)
            held[name] += low <= truth[name] <= high
    return {name: count / pairs for name, count in held.items()}


def false_alarms(world: World, groups: int, pairs: int, seed: int, names: Sequence[str] = FIGURES) -> dict[str, float]:
    """For each figure the share of pairs of equals that are called better or worse, and with p of at most 0.05."""
    random = np.random.default_rng(seed)
    told: dict[str, int] = {name: 0 for one in names for name in (one, f"{one} p")}
    for _ in range(pairs):
        a, b = draw(world.alike(), groups, random)
        for name in names:
            found = difference(name, figure(name, a), figure(name, b))
            told[name] += found.verdict in ("better", "worse")
            told[f"{name} p"] += found.p is not None and found.p <= 0.05
    return {name: count / pairs for name, count in told.items()}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for world in WORLDS:
        for groups in options.groups:
            held = coverage(world, groups, options.pairs, seed=groups)
            told = false_alarms(world, groups, options.pairs, seed=groups + 1)
            rows.append({"world": world.name, "groups": groups, "coverage": held, "false_alarms": told})
            if not options.json:
                _say(rows[-1])
    return rows


def _say(row: Mapping[str, Any]) -> None:
    held = "  ".join(f"{100 * row['coverage'][name]:5.1f}" for name in FIGURES)
    told = "  ".join(
        f"{100 * row['false_alarms'][name]:4.1f} ({100 * row['false_alarms'][name + ' p']:.1f})" for name in FIGURES
    )
    print(f"{row['world']:<30}{row['groups']:>4}   {held}   {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="osprey bench statistics", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=300, help="pairs of versions for each line")
    parser.add_argument("--groups", type=lambda text: [int(one) for one in text.split(",")], default=[10, 30, 100])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    begun = time.perf_counter()
    if not options.json:
        print(f"{'':<30}{'G':>4}   intervals that hold the truth, %    equals called different, % (p <= 0.05, %)")
        print(f"{'':<34}   {', '.join(FIGURES)}: in this order, twice")
    rows = measure(options)
    if options.json:
        print(json.dumps({"pairs": options.pairs, "rows": rows}))
        return
    chance = 196 * math.sqrt(0.05 * 0.95 / options.pairs)
    words = f"by chance alone a figure is up to {chance:.1f} points off, 1 in 20 by more"
    print(f"{options.pairs} pairs a line, so that {words}; {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
