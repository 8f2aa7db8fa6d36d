"""Units of review, sequences or lone images, with all that a page shows of them; read for several units at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from webapp.images.models import ImageState
from webapp.predictions.answer import words_of
from webapp.predictions.live import answers
from webapp.predictions.models import Prediction, Region
from webapp.projects.models import Label, Project
from webapp.reviews import why
from webapp.reviews.models import Finding
from webapp.reviews.pooling import MOST_FRAMES, Frame, Pooled, pool, read_scores
from webapp.reviews.queues import Candidate, Queue
from webapp.reviews.said import VerdictSaid, label_now, verdicts_said
from webapp.versions.activate import active_pipeline_id
from webapp.versions.models import Activation

MOST_SHOWN = 500
MODEL, OTHER_LABELS = "The model says", "The other labels say"
ASKS_ABOUT_LABEL = frozenset({Finding.Kind.SUSPECT, Finding.Kind.DUPLICATES_DISAGREE})
JOINED = (
    "image__file", "image__site", "image__visit", "image__upload", "label", "machine_label"
)  # fmt: skip


@dataclass(frozen=True)
class Guess:
    label: Label
    score: float


@dataclass(frozen=True)
class Shown:
    """One image of a unit. In a blind unit pages leave out what machine and people say."""

    state: ImageState
    prediction: Prediction | None
    regions: Sequence[Region]
    verdicts: Sequence[VerdictSaid]


@dataclass(frozen=True)
class Unit:
    """What one reviewer gets on the screen. `guesses` are best first; the first one is the suggestion."""

    name: str
    queue: Queue
    why: str
    says: str
    sampling_probability: float | None
    images: Sequence[Shown]
    telling: int
    pooled: Pooled | None
    guesses: Sequence[Guess]


def units_of(project: Project, queue: Queue, chosen: Mapping[str, Candidate]) -> list[Unit]:
    """The units in the order given."""
    states = _states(project, chosen)
    ids = [state.pk for some in states.values() for state in some]
    predictions = _predictions(project, ids)
    regions = _regions([prediction.pk for prediction in predictions.values()])
    reviewed = [
        state.pk
        for some in states.values()
        for state in some
        if state.review_state != ImageState.ReviewState.UNREVIEWED
    ]
    verdicts = verdicts_said(reviewed) if reviewed and not queue.is_blind else {}
    shown = {
        name: [
            Shown(
                state,
                predictions.get(state.pk),
                regions.get(predictions[state.pk].pk, []) if state.pk in predictions else [],
                verdicts.get(state.pk, []),
            )
            for state in some
        ]
        for name, some in states.items()
    }
    pooled = {} if queue.is_blind else {name: pooled_of(some) for name, some in shown.items()}
    labels = _labels(project, [key for one in pooled.values() if one for key, _ in one.scores])
    return [
        _unit(name, queue, candidate, shown[name], pooled.get(name), labels)
        for name, candidate in chosen.items()
        if shown.get(name)
    ]


def pooled_of(shown: Sequence[Shown]) -> Pooled | None:
    """The suggestion for images of one sequence, from at most `MOST_FRAMES` answers, the surest animals first."""
    answered = [one for one in shown if one.prediction is not None and one.prediction.label_key]
    if not answered:
        return None
    background = frozenset(
        key
        for pipeline in {one.prediction.pipeline_id for one in answered if one.prediction}
        for key, kind in words_of(pipeline).kinds.items()
        if kind == Label.Kind.BACKGROUND
    )
    answered.sort(key=lambda one: _importance(one, background), reverse=True)
    return pool([_frame(one) for one in answered[:MOST_FRAMES]], background)


def _importance(one: Shown, background: frozenset[str]) -> tuple[bool, float]:
    prediction = one.prediction
    return (prediction is not None and prediction.label_key not in background, (prediction and prediction.score) or 0.0)


def _frame(one: Shown) -> Frame:
    prediction = one.prediction
    if prediction is None:
        raise TypeError("a frame without an answer cannot be pooled")
    key, score = prediction.label_key, prediction.score or 0.0
    speaking = next((region for region in one.regions if region.label_key == key), None)
    raw = bytes(speaking.scores) if speaking is not None else b""
    return Frame(one.state.pk, key, score, read_scores(raw, words_of(prediction.pipeline_id).keys, key, score))


def _states(project: Project, chosen: Mapping[str, Candidate]) -> dict[str, list[ImageState]]:
    rows = ImageState.objects.filter(project=project).select_related(*JOINED)
    sequences = {int(name[1:]): name for name in chosen if name.startswith("s")}
    lone = {one.image_id: name for name, one in chosen.items() if name.startswith("i")}
    found: dict[str, list[ImageState]] = defaultdict(list)
    most = MOST_SHOWN * max(1, len(chosen))
    if sequences:
        for state in rows.filter(sequence_id__in=sequences).order_by("sequence_id", "image_id")[:most]:
            found[sequences[state.sequence_id or 0]].append(state)
    for state in rows.filter(pk__in=lone) if lone else ():
        found[lone[state.pk]].append(state)
    for name, candidate in chosen.items():
        if name.startswith("g") and candidate.finding is not None:
            alike = Finding.objects.filter(
                project=project, kind=Finding.Kind.CLUSTER, group=candidate.finding.group, settled_at=None
            )
            ids = list(alike.order_by("image_id").values_list("image_id", flat=True)[:MOST_SHOWN])
            found[name] = list(rows.filter(pk__in=ids).order_by("pk"))
    for some in found.values():
        some.sort(key=lambda state: (state.captured_at_utc is None, state.captured_at_utc, state.pk))
    return found


def _predictions(project: Project, image_ids: Sequence[int]) -> dict[int, Prediction]:
    """The answer to each image that was recorded last; where a head suggests, what that says instead."""
    found = answers(image_ids)
    suggests = active_pipeline_id(project.pk, Activation.Slot.SUGGEST)
    if suggests is not None:
        said = Prediction.objects.filter(image_id__in=image_ids, pipeline=suggests, state=Prediction.State.DONE)
        found |= {row.image_id: row for row in said.order_by("pk")}
    return found


def _regions(prediction_ids: Sequence[int]) -> dict[int, list[Region]]:
    found: dict[int, list[Region]] = defaultdict(list)
    for region in Region.objects.filter(prediction_id__in=prediction_ids).order_by("prediction_id", "position"):
        found[region.prediction_id].append(region)
    return found


def _labels(project: Project, keys: Iterable[str]) -> dict[str, Label]:
    rows = Label.objects.filter(project=project, key__in=set(keys)).select_related("merged_into")
    return {label.key: label_now(label) or label for label in rows}


def _unit(
    name: str,
    queue: Queue,
    candidate: Candidate,
    images: Sequence[Shown],
    pooled: Pooled | None,
    labels: Mapping[str, Label],
) -> Unit:
    scores: dict[Label, float] = {}
    for key, score in pooled.scores if pooled else ():
        if key in labels:
            scores[labels[key]] = scores.get(labels[key], 0.0) + score
    guesses = [Guess(label, score) for label, score in sorted(scores.items(), key=lambda item: -item[1])]
    finding = candidate.finding
    proposed = _proposed(finding)
    if proposed is not None:
        guesses = [proposed, *(guess for guess in guesses if guess.label != proposed.label)]
    offered = next((one for one in images if one.state.pk == candidate.image_id), images[0])
    return Unit(
        name=name,
        queue=queue,
        why=_why(queue, offered, images, pooled, guesses[0].label.name if guesses else "", finding),
        says=OTHER_LABELS if proposed is not None else MODEL,
        sampling_probability=finding.sampling_probability if finding is not None and queue.is_blind else None,
        images=images,
        telling=images[len(images) // 2].state.pk if pooled is None else pooled.telling,
        pooled=pooled,
        guesses=guesses,
    )


def _proposed(finding: Finding | None) -> Guess | None:
    """What the rest of the data calls a suspect: the analysis asks about that, not about the model's answer."""
    if finding is None or finding.label_id is None or finding.kind not in ASKS_ABOUT_LABEL:
        return None
    label = Label.objects.select_related("merged_into").get(pk=finding.label_id)
    return Guess(label_now(label) or label, float(finding.detail.get("sure", finding.score)))


def _why(
    queue: Queue,
    offered: Shown,
    images: Sequence[Shown],
    pooled: Pooled | None,
    name: str,
    finding: Finding | None,
) -> str:
    match queue.key:
        case "uncertain":
            return why.because_uncertain(offered.state, pooled, name)
        case "disagrees":
            return why.because_it_disagrees(offered.state)
        case "empty":
            return why.because_empty(offered.state)
        case "conflicts":
            return why.because_of_conflict(offered.verdicts)
        case "cold-start":
            return why.because_alike(len(images))
        case "unmatched":
            return why.because_unmatched(offered.state.review_state == ImageState.ReviewState.REVIEWED)
    if finding is None:
        return why.because_unreviewed(offered.state.image.created_at)
    if queue.key == "audit":
        return why.because_drawn(finding)
    if queue.key == "second":
        return why.because_second(finding)
    return finding.why or queue.why
