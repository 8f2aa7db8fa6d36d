"""What standing verdicts say of images, in full: every label, box, count and field, for many images at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webapp.access.models import User
from webapp.projects.models import Label
from webapp.reviews.models import Annotation, Review
from webapp.reviews.standing import standing_reviews


@dataclass(frozen=True)
class LabelSaid:
    """One label of a standing verdict, with how many animals it counts."""

    key: str
    name: str
    count: int


@dataclass(frozen=True)
class VerdictSaid:
    """A standing verdict with its annotations, in order."""

    review: Review
    annotations: Sequence[Annotation]


def verdicts_said(image_ids: Sequence[int]) -> dict[int, list[VerdictSaid]]:
    """By image, its standing verdicts, newest first; images without any are left out."""
    reviews = standing_reviews(image_ids)
    chosen = [review.pk for some in reviews.values() for review in some]
    by_review: dict[int, list[Annotation]] = {}
    rows = Annotation.objects.filter(review_id__in=chosen).select_related("label__merged_into", "individual")
    readers = User.objects.in_bulk({one.reviewer_id for some in reviews.values() for one in some if one.reviewer_id})
    for review in (one for some in reviews.values() for one in some):
        review.reviewer = readers.get(review.reviewer_id) if review.reviewer_id else None
    for annotation in rows.order_by("review_id", "position"):
        by_review.setdefault(annotation.review_id, []).append(annotation)
    return {
        image_id: [VerdictSaid(review, by_review.get(review.pk, [])) for review in some]
        for image_id, some in reviews.items()
    }


def labels_said(image_ids: Sequence[int]) -> dict[int, list[LabelSaid]]:
    """By image, the labels of its newest standing verdict, each once, with their counts added up."""
    return {
        image_id: _labels(verdicts[0].annotations)
        for image_id, verdicts in verdicts_said(image_ids).items()
        if verdicts
    }


def label_now(label: Label | None) -> Label | None:
    """A merged label stands for the one it was merged into."""
    return label.merged_into or label if label is not None else None


def _labels(annotations: Iterable[Annotation]) -> list[LabelSaid]:
    counts: dict[Label, int] = {}
    for annotation in annotations:
        label = label_now(annotation.label)
        if label is not None:
            counts[label] = counts.get(label, 0) + annotation.count
    return [LabelSaid(label.key, label.name, count) for label, count in counts.items()]
