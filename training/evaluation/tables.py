"""Outcomes as arrays: the same images, groups and labels as numbers, for one version or for two beside each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from training.contract import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Table:
    """One row an image. `truth` and `answer` are places in `keys`; `raw` is NaN where no raw score is known."""

    keys: tuple[str, ...]
    image: Ints
    group: Ints
    groups: int
    truth: Ints
    answer: Ints
    score: Floats
    truth_score: Floats
    rank: Ints
    raw: Floats
    failed: Flags

    def __len__(self) -> int:
        return len(self.image)

    @property
    def right(self) -> Flags:
        return np.asarray(self.truth == self.answer)

    def only(self, rows: Flags) -> Table:
        """Some of the rows; groups keep their numbers."""
        names = ("image", "group", "truth", "answer", "score", "truth_score", "rank", "raw", "failed")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def canonical(key: str, merges: Mapping[str, str]) -> str:
    """What a label was merged into in the end."""
    seen = {key}
    while (merged := merges.get(key)) is not None and merged not in seen:
        seen.add(merged)
        key = merged
    return key


def translated(outcome: Outcome, merges: Mapping[str, str]) -> Outcome:
    """The outcome in today's labels: what was merged answers together.

    Only the best five answers are at hand; what a merged label scored beyond them is not added.
    """
    if not merges or merges.keys().isdisjoint((outcome.truth, outcome.answer, *(key for key, _ in outcome.top))):
        return outcome
    truth = canonical(outcome.truth, merges)
    sums: dict[str, float] = {}
    for key, score in outcome.top:
        sums[canonical(key, merges)] = sums.get(canonical(key, merges), 0.0) + score
    top = tuple(sorted(sums.items(), key=lambda pair: -pair[1]))
    place = next((number for number, (key, _) in enumerate(top, start=1) if key == truth), 0)
    answer = top[0][0] if top else canonical(outcome.answer, merges)
    return replace(
        outcome,
        truth=truth,
        answer=answer,
        score=sums.get(answer, outcome.score),
        truth_score=max(outcome.truth_score, sums.get(truth, 0.0)),
        truth_rank=place or outcome.truth_rank,
        top=top,
    )


def table_of(outcomes: Sequence[Outcome]) -> Table:
    """One version's outcomes."""
    (table,) = aligned(outcomes)
    return table


def aligned(*sides: Sequence[Outcome]) -> tuple[Table, ...]:
    """Tables that share keys and groups; the sides hold the same images in the same order."""
    keys = tuple(sorted({key for side in sides for one in side for key in (one.truth, one.answer)}))
    places = {key: place for place, key in enumerate(keys)}
    names = [group_of(one) for one in sides[0]]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    group = np.array([numbers[name] for name in names], dtype=np.int64)
    return tuple(_table(side, keys, places, group, len(numbers)) for side in sides)


def group_of(outcome: Outcome) -> str:
    """Its group; an image without one stands for itself."""
    return outcome.group or f"image {outcome.image}"


def _table(
    outcomes: Sequence[Outcome], keys: tuple[str, ...], places: Mapping[str, int], group: Ints, groups: int
) -> Table:
    def whole(values: Iterable[int]) -> Ints:
        return np.fromiter(values, dtype=np.int64, count=len(outcomes))

    def real(values: Iterable[float]) -> Floats:
        return np.fromiter(values, dtype=np.float64, count=len(outcomes))

    return Table(
        keys=keys,
        image=whole(one.image for one in outcomes),
        group=group,
        groups=groups,
        truth=whole(places[one.truth] for one in outcomes),
        answer=whole(places[one.answer] for one in outcomes),
        score=real(one.score for one in outcomes),
        truth_score=real(one.truth_score for one in outcomes),
        rank=whole(one.truth_rank for one in outcomes),
        raw=real(np.nan if one.raw_score is None else one.raw_score for one in outcomes),
        failed=np.fromiter((bool(one.failure) for one in outcomes), dtype=np.bool_, count=len(outcomes)),
    )
