"""The figures of a version on images whose truth is known, each as sums by group so that its interval can follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.contract import TOP, Cell, ClassReport, Interval, Measured
from training.evaluation.statistics import (
    LeaveOneOut,
    Ratios,
    by_class,
    class_intervals,
    degrees_of_freedom,
    interval,
    leave_one_out,
    proportion,
    ratios,
    share_interval,
)
from training.evaluation.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

# A score of nothing for the truth would make the loss infinite; float32 scores are no finer than this.
LEAST_SCORE = 1e-7
# Labels with this many images in training, as is usual for long tails: more than 100, 20 to 100, fewer than 20.
MANY, FEW = 100, 20
BANDS = ("many_shot_recall", "medium_shot_recall", "few_shot_recall")
SHARES = frozenset({"accuracy", f"top{TOP}"})


def figures(table: Table, *, trained_on: Mapping[str, int] | None = None) -> dict[str, LeaveOneOut]:
    """Every figure by name. Bands need to know how many images of each label were trained on."""
    found = {name: figure(name, table) for name in FIGURES}
    if trained_on is not None:
        counts = np.array([trained_on.get(key, 0) for key in table.keys])[table.truth]
        rows = (counts > MANY, (counts >= FEW) & (counts <= MANY), counts < FEW)
        for name, kept in zip(BANDS, rows, strict=True):
            if kept.any():
                found[name] = figure("balanced_accuracy", table.only(kept))
    return found


def figure(name: str, table: Table) -> LeaveOneOut:
    """One of FIGURES."""
    return leave_one_out(FIGURES[name](table), smooth=name == "log_loss")


def measured(name: str, found: LeaveOneOut, images: int) -> Measured:
    """A figure with its interval; shares of images have one that stays within 0 and 1."""
    span = proportion(found, images) if name in SHARES else interval(found)
    if span is not None and name not in SHARES:
        span = (max(0.0, span[0]), span[1] if name == "log_loss" else min(1.0, span[1]))
    return Measured(found.value, span, found.groups)


def _reciprocal(rank: Ints) -> Floats:
    return np.where((rank > 0) & (rank <= TOP), 1.0 / np.maximum(rank, 1), 0.0)


def _overall(table: Table, values: Floats) -> Ratios:
    """A plain mean over images."""
    ones = np.ones(len(table))
    return ratios(table.group, np.zeros(len(table), np.int64), values, ones, ones, groups=table.groups, classes=1)


def recalls(table: Table, values: Floats) -> Ratios:
    """A mean by label of the truth; with `values` 1 for each right answer: recall."""
    ones = np.ones(len(table))
    return ratios(table.group, table.truth, values, ones, ones, groups=table.groups, classes=len(table.keys))


def _f1(table: Table) -> Ratios:
    """2 tp / (images of the label + answers of the label)."""
    right, ones = table.right.astype(np.float64), np.ones(len(table))
    return ratios(
        np.concatenate([table.group, table.group]),
        np.concatenate([table.truth, table.answer]),
        np.concatenate([2 * right, 0 * ones]),
        np.concatenate([ones, ones]),
        np.concatenate([ones, 0 * ones]),
        groups=table.groups,
        classes=len(table.keys),
    )


FIGURES: Mapping[str, Callable[[Table], Ratios]] = {
    "accuracy": lambda table: _overall(table, table.right.astype(np.float64)),
    "balanced_accuracy": lambda table: recalls(table, table.right.astype(np.float64)),
    "macro_f1": _f1,
    "log_loss": lambda table: _overall(table, -np.log(np.clip(table.truth_score, LEAST_SCORE, 1.0))),
    f"top{TOP}": lambda table: _overall(table, ((table.rank > 0) & (table.rank <= TOP)).astype(np.float64)),
    f"map{TOP}": lambda table: _overall(table, _reciprocal(table.rank)),
}
"""Name -> sums by group; figures of a version on whatever images are in the table."""


# ---- by label --------------------------------------------------------------------------------------------------------


def class_reports(
    table: Table, names: Mapping[str, str], *, trained_on: Mapping[str, int] | None, known: frozenset[str]
) -> tuple[ClassReport, ...]:
    """Every label of the truth, with precision, recall, F1 and their intervals."""
    right = table.right.astype(np.float64)
    recall = _Shares(recalls(table, right))
    ones = np.ones(len(table))
    precision = _Shares(
        ratios(table.group, table.answer, right, ones, ones, groups=table.groups, classes=len(table.keys))
    )
    f1 = _Spans(_f1(table))
    return tuple(
        ClassReport(
            key=table.keys[place],
            name=names.get(table.keys[place], table.keys[place]),
            images=int(recall.images[place]),
            groups=int(recall.groups[place]),
            answered=int(precision.images[place]),
            recall=recall.of(place),
            precision=precision.of(place) if precision.images[place] else None,
            f1=f1.of(place),
            trained_on=None if trained_on is None else trained_on.get(table.keys[place], 0),
            known=table.keys[place] in known,
        )
        for place in np.flatnonzero(recall.images).tolist()
    )


class _Spans:
    """A figure of each class with its interval."""

    def __init__(self, cells: Ratios) -> None:
        self.values, self.images = by_class(cells)
        self.half, self.error, self.groups = class_intervals(cells)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = cells.support / self.images[cells.of_class]
        self.shares = np.bincount(cells.of_class, np.nan_to_num(part) ** 2, cells.classes)

    def of(self, place: int) -> Measured:
        return Measured(float(self.values[place]), self.span(place), int(self.groups[place]))

    def span(self, place: int) -> Interval | None:
        half, value = float(self.half[place]), float(self.values[place])
        return (max(0.0, value - half), min(1.0, value + half)) if np.isfinite(half) else None


class _Shares(_Spans):
    """The same for shares of images."""

    def span(self, place: int) -> Interval | None:
        if not np.isfinite(self.half[place]):
            return None
        degrees = float(degrees_of_freedom(int(self.groups[place]), float(self.shares[place])))
        return share_interval(float(self.values[place]), float(self.error[place]), float(self.images[place]), degrees)


def confusion(table: Table) -> tuple[Cell, ...]:
    """Truth x answer, cells with images only."""
    cells, counts = np.unique(table.truth * len(table.keys) + table.answer, return_counts=True)
    pairs = zip((cells // len(table.keys)).tolist(), (cells % len(table.keys)).tolist(), counts.tolist(), strict=True)
    return tuple(Cell(table.keys[truth], table.keys[answer], images) for truth, answer, images in pairs)
