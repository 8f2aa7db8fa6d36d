"""Everything that was ever said of an image, by people and by the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from webapp.images.models import Image
from webapp.predictions.live import ANSWERS
from webapp.predictions.models import Prediction
from webapp.reviews.models import Review
from webapp.reviews.standing import standing_reviews


@dataclass(frozen=True)
class Entry:
    """One line of the history; exactly one of `review` and `prediction` is there."""

    at: datetime
    who: str
    what: str
    stands: bool
    is_undone: bool = False
    review: Review | None = None
    prediction: Prediction | None = None


def history(image: Image) -> list[Entry]:
    """Newest first. Reviews come with their annotations, predictions with their pipelines."""
    lines = [*_reviews(image), *_predictions(image)]
    return sorted(lines, key=lambda entry: entry.at, reverse=True)


def _reviews(image: Image) -> list[Entry]:
    reviews = (
        Review.objects.filter(image=image)
        .select_related("reviewer", "change", "undoes", "prediction")
        .prefetch_related("annotations__label", "annotations__individual", "undone_by")
        .order_by("-pk")
    )
    stands = {review.pk for review in standing_reviews([image.pk]).get(image.pk, [])}
    return [
        Entry(
            at=review.at,
            who=_who(review),
            what=_what(review),
            stands=review.pk in stands,
            is_undone=bool(review.undone_by.all()),
            review=review,
        )
        for review in reviews
    ]


def _predictions(image: Image) -> list[Entry]:
    final = [Prediction.State.DONE, Prediction.State.FAILED]
    predictions = (
        Prediction.objects.filter(image=image, state__in=final)
        .exclude(purpose=Prediction.Purpose.MEASURE)
        .select_related(
            "label", "pipeline__classifier", "pipeline__detector", "pipeline__identifier", "pipeline__external"
        )
        .order_by("-pk")
    )
    newest = max(
        (one for one in predictions if _counts(one)),
        key=lambda one: (one.done_at or one.created_at, one.pk),
        default=None,
    )
    return [
        Entry(
            at=prediction.done_at or prediction.created_at,
            who=_version_name(prediction),
            what=_said(prediction),
            stands=prediction is newest,
            prediction=prediction,
        )
        for prediction in predictions
    ]


def _counts(prediction: Prediction) -> bool:
    """As `machine_says` has it: a pipeline that failed when it was asked again said nothing."""
    is_again = prediction.purpose == Prediction.Purpose.HISTORY
    return prediction.purpose in ANSWERS and not (is_again and prediction.state == Prediction.State.FAILED)


def _who(review: Review) -> str:
    if review.reviewer is not None:
        return review.reviewer.get_username()
    return {Review.How.RULE: "a rule", Review.How.IMPORTED: "an import"}.get(Review.How(review.how), "the operator")


def _what(review: Review) -> str:
    if review.verdict != Review.Verdict.LABELLED:
        names = ", ".join(str(one.label) for one in review.annotations.all() if one.label)
        return f"{review.get_verdict_display()}: {names}" if names else review.get_verdict_display()
    return ", ".join(str(annotation) for annotation in review.annotations.all()) or "empty"


def _version_name(prediction: Prediction) -> str:
    parts = prediction.pipeline
    version = parts.classifier or parts.identifier or parts.external or parts.detector
    return version.name if version is not None else str(parts)


def _said(prediction: Prediction) -> str:
    if prediction.state == Prediction.State.FAILED:
        return f"failed: {prediction.reason}"
    return str(prediction.label or prediction.label_key)
