"""Outcomes and manifests by hand, for tests of reports and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.colour_versions import COLOURS
from training.contract import (
    TEST,
    ManifestHead,
    ManifestLabel,
    ManifestLine,
    Measured,
    Outcome,
    Report,
    digest_of,
    head_text,
    line_text,
)
from training.evaluation.compare import Side
from training.evaluation.seen import Seen

LABELS = tuple(ManifestLabel(key, key.title()) for key in COLOURS)


def sha(number: int) -> str:
    return f"{number:064x}"


def outcome(image: int, truth: str, answer: str, *, group: str = "", score: float = 0.9, **other: object) -> Outcome:
    """An answer with the rest of the score on the truth, when that is another."""
    right = truth == answer
    left = 1 - score
    top = ((answer, score),) if right else ((answer, score), (truth, left))
    plain = Outcome(
        image=image,
        sha256=sha(image),
        group=group,
        truth=truth,
        answer=answer,
        score=score,
        truth_score=score if right else left,
        truth_rank=1 if right else 2,
        top=top,
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def manifest(path: Path, lines: Sequence[ManifestLine], *, labels: Sequence[ManifestLabel] = LABELS) -> Path:
    """A manifest file of these lines."""
    head = ManifestHead(project="colours", seed=1, labels=tuple(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head_text(head) + "".join(line_text(line) for line in lines), encoding="utf-8")
    return path


def lines_of(outcomes: Sequence[Outcome], **fields: object) -> list[ManifestLine]:
    """The test part that these outcomes are of."""
    plain = [
        ManifestLine(image=one.image, sha256=one.sha256, part=TEST, label=one.truth, group=one.group)
        for one in outcomes
    ]
    return [replace(line, **fields) for line in plain]  # type: ignore[arg-type]


def report(path: Path, name: str, *, labels: Sequence[str] = COLOURS, **other: object) -> Report:
    """A report as evaluate would write it of this manifest; only what a comparison looks at is filled."""
    plain = Report(
        version=f"{name:0<64}"[:64],
        name=name,
        snapshot=digest_of(path),
        part=TEST,
        images=1,
        groups=1,
        labels=tuple(labels),
        metrics={"accuracy": Measured(0.5)},
    )
    return replace(plain, **other)  # type: ignore[arg-type]


def side(path: Path, name: str, outcomes: Sequence[Outcome], **other: object) -> Side:
    """A version that saw nothing of the test part, unless `seen` says so."""
    labels = other.pop("labels", COLOURS)
    about: Mapping[str, object] = {"seen": Seen(frozenset({sha(10**9)})), **other}
    return Side(report=report(path, name, labels=labels), outcomes=outcomes, **about)  # type: ignore[arg-type]


def pair(
    groups: int, size: int, right_a: float, right_b: float, *, seed: int = 0
) -> tuple[list[Outcome], list[Outcome]]:
    """Two versions on the same images, independently right with these probabilities."""
    random = np.random.default_rng(seed)
    sides: tuple[list[Outcome], list[Outcome]] = ([], [])
    for image in range(groups * size):
        truth = COLOURS[int(random.integers(3))]
        other = COLOURS[(COLOURS.index(truth) + 1) % 3]
        for found, share in zip(sides, (right_a, right_b), strict=True):
            answer = truth if random.random() < share else other
            found.append(outcome(image + 1, truth, answer, group=f"g{image // size}"))
    return sides
