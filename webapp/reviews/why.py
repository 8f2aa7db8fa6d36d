"""Why an image is in a queue, in one plain sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from webapp.images.models import ImageState
from webapp.reviews.models import Finding, Review
from webapp.reviews.pooling import Pooled
from webapp.reviews.said import VerdictSaid


def percent(score: float | None) -> str:
    return "?" if score is None else f"{100 * score:.0f} %"


def because_uncertain(state: ImageState, pooled: Pooled | None, name: str) -> str:
    if pooled is None or not name:
        return "The model has no answer for it."
    frames = f", pooled over {pooled.frames} of {pooled.of} frames" if pooled.of > 1 else ""
    sure = percent(pooled.scores[0][1])
    least = f"; of its least sure frame, only {percent(state.score)}" if pooled.of > 1 else ""
    return f"The model is {sure} sure of {name}{frames}{least}."


def because_it_disagrees(state: ImageState) -> str:
    label = state.label.name if state.label else state.get_review_state_display()
    machine = state.machine_label.name if state.machine_label else "something else"
    return f"It is labelled {label}; the model says {machine}, {percent(state.score)} sure."


def because_empty(state: ImageState) -> str:
    return f"The model takes it for empty, {percent(state.score)} sure: look whether an animal was missed."


def because_unreviewed(created_at: datetime) -> str:
    return f"Nobody has reviewed it since it came in on {created_at:%d %B %Y}."


def because_unmatched(is_reviewed: bool) -> str:
    seen = "It was looked at, but nobody" if is_reviewed else "Nobody"
    return f"{seen} said which individual it is."


def because_of_conflict(verdicts: Sequence[VerdictSaid]) -> str:
    said = [f"{who(verdict.review)} says {what(verdict)}" for verdict in verdicts]
    return f"{'; '.join(said) or 'Reviewers disagree'}. A curator's verdict settles it."


def because_drawn(finding: Finding) -> str:
    chance = finding.sampling_probability or 1.0
    return f"Drawn at random, 1 in {_odds(chance)}: say what you see, no suggestion is shown."


def because_second(finding: Finding) -> str:
    chance = finding.sampling_probability or 1.0
    return f"Somebody else read it before, drawn 1 in {_odds(chance)}: say what you see, theirs is not shown."


def because_alike(images: int) -> str:
    return f"{images:,} unlabelled pictures that look alike: one key labels them all, and odd ones can be left out."


def who(review: Review) -> str:
    if review.reviewer is not None:
        return review.reviewer.get_username()
    return "an import" if review.how == Review.How.IMPORTED else "a rule"


def what(verdict: VerdictSaid) -> str:
    names = ", ".join(str(one.label) for one in verdict.annotations if one.label)
    if verdict.review.verdict == Review.Verdict.LABELLED:
        return names or "empty"
    words = Review.Verdict(verdict.review.verdict).label
    return f"{words} ({names})" if names else str(words)


def _odds(chance: float) -> str:
    """`1.3` of 0.8, `12` of 0.08: one in so many."""
    number = 1 / chance
    return f"{number:,.0f}" if number >= 10 or round(number, 1).is_integer() else f"{number:.1f}"
