"""Whether b is better than a: difference, interval, p and a verdict that needs both to agree."""

from __future__ import annotations

from collections.abc import Mapping

from training.contract import FEWEST_GROUPS, LOWER_IS_BETTER, Difference, Interval, Verdict
from training.evaluation.statistics import LEVEL, LeaveOneOut, interval, sign_flip

TOO_FEW: Verdict = "too few groups"
UNBOUNDED = frozenset({"log_loss"})
"""Every other figure is a share, so no two of them are further apart than 1."""


def judged(a: Mapping[str, LeaveOneOut], b: Mapping[str, LeaveOneOut]) -> dict[str, Difference]:
    """Every figure that both sides have, b against a, on the same images."""
    return {name: difference(name, a[name], b[name]) for name in a if name in b}


def difference(name: str, a: LeaveOneOut, b: LeaveOneOut) -> Difference:
    """One figure. The p is that of swapping the versions in whole groups."""
    change = b.minus(a)
    span = interval(change)
    if span is not None and name not in UNBOUNDED:
        span = (max(-1.0, span[0]), min(1.0, span[1]))
    p = None if span is None else sign_flip(change.contributions())
    return Difference(a.value, b.value, change.value, span, p, verdict(name, change.groups, span, p))


def verdict(name: str, groups: int, span: Interval | None, p: float | None) -> Verdict:
    """Better or worse only when the interval leaves out zero and the p is small."""
    if groups < FEWEST_GROUPS or span is None or p is None:
        return TOO_FEW
    if p > LEVEL or span[0] <= 0 <= span[1]:
        return "no evidence"
    return "better" if (span[0] > 0) != (name in LOWER_IS_BETTER) else "worse"
