"""An estimate, said in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_words(result: Mapping[str, Any]) -> str:
    """Such as `about 4 minutes (3 to 6) on this machine`."""
    seconds, low, high = (float(result[name]) for name in ("seconds", "low", "high"))
    unit, size = next((name, size) for name, size, least in UNITS if high >= least)
    number = _number(seconds / size)
    return f"about {number} {unit if number != '1' else unit[:-1]} ({_number(low / size)} to {_number(high / size)})"


UNITS = (("hours", 3600, 2.5 * 3600), ("minutes", 60, 100), ("seconds", 1, 0))


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or round(value, 1) == round(value) else f"{value:.1f}"
