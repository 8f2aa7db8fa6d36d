"""How far two readers agree: Cohen's kappa over images that a second person read blind.

Each pair is the second reading and the verdict of another person that stood before it. What is compared is the label
that names the image: its first annotation, the label for nothing, or that it cannot be told or is no good. Kappa is the
agreement beyond what two readers with these habits would reach by chance; per label, the question is that label or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.projects.models import Label, Project
from webapp.reviews.models import Annotation, Review
from webapp.reviews.said import label_now

MOST_PAIRS = 20_000
CANNOT_TELL, BAD, EMPTY = ("cannot-tell", "Cannot tell"), ("bad-image", "Bad image"), ("", "Empty")

Name = tuple[str, str]


@dataclass(frozen=True)
class LabelAgreement:
    """`n` pairs in which either reader named the label, `agree` in which both did."""

    label_key: str
    label: str
    kappa: float | None
    n: int
    agree: int


@dataclass(frozen=True)
class Agreement:
    """Over the newest `MOST_PAIRS` pairs. Kappa is None where there is nothing to tell chance from."""

    pairs: int
    agree: int
    kappa: float | None
    labels: list[LabelAgreement]


def agreement(*, actor: Actor, project: Project) -> Agreement:
    require(actor, Action.VIEW_IMAGES, project)
    pairs = _pairs(project)
    names = Counter(name for pair in pairs for name in set(pair))
    labels = []
    for name, n in sorted(names.items(), key=lambda item: (-item[1], item[0])):
        agree = sum(first == second == name for first, second in pairs)
        one_or_not = [(str(first == name), str(second == name)) for first, second in pairs]
        labels.append(LabelAgreement(name[0], name[1], kappa_of(one_or_not), n, agree))
    agree = sum(first == second for first, second in pairs)
    return Agreement(len(pairs), agree, kappa_of(pairs), labels)


def kappa_of(pairs: Sequence[tuple[object, object]]) -> float | None:
    """Cohen's kappa of two readers; None without pairs, or where both always say the same one thing."""
    if not pairs:
        return None
    n = len(pairs)
    observed = sum(first == second for first, second in pairs) / n
    one, two = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    expected = sum(count * two[name] for name, count in one.items()) / n**2
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def _pairs(project: Project) -> list[tuple[Name, Name]]:
    """(first, second) by image. A first reading that was taken back, or that the same person made, is none."""
    standing = Review.objects.filter(undone_by=None).exclude(verdict=Review.Verdict.WITHDRAWN)
    second = standing.filter(second_reading=True, image__project=project).order_by("-pk")
    seconds = list(second.values_list("pk", "image_id", "reviewer_id", "verdict")[:MOST_PAIRS])
    by_image: dict[int, list[tuple[int, int | None, str]]] = {}
    for start in range(0, len(seconds), 500):
        ids = {image_id for _, image_id, _, _ in seconds[start : start + 500]}
        for pk, image_id, reviewer_id, verdict in _firsts(standing, ids):
            by_image.setdefault(image_id, []).append((pk, reviewer_id, verdict))
    chosen: list[tuple[tuple[int, str], tuple[int, str]]] = []
    for pk, image_id, reader, verdict in seconds:
        before = [row for row in by_image.get(image_id, []) if row[0] < pk and row[1] != reader]
        if before:
            first = max(before)
            chosen.append(((first[0], first[2]), (pk, verdict)))
    names = _names(project, [review for pair in chosen for review, _ in pair])
    return [(_name(first, names), _name(second, names)) for first, second in chosen]


def _firsts(standing: QuerySet[Review], image_ids: set[int]) -> QuerySet[Review, tuple[int, int, int | None, str]]:
    people = standing.filter(image_id__in=image_ids, second_reading=False, reviewer__isnull=False)
    rows = people.exclude(how__in=[Review.How.RULE, Review.How.IMPORTED])
    return rows.values_list("pk", "image_id", "reviewer_id", "verdict")


def _names(project: Project, review_ids: Sequence[int]) -> dict[int, Name]:
    labels = {
        label.pk: label_now(label) for label in Label.objects.filter(project=project).select_related("merged_into")
    }
    names: dict[int, Name] = {}
    for start in range(0, len(review_ids), 500):
        rows = Annotation.objects.filter(review_id__in=review_ids[start : start + 500], position=0)
        for review_id, label_id in rows.values_list("review_id", "label_id"):
            label = labels.get(label_id) if label_id is not None else None
            if label is not None and label.kind != Label.Kind.BACKGROUND:
                names[review_id] = (label.key, label.name)
    return names


def _name(reading: tuple[int, str], names: dict[int, Name]) -> Name:
    """A label for nothing and no annotation at all say the same."""
    review_id, verdict = reading
    if verdict == Review.Verdict.CANNOT_TELL:
        return CANNOT_TELL
    if verdict == Review.Verdict.BAD_IMAGE:
        return BAD
    return names.get(review_id, EMPTY)
