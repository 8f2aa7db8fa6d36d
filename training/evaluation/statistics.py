"""Intervals and p-values when images come in groups, and only groups are independent.

Every figure here is a mean over classes of ratios of sums: accuracy, recall, F1 and others are such. Its interval is
that of a bootstrap over groups, worked out as the limit of infinitely many draws: the spread of the groups' jackknife
pseudo-values, which follow the figure where it is no plain mean. Three corrections are for few groups: the factor
sqrt(G / (G - 1)); the quantile of Student's t, its degrees of freedom between the number of groups and the number of
equally large ones that would weigh as much; and one image's worth of doubt, so that differences too rare to have shown
yet are not taken for none. `./osprey bench statistics` measures what this covers; docs/measured.md has other ways too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

Interval = tuple[float, float]

FEWEST_GROUPS = 10
LEVEL = 0.05
FLIPS = 9999
_NORMAL = 1.959963984540054
# With more groups the limit that flips converge to is closer than flips are.
_FLIPPED_UP_TO = 5000
_ENUMERATED_UP_TO = 13
_EXACT_UP_TO = 20_000
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Ratios:
    """Sums by cell, a cell being a group and a class that occur together.

    The figure is the mean, over the classes with support, of sum(numerator) / sum(denominator). `support` counts the
    cell's images of the class by truth; a class without any is no part of the mean.
    """

    group: Ints
    of_class: Ints
    numerator: Floats
    denominator: Floats
    support: Floats
    groups: int
    classes: int


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """A figure, what it is without each group, and each group's share of the weight (shares add up to 1).

    `parts` are what each group adds to the figure, where it is a sum over groups whatever was answered.
    """

    value: float
    without: Floats
    share: Floats
    image_variance: float
    parts: Floats | None = None

    def minus(self, other: LeaveOneOut) -> LeaveOneOut:
        """The difference of two figures on the same images."""
        parts = None if self.parts is None or other.parts is None else self.parts - other.parts
        without = self.without - other.without
        return LeaveOneOut(self.value - other.value, without, self.share, self.image_variance, parts)

    @property
    def groups(self) -> int:
        """Groups that weigh anything."""
        return int((self.share > 0).sum())

    @property
    def standard_error(self) -> float:
        """Of the jackknife over groups; 0 with fewer than two."""
        counted = self.share > 0
        size = int(counted.sum())
        if size < 2:
            return 0.0
        return float(np.sqrt((size - 1) / size * ((self.without[counted] - self.value) ** 2).sum()))

    @property
    def degrees(self) -> float:
        """Degrees of freedom of its interval."""
        return float(degrees_of_freedom(self.groups, float((self.share**2).sum())))

    def contributions(self) -> Floats:
        """Parts by group that add up to the figure: what a group turns round if a and b change places.

        About so where it is no sum over groups, as F1 is none.
        """
        if self.parts is not None:
            return self.parts
        size = max(self.groups, 1)
        return np.asarray(self.share * self.value + (size - 1) / size * (self.value - self.without))


def ratios(
    group: Ints,
    of_class: Ints,
    numerator: Floats,
    denominator: Floats,
    support: Floats,
    *,
    groups: int,
    classes: int,
) -> Ratios:
    """Add up entries (several for an image, if need be) that share group and class."""
    cells, place = np.unique(group.astype(np.int64) * classes + of_class, return_inverse=True)
    sums = [_sums(place, values, len(cells)) for values in (numerator, denominator, support)]
    return Ratios(cells // classes, cells % classes, sums[0], sums[1], sums[2], groups, classes)


def _sums(places: Ints, values: Floats | NDArray[np.bool_], count: int) -> Floats:
    """Sums of the values by place."""
    return np.bincount(places, values, count).astype(np.float64, copy=False)


def by_class(cells: Ratios) -> tuple[Floats, Floats]:
    """The ratio of each class (NaN without support) and its support."""
    numerator = _sums(cells.of_class, cells.numerator, cells.classes)
    denominator = _sums(cells.of_class, cells.denominator, cells.classes)
    support = _sums(cells.of_class, cells.support, cells.classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(support > 0, numerator / denominator, np.nan), support


def leave_one_out(cells: Ratios, *, smooth: bool = False) -> LeaveOneOut:
    """The figure and what it is without each group; a class that leaves with a group leaves the mean.

    `smooth` figures (log-loss) vary from image to image anyway and need no extra doubt.
    """
    values, support = by_class(cells)
    present = support > 0
    count, total = int(present.sum()), float(values[present].sum())
    if count == 0:
        return LeaveOneOut(math.nan, np.full(cells.groups, np.nan), np.zeros(cells.groups), 0.0)
    kept, changed, gone = _changes(cells, values, support)
    loss = _sums(cells.group[kept], changed, cells.groups)
    left = count - _sums(cells.group[kept], gone, cells.groups)
    without = np.where(left > 0, (total + loss) / np.maximum(left, 1), total / count)
    share = _sums(cells.group[kept], (cells.support / np.maximum(support, 1)[cells.of_class])[kept], cells.groups)
    images = float(support.sum())
    variance = 0.0 if smooth else float((1 / support[present]).sum()) / (count**2 * images)
    return LeaveOneOut(total / count, without, share / count, variance, _parts(cells, support, count))


def _parts(cells: Ratios, support: Floats, count: int) -> Floats | None:
    """What each group adds to the figure; None where denominators depend on the answers."""
    if not np.array_equal(cells.denominator, cells.support):
        return None
    return _sums(cells.group, cells.numerator / (support[cells.of_class] * count), cells.groups)


def _changes(cells: Ratios, values: Floats, support: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Cells of classes that are present: how the class's ratio changes without each, and whether the class vanishes."""
    kept = support[cells.of_class] > 0
    of_class = cells.of_class[kept]
    numerator = _sums(cells.of_class, cells.numerator, cells.classes)[of_class] - cells.numerator[kept]
    denominator = _sums(cells.of_class, cells.denominator, cells.classes)[of_class] - cells.denominator[kept]
    gone = support[of_class] - cells.support[kept] < _TINY
    fresh = np.where(gone, 0.0, numerator / np.where(gone, 1.0, denominator))
    return kept, fresh - values[of_class], gone.astype(np.float64)


