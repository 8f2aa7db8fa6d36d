"""How a pipeline tried beside compares with the one in use, on the pictures that both were asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from webapp.images.models import ImageState
from webapp.predictions.live import ANSWERS
from webapp.predictions.models import Prediction
from webapp.projects.models import Label, Project
from webapp.versions.activate import active_pipeline, newest_activation
from webapp.versions.models import Activation, Pipeline

NEWEST = 10_000
CHUNK = 1000
REVIEWED = (ImageState.Source.HUMAN, ImageState.Source.IMPORTED)


@dataclass(frozen=True)
class Said:
    """One picture and what both said of it."""

    image_id: int
    live: str
    beside: str
    live_score: float
    beside_score: float


@dataclass(frozen=True)
class Differing:
    """Pictures that the one in use calls `live`, the candidate `beside`: how many, newest first the images."""

    live: str
    beside: str
    images: tuple[int, ...]


@dataclass(frozen=True)
class Beside:
    """`live_ms` and `beside_ms` are the mean time in the networks; None where none was timed.

    Of the pictures that people have labelled, `live_right` and `beside_right` of `reviewed` are right. Verdicts that
    were given with the live answer in view favour it: this is a hint, and no comparison.
    """

    since: datetime
    images: int
    same: int
    differing: Sequence[Differing]
    waiting: int
    failed: int
    live_ms: float | None
    beside_ms: float | None
    reviewed: int
    live_right: int
    beside_right: int


def beside(project: Project) -> Beside | None:
    """The trial under way, by its newest pictures; None where nothing is tried."""
    begun, live = newest_activation(project, Activation.Slot.ALSO), active_pipeline(project)
    if begun is None or begun.pipeline is None or live is None:
        return None
    asked = Prediction.objects.filter(pipeline=begun.pipeline, purpose=Prediction.Purpose.ALSO)
    pairs = list(_pairs(live, begun.pipeline))
    said = [one for one, _ in pairs]
    truth = _truth(said)
    names = dict(Label.objects.filter(project=project).values_list("key", "merged_into__key"))
    today = {key: merged or key for key, merged in names.items()}
    known = [(one, truth[one.image_id]) for one in said if one.image_id in truth]
    return Beside(
        since=begun.at,
        images=len(said),
        same=sum(one.live == one.beside for one in said),
        differing=_differing(said),
        waiting=asked.filter(state__in=[Prediction.State.PENDING, Prediction.State.LEASED]).count(),
        failed=asked.filter(state=Prediction.State.FAILED).count(),
        live_ms=_mean([first for _, (first, _) in pairs]),
        beside_ms=_mean([second for _, (_, second) in pairs]),
        reviewed=len(known),
        live_right=sum(today.get(one.live, one.live) == right for one, right in known),
        beside_right=sum(today.get(one.beside, one.beside) == right for one, right in known),
    )


Times = tuple[float | None, float | None]
COLUMNS = ("image_id", "label_key", "score", "milliseconds")


def _pairs(live: Pipeline, tried: Pipeline) -> Iterator[tuple[Said, Times]]:
    """Newest first."""
    done = Prediction.objects.filter(pipeline=tried, purpose=Prediction.Purpose.ALSO, state=Prediction.State.DONE)
    rows = list(done.order_by("-pk").values_list(*COLUMNS)[:NEWEST])
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        theirs = Prediction.objects.filter(
            pipeline=live, purpose__in=ANSWERS, state=Prediction.State.DONE, image_id__in=[row[0] for row in part]
        )
        found = {row[0]: row for row in theirs.order_by("pk").values_list(*COLUMNS)}
        for image_id, key, score, milliseconds in part:
            if image_id in found:
                _, live_key, live_score, live_ms = found[image_id]
                yield Said(image_id, live_key, key, live_score or 0.0, score or 0.0), (live_ms, milliseconds)


def _differing(said: Sequence[Said]) -> list[Differing]:
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in said:
        if one.live != one.beside:
            found[(one.live, one.beside)].append(one.image_id)
    pairs = [Differing(live, tried, tuple(images)) for (live, tried), images in found.items()]
    return sorted(pairs, key=lambda pair: -len(pair.images))


def _truth(said: Sequence[Said]) -> dict[int, str]:
    """What people call these pictures, by key."""
    found: dict[int, str] = {}
    ids = [one.image_id for one in said]
    for start in range(0, len(ids), CHUNK):
        rows = ImageState.objects.filter(pk__in=ids[start : start + CHUNK], source__in=REVIEWED, label__isnull=False)
        reviewed = rows.filter(review_state=ImageState.ReviewState.REVIEWED)
        found |= {pk: key for pk, key in reviewed.values_list("pk", "label__key") if key}
    return found


def _mean(times: Sequence[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return sum(known) / len(known) if known else None
