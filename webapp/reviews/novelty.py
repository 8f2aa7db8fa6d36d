"""Images nobody has looked at that are worth a look: unlike all that is labelled, or perhaps of a rare label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from webapp.projects.models import Label, Project
from webapp.reviews import findings
from webapp.reviews.labelled import Labelled, labelled, unlabelled
from webapp.reviews.minimums import minimums_of
from webapp.reviews.models import Finding
from webapp.reviews.numeric.spaces import nearest, nearest_other, reduced
from webapp.reviews.vectors import Vectors

FEWEST = 20
REFERENCES = 20_000
PER_LABEL = 400
USUAL = 0.99
MOST = 2000
ALIKE = 0.5
Kind = Finding.Kind


def find_novel(project: Project, embedded: Vectors | None) -> dict[str, int]:
    """Replace the findings "looks new" and "perhaps a rare label"; returns how many are open."""
    known = labelled(project)
    asked, machine = unlabelled(project)
    new: list[Finding] = []
    rare: list[Finding] = []
    if embedded is not None and len(known.ids) >= FEWEST and len(asked):
        chosen = _references(known, embedded)
        rows = embedded.find(asked)
        there = np.flatnonzero(rows >= 0)
        both = reduced(embedded.matrix[np.concatenate([embedded.find(known.ids[chosen]), rows[there]])])
        references, vectors = both[: len(chosen)], both[len(chosen) :]
        if len(chosen) >= FEWEST and len(there):
            where, near = nearest(vectors, references)
            labels = known.labels[chosen[where]]
            usual = _usual_gap(references)
            new = _new(project, asked[there], 1.0 - near, labels, usual)
            rare = _rare(project, known, asked[there], machine[there], labels, near)
    return {
        "looks_new": findings.replace(project=project, kind=Kind.LOOKS_NEW, found=new),
        "rare": findings.replace(project=project, kind=Kind.RARE, found=rare),
    }


def _references(known: Labelled, embedded: Vectors) -> NDArray[np.int64]:
    """Positions of labelled images that stand for the rest: at most 400 of each label, rare labels whole."""
    have = np.flatnonzero(embedded.find(known.ids) >= 0)
    random = np.random.default_rng(0).random(len(have))
    order = np.lexsort((random, known.labels[have]))
    labels = known.labels[have][order]
    begins = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if len(labels) else np.empty(0, dtype=np.int64)
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.r_[begins, len(order)]))
    kept = order[rank < PER_LABEL]
    kept = kept[np.argsort(rank[rank < PER_LABEL], kind="stable")][:REFERENCES]
    return np.sort(have[kept])


def _usual_gap(references: NDArray[np.float32]) -> float:
    """How far labelled images lie from the nearest other labelled one, but for the farthest of a hundred."""
    _, near = nearest_other(references, references, np.arange(len(references)))
    return max(1e-3, float(np.quantile(1.0 - near, USUAL)))


def _new(
    project: Project, ids: NDArray[np.int64], gap: NDArray[np.float32], labels: NDArray[np.int64], usual: float
) -> list[Finding]:
    names = dict(Label.objects.filter(project=project).values_list("pk", "name"))
    far = np.flatnonzero(gap > usual)
    far = far[np.argsort(-gap[far], kind="stable")][:MOST]
    return [
        Finding(
            image_id=int(ids[place]),
            score=float(gap[place] / usual),
            why=f"Unlike anything labelled so far; the least unlike is {names[int(labels[place])]}",
            detail={"distance": round(float(gap[place]), 4), "usual": round(usual, 4)},
        )
        for place in far.tolist()
    ]


def _rare(
    project: Project,
    known: Labelled,
    ids: NDArray[np.int64],
    machine: NDArray[np.int64],
    labels: NDArray[np.int64],
    near: NDArray[np.float32],
) -> list[Finding]:
    """What the machine, or the most alike labelled image, calls by a label of which there are too few."""
    names = dict(Label.objects.filter(project=project, kind=Label.Kind.NORMAL).values_list("pk", "name"))
    counted = dict(zip(*(part.tolist() for part in np.unique(known.labels, return_counts=True)), strict=True))
    fewest = minimums_of(project).images
    rare = np.array([label for label in names if 0 < counted.get(label, 0) < fewest], dtype=np.int64)
    by_machine, by_nearest = np.isin(machine, rare), np.isin(labels, rare) & (near >= ALIKE)
    places = np.flatnonzero(by_machine | by_nearest)
    score = near[places] + np.where(by_machine[places], 0.5, 0.0) + 1.0 / _counts(counted, labels[places])
    found = []
    for place, value in zip(places.tolist(), score.tolist(), strict=True):
        label = int(machine[place] if by_machine[place] else labels[place])
        says = "The machine calls it" if by_machine[place] else "The most alike labelled picture is"
        words = f"{says} {names[label]}, of which there are only {counted[label]}"
        found.append(Finding(image_id=int(ids[place]), score=float(value), label_id=label, why=words))
    return sorted(found, key=lambda one: -one.score)[:MOST]


def _counts(counted: dict[int, int], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([counted.get(label, 1) for label in labels.tolist()], dtype=np.float64)
