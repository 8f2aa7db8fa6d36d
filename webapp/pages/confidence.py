"""Confidence in words: one scale, used by templates and, through the page, by scripts."""

from __future__ import annotations

# The least score of each step, highest first.
WORDS: tuple[tuple[float, str], ...] = (
    (0.98, "almost certain"),
    (0.85, "very likely"),
    (0.65, "likely"),
    (0.4, "unsure"),
    (0.0, "a guess"),
)
LOW = 0.5


def confidence_words(score: float | None) -> str:
    if score is None:
        return ""
    return next((words for least, words in WORDS if score >= least), WORDS[-1][1])
