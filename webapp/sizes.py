"""Bytes in words, alike on pages and command lines."""

from __future__ import annotations


def size_words(count: float | None) -> str:
    """In decimal units, as disks are sold; a digit after the point where it tells something."""
    rest = float(count or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if rest < 1000:
            return f"{rest:.1f} {unit}" if rest < 10 and unit != "B" else f"{rest:.0f} {unit}"
        rest /= 1000
    return f"{rest:.1f} TB"
