"""Which verdicts stand, and the states of images that follow from them.

- A verdict that was taken back does not stand; the one before it does again. Nor does one of a withdrawn upload.
- Of each person the newest stands. A person's verdict outranks those of rules and imports.
- A curator's verdict settles: the ones before it no longer stand. A second reading never settles.
- Standing verdicts that differ in kind or label are a conflict. It ends when one person takes over the other's
  label, takes a verdict back, or a curator decides.
- The first annotation names the image, a merged label by what it became. Looked and empty is the project's background
  label, where it has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import connection

from webapp.images import states
from webapp.images.models import ImageState, Upload
from webapp.images.states import MachineSays, PersonSays, Source
from webapp.predictions.live import machine_says
from webapp.predictions.models import Prediction
from webapp.projects.models import Label
from webapp.reviews.models import Annotation, Review
from webapp.rows import read_rows

CHUNK = 500
OUTRANKED = frozenset({Review.How.RULE, Review.How.IMPORTED})
SOURCES = {Review.How.RULE: Source.RULE, Review.How.IMPORTED: Source.IMPORTED}


@dataclass(frozen=True)
class Answer:
    """A prediction, as far as a verdict on its image is concerned."""

    image_id: int
    label_id: int | None


def standing(newest_first: Sequence[Review]) -> list[Review]:
    """Of one image's verdicts that were not taken back, those that stand; newest first."""
    until = next((place + 1 for place, one in enumerate(newest_first) if one.settles), len(newest_first))
    heard: set[tuple[int | None, bool]] = set()
    left: list[Review] = []
    for one in newest_first[:until]:
        by_person = one.how not in OUTRANKED
        if (one.reviewer_id, by_person) not in heard:
            heard.add((one.reviewer_id, by_person))
            left.append(one)
    people = [one for one in left if one.how not in OUTRANKED]
    # A rule or an import says one thing, the newest; only people can disagree.
    return people or left[:1]


def standing_reviews(image_ids: Sequence[int]) -> dict[int, list[Review]]:
    """The standing verdicts by image, newest first; images without any are left out."""
    rows = (
        Review.objects.filter(image_id__in=image_ids, undone_by__isnull=True)
        .exclude(verdict=Review.Verdict.WITHDRAWN)
        .exclude(upload__state=Upload.State.WITHDRAWN)
        .order_by("image_id", "-pk")
    )
    by_image = groupby(rows, key=lambda review: review.image_id)
    return {image_id: standing(list(reviews)) for image_id, reviews in by_image}


def people_say(image_ids: Sequence[int]) -> dict[int, list[PersonSays]]:
    """What the standing verdicts say, in the words of the derived state."""
    reviews = standing_reviews(image_ids)
    chosen = [review.pk for some in reviews.values() for review in some]
    first = {
        review_id: (merged_into_id or label_id, individual_id)
        for review_id, label_id, merged_into_id, individual_id in Annotation.objects.filter(
            review_id__in=chosen, position=0
        ).values_list("review_id", "label_id", "label__merged_into_id", "individual_id")
    }
    return _said(reviews, first)


def _said(
    reviews: Mapping[int, Sequence[Review]],
    first: Mapping[int, tuple[int | None, int | None]],
    answers: Mapping[int, Answer] | None = None,
) -> dict[int, list[PersonSays]]:
    """`first`: by review, label and individual of its first annotation; `answers`: what was seen, where known."""
    labelled = Review.Verdict.LABELLED
    unnamed = [
        key for key, some in reviews.items() if any(one.verdict == labelled and one.pk not in first for one in some)
    ]
    empty = _empty_labels(unnamed) if unnamed else {}
    if answers is None:
        answers = read_answers([pk for some in reviews.values() for one in some if (pk := _answer_seen(one))])
    said: dict[int, list[PersonSays]] = {}
    for image_id, some in reviews.items():
        seen = [answers.get(_answer_seen(review) or 0) for review in some]
        said[image_id] = [
            _says(review, first.get(review.pk), empty.get(image_id), answer.label_id if answer else None)
            for review, answer in zip(some, seen, strict=True)
        ]
    return said


