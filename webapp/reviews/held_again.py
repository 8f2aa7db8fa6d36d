"""Which unit comes back to the screen of a person who takes a decision back: nobody else gets it meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db.models import Count

from webapp.access.models import User
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews import holds
from webapp.reviews.models import Finding, Review

MOST_IMAGES = 500
"""More than that was no unit of a queue, but a choice from the grid."""


def hold_again(project: Project, person: User | None, reviews: Sequence[Review]) -> None:
    """Hold what a queue gave and this person decided, unless somebody else has it by now. Within the caller's
    transaction, after the verdicts were taken back."""
    queue = reviews[0].queue if reviews else ""
    own = person is not None and all(review.reviewer_id == person.pk for review in reviews)
    if person is None or not own or not queue or len(reviews) > MOST_IMAGES:
        return
    ids = [review.image_id for review in reviews]
    units = _groups(project, ids) if queue == "cold-start" else _sequences_and_images(ids)
    holds.take(project, person, queue, units)


def _groups(project: Project, ids: Sequence[int]) -> list[str]:
    rows = Finding.objects.filter(project=project, kind=Finding.Kind.CLUSTER, image_id__in=ids, group__isnull=False)
    return [f"g{group}" for group in rows.order_by().values_list("group", flat=True).distinct()]


def _sequences_and_images(ids: Sequence[int]) -> list[str]:
    """A sequence of which all frames were decided at once, else each image by itself."""
    sequences = dict(ImageState.objects.filter(pk__in=ids).values_list("pk", "sequence_id"))
    decided = Counter(filter(None, sequences.values()))
    rows = ImageState.objects.filter(sequence_id__in=list(decided)).order_by()
    frames = dict(rows.values_list("sequence_id").annotate(n=Count("pk")))
    whole = {sequence for sequence, number in decided.items() if frames[sequence] == number}
    alone = [f"i{image}" for image, sequence in sequences.items() if sequence not in whole]
    return [f"s{sequence}" for sequence in whole] + alone
