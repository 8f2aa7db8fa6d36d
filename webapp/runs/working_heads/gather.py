"""The verdicts of a project that a head may learn from, and those that it may be scored on.

Verdicts of people count, however they came about: blind, with a suggestion in view, in bulk. Rules and imports do not.
A verdict given with a suggestion in view leans to that suggestion. What is in view is always what suggests now, which
is what a new head is held against: the lean can hide that a head is better, and cannot make it look so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min

from training.contract import HeadVerdict
from webapp.datasets.groups import Groups
from webapp.images.models import ImageState
from webapp.predictions.models import Prediction
from webapp.projects.models import Label, Project
from webapp.reviews.models import NOT_A_PERSONS, NearDuplicate, Review
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Activation, Pipeline, Version
from webapp.versions.pipelines import versions_of

CHUNK = 2000
NOT_LEARNED = (Label.Kind.IGNORE, Label.Kind.UNKNOWN)


@dataclass(frozen=True)
class Reviewed:
    """One image that people agree on. `first` and `newest` are the ids of their verdicts on it."""

    image_id: int
    sha256: str
    truth: str
    first: int
    newest: int
    bursts: tuple[tuple[str, int], ...]
    """Its near-duplicate cluster and its sequence: of these nothing is new to a head that saw one image."""

    visit_id: int | None


def space_version(pipeline: Pipeline | None) -> Version | None:
    """The classifier whose embeddings of whole images a head can read; None where a detector cuts them up first."""
    if pipeline is None or pipeline.detector is not None or pipeline.classifier is None:
        return None
    return pipeline.classifier if pipeline.classifier.card else None


def suggesting(project: Project) -> Pipeline | None:
    """Whose answers are the suggestions of review now."""
    return active_pipeline(project, Activation.Slot.SUGGEST) or active_pipeline(project)


def reviewed(project: Project) -> list[Reviewed]:
    """In the order in which people first spoke."""
    found: list[Reviewed] = []
    for rows in _chunks(project):
        ids = [row["image_id"] for row in rows]
        people = Review.objects.filter(image_id__in=ids).exclude(how__in=NOT_A_PERSONS).order_by()
        spoken = {row["image_id"]: row for row in people.values("image_id").annotate(first=Min("pk"), newest=Max("pk"))}
        clusters = dict(NearDuplicate.objects.filter(image_id__in=ids).values_list("image_id", "cluster"))
        for row in rows:
            if row["image_id"] not in spoken:
                continue
            bursts = [("cluster", clusters.get(row["image_id"])), ("sequence", row["sequence_id"])]
            found.append(
                Reviewed(
                    image_id=row["image_id"],
                    sha256=row["image__file__sha256"],
                    truth=row["label__key"],
                    first=spoken[row["image_id"]]["first"],
                    newest=spoken[row["image_id"]]["newest"],
                    bursts=tuple((kind, key) for kind, key in bursts if key is not None),
                    visit_id=row["visit_id"],
                )
            )
    return sorted(found, key=lambda one: one.first)


COLUMNS = ("image_id", "image__file__sha256", "label__key", "sequence_id", "visit_id")


def _chunks(project: Project) -> Iterator[list[dict[str, Any]]]:
    rows = ImageState.objects.filter(
        project=project,
        review_state=ImageState.ReviewState.REVIEWED,
        source=ImageState.Source.HUMAN,
        label__isnull=False,
    ).exclude(label__kind__in=NOT_LEARNED)
    after = 0
    while part := list(rows.filter(pk__gt=after).order_by("pk").values(*COLUMNS)[:CHUNK]):
        yield part
        after = part[-1]["image_id"]


def groups_of(images: Sequence[Reviewed]) -> dict[int, str]:
    """By image, the name of its group: near-duplicates, one burst and one visit hang together.

    Named by the smallest image id there is so far.
    """
    groups = Groups()
    for one in images:
        visit = [("visit", one.visit_id)] if one.visit_id is not None else []
        groups.add([*one.bursts, *visit])
    smallest: dict[int, int] = {}
    for number, one in enumerate(images):
        root = groups.root(number)
        smallest[root] = min(smallest.get(root, one.image_id), one.image_id)
    return {one.image_id: str(smallest[groups.root(number)]) for number, one in enumerate(images)}


def not_seen(images: Sequence[Reviewed], up_to: int) -> list[Reviewed]:
    """Those first reviewed after `up_to` that are of no burst with an image reviewed before."""
    old = {burst for one in images if one.first <= up_to for burst in one.bursts}
    return [one for one in images if one.first > up_to and not old.intersection(one.bursts)]


def to_learn(images: Sequence[Reviewed], groups: dict[int, str]) -> Iterator[HeadVerdict]:
    return (HeadVerdict(one.sha256, one.truth, groups[one.image_id]) for one in images)


def to_score(images: Sequence[Reviewed], groups: dict[int, str], against: Pipeline) -> Iterator[HeadVerdict]:
    """With what `against` had said; images that it had not answered are left out."""
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        said = answers_by(against, [one.image_id for one in part])
        for one in part:
            if one.image_id in said:
                yield HeadVerdict(one.sha256, one.truth, groups[one.image_id], said[one.image_id])


def answers_by(pipeline: Pipeline, image_ids: Iterable[int]) -> dict[int, str]:
    """By image, the key of what a pipeline said, a merged label by what it became."""
    rows = Prediction.objects.filter(pipeline=pipeline, image_id__in=list(image_ids), state=Prediction.State.DONE)
    columns = ("image_id", "label_key", "label__merged_into__key")
    return {image: merged or key for image, key, merged in rows.order_by("pk").values_list(*columns)}


def merges_of(project: Project) -> dict[str, str]:
    rows = Label.objects.filter(project=project, merged_into__isnull=False)
    return {key: now for key, now in rows.values_list("key", "merged_into__key") if now}


def version_of(pipeline: Pipeline) -> Version:
    return pipeline.classifier or versions_of(pipeline)[0]
