"""The verdict on an image that stands, in words: it outranks the machine wherever the image is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from webapp.images.models import Image
from webapp.reviews.models import Review
from webapp.reviews.standing import standing_reviews


@dataclass(frozen=True)
class Verdict:
    """What is said of an image, by whom and when; `others` are standing verdicts that say something else."""

    words: str
    who: str
    at: datetime
    others: tuple[str, ...]


def verdict_of(image: Image) -> Verdict | None:
    """The newest standing verdict; None where only the machine has spoken."""
    reviews = standing_reviews([image.pk]).get(image.pk, [])
    if not reviews:
        return None
    newest, words = reviews[0], words_of(reviews[0])
    others = tuple(f"{_who(one)}: {said}" for one in reviews[1:] if (said := words_of(one)) != words)
    return Verdict(words, _who(newest), newest.at, others)


def words_of(review: Review) -> str:
    """Labels with how many of each, or why there are none."""
    if review.verdict != Review.Verdict.LABELLED:
        return review.get_verdict_display()
    said = review.annotations.select_related("label").order_by("position")
    parts = [f"{one.label or '?'} × {one.count}" if one.count > 1 else str(one.label or "?") for one in said]
    return ", ".join(parts) or "nothing there"


def _who(review: Review) -> str:
    if review.how == Review.How.RULE:
        return "a rule"
    if review.how == Review.How.IMPORTED:
        return "an import"
    return review.reviewer.get_username() if review.reviewer else "somebody"