def derive_states(image_ids: Sequence[int]) -> dict[int, states.StateValues]:
    """The states of these images from machine and people."""
    machine = machine_says(image_ids)
    people = people_say(image_ids)
    return {key: states.derive(machine.get(key, MachineSays()), people.get(key, [])) for key in image_ids}


def refresh(image_ids: Iterable[int]) -> None:
    """Write states and counts anew in the caller's transaction, which holds the rows (see `hold`)."""
    ids = sorted(set(image_ids))
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        values = derive_states(part)
        rows = ImageState.objects.filter(pk__in=part).order_by("pk")
        states.write_values([(row, values[row.pk]) for row in rows])


def refresh_held(
    rows: Sequence[ImageState],
    made: Iterable[tuple[Review, Sequence[Annotation]]],
    answers: Mapping[int, Answer] | None = None,
) -> None:
    """The same after the verdicts `made`, for rows that `hold` gave; what the machine says is as they know it.

    Where nobody had reviewed an image, or its verdict settles, the new one is all that stands: no other is read.
    """
    new = {review.image_id: (review, annotations) for review, annotations in made}
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        unreviewed = ImageState.ReviewState.UNREVIEWED
        alone = [new[row.pk] for row in part if row.review_state == unreviewed or new[row.pk][0].settles]
        people = _said(
            {review.image_id: [review] for review, _ in alone},
            {review.pk: (some[0].label_id, some[0].individual_id) for review, some in alone if some},
            answers,
        )
        read_before = [row.pk for row in part if row.pk not in people]
        if read_before:
            people |= people_say(read_before)
        machine = {row.pk: MachineSays(row.machine_label_id, row.score, row.failure) for row in part}
        states.write_values([(row, states.derive(machine[row.pk], people.get(row.pk, []))) for row in part])


def hold(image_ids: Iterable[int]) -> list[ImageState]:
    """Lock the states of images before their verdicts change, in one order, so that two writers take turns.

    Withdrawn images have none.
    """
    ids = sorted(set(image_ids))
    rows: list[ImageState] = []
    for start in range(0, len(ids), CHUNK):
        rows += read_rows(ImageState, "image_id", ids[start : start + CHUNK], lock=True)
    return rows


def read_answers(predictions: Collection[int]) -> dict[int, Answer]:
    """By prediction, what it says of which image; a merged label by what it became."""
    if not predictions:
        return {}
    with connection.cursor() as cursor:  # by hand, since each decision passes here
        cursor.execute(
            f"SELECT p.id, p.image_id, COALESCE(l.merged_into_id, p.label_id) FROM {Prediction._meta.db_table} p "
            f"LEFT JOIN {Label._meta.db_table} l ON l.id = p.label_id "
            f"WHERE p.id IN ({', '.join(['%s'] * len(predictions))})",
            list(predictions),
        )
        return {pk: Answer(image_id, label_id) for pk, image_id, label_id in cursor.fetchall()}


def _answer_seen(review: Review) -> int | None:
    """The prediction that a person had before their eyes when they decided."""
    return review.prediction_id if review.how == Review.How.SUGGESTED else None


def _says(
    review: Review, first: tuple[int | None, int | None] | None, empty: int | None, overruled: int | None
) -> PersonSays:
    label_id, individual_id = first or (None, None)
    if first is None and review.verdict == Review.Verdict.LABELLED:
        label_id = empty
    source = SOURCES.get(Review.How(review.how), Source.HUMAN)
    return PersonSays(review.verdict, label_id, individual_id, source, overruled)


def _empty_labels(image_ids: Iterable[int]) -> dict[int, int]:
    """By image, the label that says "nothing here" in its project."""
    projects = dict(ImageState.objects.filter(pk__in=list(image_ids)).values_list("pk", "project_id"))
    backgrounds: dict[int, list[int]] = defaultdict(list)
    found = Label.objects.filter(
        project_id__in=set(projects.values()), kind=Label.Kind.BACKGROUND, merged_into=None
    ).order_by("position", "pk")
    for project_id, label_id in found.values_list("project_id", "pk"):
        backgrounds[project_id].append(label_id)
    return {key: backgrounds[project_id][0] for key, project_id in projects.items() if backgrounds[project_id]}
