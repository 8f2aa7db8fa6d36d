"""Whether heads that learn while people work are better, looked at again after each verdict.

Each verdict is first predicted, then learned from (Dawid, "Statistical theory: the prequential approach", 1984), so
that a chain of heads is scored on nothing it has seen. An interval for one look would find something sooner or later if
it is looked at often enough. So the interval is an asymptotic confidence sequence, whose 95 % hold at all looks
together (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 2024), around the difference by groups of `training.evaluation.statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from training.contract.working import FEWEST_GROUPS_MONITORED, GroupScore, HeadScore
from training.evaluation.statistics import LeaveOneOut, leave_one_out, ratios, t_quantile

LEVEL = 0.05
SHARPEST_AT = 60
"""Groups at which the sequence is as narrow as it can be; at other numbers it is a little wider."""
_NORMAL = 1.959963984540054


def merged(parts: Iterable[GroupScore]) -> list[GroupScore]:
    """Groups that several heads of a chain were scored on are one each, in order of their first image."""
    found: dict[str, GroupScore] = {}
    for one in parts:
        known = found.get(one.group, GroupScore(one.group, 0, 0, 0))
        found[one.group] = GroupScore(
            one.group, known.images + one.images, known.right + one.right, known.before + one.before
        )
    return [one for one in found.values() if one.images]


def monitored(chain: Sequence[GroupScore], own: Sequence[GroupScore] = ()) -> HeadScore:
    """The chain's score: counts, difference, its interval for all looks, and whether that lies above zero."""
    parts = merged(chain)
    images = sum(one.images for one in parts)
    right, before = sum(one.right for one in parts), sum(one.before for one in parts)
    span = _interval(parts)
    return HeadScore(
        images=images,
        groups=len(parts),
        right=right,
        before=before,
        difference=(right - before) / images if images else 0.0,
        interval=span,
        is_better=span is not None and span[0] > 0,
        own=tuple(own),
    )


def _interval(parts: Sequence[GroupScore]) -> tuple[float, float] | None:
    if len(parts) < FEWEST_GROUPS_MONITORED:
        return None
    found = _difference(parts)
    error = math.sqrt(found.standard_error**2 + found.image_variance)
    few = float(t_quantile(found.degrees)) / _NORMAL
    half = boundary(len(parts)) * few * error
    return max(-1.0, found.value - half), min(1.0, found.value + half)


def _difference(parts: Sequence[GroupScore]) -> LeaveOneOut:
    images = np.array([one.images for one in parts], dtype=np.float64)
    gained = np.array([one.right - one.before for one in parts], dtype=np.float64)
    number = np.arange(len(parts))
    cells = ratios(number, np.zeros_like(number), gained, images, images, groups=len(parts), classes=1)
    return leave_one_out(cells)


def boundary(groups: int, level: float = LEVEL) -> float:
    """How many standard errors the interval reaches, so that it holds at all numbers of groups together."""
    least = -2 * math.log(level)
    spread = (least + math.log(least) + 1) / SHARPEST_AT
    time = groups * spread + 1
    return math.sqrt(2 * time / (groups * spread) * math.log(math.sqrt(time) / level))
