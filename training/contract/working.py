"""Heads that learn while people work: what they learn from, what they are scored on, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FEWEST_GROUPS_MONITORED = 20
"""Below so many groups no head is offered: what the interval rests on is not there yet."""


@dataclass(frozen=True, slots=True)
class HeadVerdict:
    """What a person said of an image; `before` is what the version that suggests had said, to be scored against."""

    sha256: str
    truth: str
    group: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """One group of images that hang together: how many were right by the head, and by what suggested before."""

    group: str
    images: int
    right: int
    before: int


@dataclass(frozen=True, slots=True)
class HeadScore:
    """A head, and those before it in one chain, on verdicts that each had not seen.

    `interval` holds at every look at once (95 %); `is_better` is said when it lies above zero.
    """

    images: int
    groups: int
    right: int
    before: int
    difference: float
    interval: tuple[float, float] | None
    is_better: bool
    own: tuple[GroupScore, ...] = ()


def write_verdicts(path: Path, verdicts: Iterable[HeadVerdict]) -> int:
    """One JSON line each; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for one in verdicts:
            file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_verdicts(path: Path) -> Iterator[HeadVerdict]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield HeadVerdict(**json.loads(line))


def group_values(parts: Iterable[GroupScore]) -> list[list[Any]]:
    """As they are kept: short, since a project may have thousands."""
    return [[one.group, one.images, one.right, one.before] for one in parts]


def parse_groups(values: Iterable[Iterable[Any]]) -> list[GroupScore]:
    return [GroupScore(*one) for one in values]


def score_values(score: HeadScore) -> dict[str, Any]:
    values = {name: value for name, value in asdict(score).items() if name != "own"}
    return {**values, "own": group_values(score.own)}


def parse_score(values: Mapping[str, Any]) -> HeadScore:
    span = values["interval"]
    named = {**values, "interval": (span[0], span[1]) if span else None, "own": tuple(parse_groups(values["own"]))}
    return HeadScore(**named)