# ---- intervals -------------------------------------------------------------------------------------------------------


def t_quantile(degrees: Floats | float) -> Floats:
    """The 0.975 quantile of Student's t, by the Cornish-Fisher expansion (within 0.1 % from 4 degrees on)."""
    z, n = _NORMAL, np.maximum(np.asarray(degrees, dtype=np.float64), 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return np.asarray(z + sum(term / n**power for power, term in enumerate(terms, start=1)))


def degrees_of_freedom(groups: Floats | Ints | int, squared_shares: Floats | float) -> Floats:
    """Three quarters of the way from the groups there are to the equally large ones that would weigh as much, less 1.

    At neither end the intervals hold what they say: the first is too many where a few groups are large, the second too
    few. Measured on sizes from all equal to log-normal with a spread of 1.5.
    """
    return np.asarray((np.asarray(groups) + 3 / np.asarray(squared_shares)) / 4 - 1)


def interval(found: LeaveOneOut) -> Interval | None:
    """The 95 % interval of a figure or difference; None under ten groups."""
    if found.groups < FEWEST_GROUPS or not math.isfinite(found.value):
        return None
    error = math.sqrt(found.standard_error**2 + found.image_variance)
    half = float(t_quantile(found.degrees)) * error
    return found.value - half, found.value + half


def class_intervals(cells: Ratios) -> tuple[Floats, Floats, Ints]:
    """For each class the half width of its ratio's interval (NaN under ten groups), its error and its groups."""
    values, support = by_class(cells)
    kept, changed, _ = _changes(cells, values, support)
    of_class, own = cells.of_class[kept], cells.support[kept]
    counted = own > 0
    groups = np.bincount(of_class[counted], minlength=cells.classes).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = _sums(of_class, changed**2, cells.classes) * (groups - 1) / groups
        error = np.sqrt(squares + 1 / support**2)
        shares = _sums(of_class, (own / support[of_class]) ** 2, cells.classes)
        half = t_quantile(degrees_of_freedom(groups, shares)) * error
    return np.where(groups >= FEWEST_GROUPS, half, np.nan), np.where(groups > 1, np.sqrt(squares), np.nan), groups


def share_interval(share: float, error: float, images: float, degrees: float) -> Interval:
    """Wilson's interval of a share of images, for as many independent ones as would give this error over groups."""
    spread = share * (1 - share)
    alike = min(images, spread / error**2) if error > 0 and spread > 0 else images
    z = float(t_quantile(degrees))
    middle = (share + z * z / (2 * alike)) / (1 + z * z / alike)
    half = z / (1 + z * z / alike) * math.sqrt(spread / alike + z * z / (4 * alike**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def proportion(found: LeaveOneOut, images: float) -> Interval | None:
    """The interval of a figure that is a share of images: never outside 0..1, and not empty at its ends."""
    if found.groups < FEWEST_GROUPS or not math.isfinite(found.value):
        return None
    return share_interval(found.value, found.standard_error, images, found.degrees)


# ---- p-values --------------------------------------------------------------------------------------------------------


def sign_flip(contributions: Floats) -> float:
    """Two-sided p of "a and b are alike", by swapping them in whole groups: exact up to 13 groups that differ."""
    parts = contributions[np.abs(contributions) > _TINY * float(np.abs(contributions).max(initial=0.0))]
    if not len(parts):
        return 1.0
    reached = abs(float(parts.sum())) * (1 - _TINY)
    if len(parts) > _FLIPPED_UP_TO:
        return math.erfc(reached / math.sqrt(2 * float((parts**2).sum())))
    if len(parts) <= _ENUMERATED_UP_TO:
        bits = np.arange(2 ** len(parts))[:, None] >> np.arange(len(parts)) & 1
        return float((np.abs((2 * bits - 1) @ parts) >= reached).mean())
    signs = _signs(1 << (len(parts) - 1).bit_length())[:, : len(parts)]
    rows = max(1, 2_000_000 // len(parts))
    sums = np.concatenate([signs[start : start + rows] @ parts for start in range(0, FLIPS, rows)])
    return float(1 + (np.abs(sums) >= reached).sum()) / (FLIPS + 1)


@lru_cache(maxsize=2)
def _signs(width: int) -> NDArray[np.int8] | Floats:
    """As numbers that need no conversion where there are few, else as small as can be."""
    signs = 2 * np.random.default_rng(width).integers(0, 2, (FLIPS, width), dtype=np.int8) - 1
    return signs.astype(np.float64) if width <= 128 else signs


def sign_flip_counts(counts: Ints) -> float:
    """The same for whole numbers (images fixed less images broken by group), exactly."""
    parts = np.abs(counts[counts != 0])
    total, reached = int(parts.sum()), abs(int(counts.sum()))
    if reached == 0:
        return 1.0
    if total > _EXACT_UP_TO or len(parts) > _FLIPPED_UP_TO:
        return sign_flip(counts.astype(np.float64))
    ways = np.zeros(2 * total + 1)
    ways[total] = 1.0
    for part in parts.tolist():
        half = ways / 2
        ways = np.zeros_like(ways)
        ways[part:] += half[: len(half) - part]
        ways[: len(ways) - part] += half[part:]
    return min(1.0, float(ways[: total - reached + 1].sum() + ways[total + reached :].sum()))


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p on images: right only if images are independent, which those of one group are not."""
    total, fewer = fixed + broken, min(fixed, broken)
    if total == 0 or fixed == broken:
        return 1.0
    ranks = np.arange(1, fewer + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(total - ranks + 1) - np.log(ranks))]) - total * math.log(2)
    top = float(logs.max())
    return min(1.0, 2 * math.exp(top) * float(np.exp(logs - top).sum()))


# ---- many at once ----------------------------------------------------------------------------------------------------


def holm(found: Floats) -> Floats:
    """p-values corrected for how many there are (chance that any is a false alarm); NaN are none and stay."""
    return _stepwise(found, lambda count: np.arange(count, 0, -1.0), np.maximum.accumulate)


def benjamini_hochberg(found: Floats) -> Floats:
    """p-values corrected so that a share of at most p of those called different is not; NaN are none and stay."""

    def from_largest(values: Floats) -> Floats:
        return np.asarray(np.minimum.accumulate(values[::-1])[::-1])

    return _stepwise(found, lambda count: count / np.arange(1.0, count + 1), from_largest)


def _stepwise(found: Floats, factors: Callable[[int], Floats], running: Callable[[Floats], Floats]) -> Floats:
    corrected = np.full(len(found), np.nan)
    there = np.flatnonzero(np.isfinite(found))
    order = there[np.argsort(found[there], kind="stable")]
    corrected[order] = np.minimum(1.0, running(found[order] * factors(len(order))))
    return corrected
