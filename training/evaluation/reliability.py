"""How far scores can be believed: the reliability diagram, and what it buys to have doubtful answers reviewed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from training.contract import FEWEST_GROUPS, Bin, Promise, RejectPoint, Reliability
from training.evaluation.statistics import degrees_of_freedom, share_interval
from training.evaluation.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

BINS = 15
CURVE_POINTS = 100
PROMISES = (0.01, 0.02, 0.05, 0.10)
_CANDIDATES = 60


def reliability(scores: Floats, right: Flags) -> Reliability | None:
    """Expected calibration error over equally wide bins; None where a score is not known."""
    if not len(scores) or not np.isfinite(scores).all():
        return None
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    mean, share = (np.bincount(place, values, BINS) / np.maximum(counts, 1) for values in (scores, right))
    ece = float((counts * np.abs(mean - share)).sum() / len(scores))
    bins = tuple(
        Bin(one / BINS, (one + 1) / BINS, int(counts[one]), float(mean[one]), float(share[one]))
        for one in np.flatnonzero(counts).tolist()
    )
    return Reliability(ece, bins)


def reject_curve(scores: Floats, right: Flags) -> tuple[RejectPoint, ...]:
    """What is kept, and what of it is wrong, for at most a hundred thresholds from the lowest up."""
    if not len(scores):
        return ()
    order = np.argsort(-scores, kind="stable")
    ranked, wrong = scores[order], np.cumsum(~right[order])
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    if len(ends) > CURVE_POINTS:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, CURVE_POINTS).astype(np.int64))]
    return tuple(
        RejectPoint(float(ranked[end]), float((end + 1) / len(scores)), float(wrong[end] / (end + 1)))
        for end in ends[::-1].tolist()
    )


def promises(table: Table, *, at_most: Iterable[float] = PROMISES) -> tuple[Promise, ...]:
    """For each share of wrong answers the lowest threshold that keeps it, with 95 % confidence over groups.

    In under ten groups no confidence can be had: then it is the share that was found, and `upper` is 1.
    """
    if not len(table):
        return tuple(Promise(share, None) for share in at_most)
    marks = np.unique(np.quantile(table.score, np.linspace(0, 1, _CANDIDATES)))
    found = [_at_threshold(table, float(mark)) for mark in marks]
    sure = table.groups >= FEWEST_GROUPS
    return tuple(_lowest(found, share, sure=sure) for share in at_most)


def _lowest(found: Sequence[Promise], share: float, *, sure: bool) -> Promise:
    for one in found:
        if (one.upper if sure else one.wrong) <= share:
            return replace(one, at_most=share)
    return Promise(share, None)


def _at_threshold(table: Table, threshold: float) -> Promise:
    kept = table.score >= threshold
    images = np.bincount(table.group[kept], minlength=table.groups).astype(np.float64)
    wrong = np.bincount(table.group[kept & ~table.right], minlength=table.groups)
    total, share = float(images.sum()), float(wrong.sum() / images.sum())
    counted = images > 0
    groups = int(counted.sum())
    upper = 1.0
    if groups >= FEWEST_GROUPS:
        away = (wrong - share * images)[counted] / (total - images[counted])
        error = math.sqrt((groups - 1) / groups * float((away**2).sum()))
        degrees = float(degrees_of_freedom(groups, float(((images / total) ** 2).sum())))
        upper = share_interval(share, error, total, degrees)[1]
    return Promise(0.0, threshold, total / len(table), share, upper)
