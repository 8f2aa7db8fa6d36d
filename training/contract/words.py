"""Figures and their differences as people read them: shares in percent, what lies between two shares in points."""

from __future__ import annotations

from collections.abc import Sequence

from training.contract.report import LOWER_IS_BETTER


def is_share(figure: str) -> bool:
    """Whether a figure is a share of images or labels; the others are losses, which have no unit."""
    return figure not in LOWER_IS_BETTER


def value_words(value: float, *, share: bool = True) -> str:
    """Such as 81.0 %."""
    return f"{100 * value:.1f} %" if share else f"{value:.3f}"


def difference_words(value: float, *, share: bool = True) -> str:
    """Such as +2.5 points: from 50 % to 52.5 % is 2.5 points more, and 5 % more."""
    return f"{100 * value:+.1f} points" if share else f"{value:+.3f}"


def interval_words(ends: Sequence[float], *, share: bool = True) -> str:
    """Of a difference, such as -1.0 to +6.0 points."""
    low, high = ends
    return f"{100 * low:+.1f} to {100 * high:+.1f} points" if share else f"{low:+.3f} to {high:+.3f}"
