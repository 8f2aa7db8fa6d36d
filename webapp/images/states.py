"""The derived state of an image and the counts over it: one rule, applied in the transaction of the fact.

`derive` is the rule. Everything that grid, queues and counts show comes from it, so that a rebuild from
predictions and reviews gives the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from webapp.images.models import FacetCount, Image, ImageState
from webapp.rows import insert_rows, read_rows, update_rows

Source = ImageState.Source
ReviewState = ImageState.ReviewState

MEASURED = ("damaged", "captured_at_utc")
REPEATED = ("project_id", "upload_id", "site_id", "visit_id", "sequence_id", *MEASURED)
FACETS = ("all", "label", "machine", "review", "source", "failure", "site", "visit", "time", "left", "damaged")
"""`time` counts images without one; `left` those of a site (or of none) that nobody has reviewed."""


@dataclass(frozen=True)
class MachineSays:
    """The live prediction of an image: an answer, or why there is none."""

    label_id: int | None = None
    score: float | None = None
    failure: str = ""


@dataclass(frozen=True)
class PersonSays:
    """One standing verdict: the newest of its reviewer that was not taken back."""

    verdict: str
    label_id: int | None = None
    individual_id: int | None = None
    source: str = Source.HUMAN
    overruled_id: int | None = None
    """The machine's label that this person saw, whatever they made of it."""


@dataclass(frozen=True)
class StateValues:
    """The columns of ImageState that are derived from what machine and people say."""

    label_id: int | None = None
    individual_id: int | None = None
    source: str = Source.NONE
    score: float | None = None
    machine_label_id: int | None = None
    overruled_id: int | None = None
    review_state: str = ReviewState.UNREVIEWED
    queue_priority: float = 0.0
    queue_reason: str = ""
    failure: str = ""


DERIVED = tuple(field.name for field in fields(StateValues))
Facet = tuple[int, str, str]
Counts = Counter[Facet]


def derive(machine: MachineSays | None, people: Sequence[PersonSays]) -> StateValues:
    """The state of an image. `people` holds the standing verdicts, newest first.

    The newest verdict names the label. Standing verdicts that name different labels are a conflict. A machine that says
    otherwise than the newest verdict is worth another look, unless it says what that person saw and decided against.
    """
    said = machine or MachineSays()
    if not people:
        return StateValues(
            label_id=said.label_id,
            source=Source.MACHINE if said.label_id is not None else Source.NONE,
            score=said.score,
            machine_label_id=said.label_id,
            queue_priority=0.0 if said.score is None else 1.0 - said.score,
            queue_reason="" if said.score is None else "uncertain",
            failure=said.failure,
        )
    newest = people[0]
    disagrees = said.label_id is not None and said.label_id not in (newest.label_id, newest.overruled_id)
    return StateValues(
        label_id=newest.label_id,
        individual_id=newest.individual_id,
        source=newest.source,
        score=said.score,
        machine_label_id=said.label_id,
        overruled_id=newest.overruled_id,
        review_state=_review_state(people),
        queue_priority=(said.score or 0.0) if disagrees else 0.0,
        queue_reason="model disagrees" if disagrees else "",
        failure=said.failure,
    )


def _review_state(people: Sequence[PersonSays]) -> str:
    newest = people[0]
    if any((other.verdict, other.label_id) != (newest.verdict, newest.label_id) for other in people[1:]):
        return ReviewState.CONFLICT
    return {"cannot-tell": ReviewState.CANNOT_TELL, "bad-image": ReviewState.BAD}.get(
        newest.verdict, ReviewState.REVIEWED
    )


def add_state(image: Image) -> None:
    """The first state of a new image, with its counts."""
    add_states([image])


def add_states(images: Sequence[Image], said: Mapping[int, PersonSays] | None = None) -> None:
    """The first states of new images, with their counts; `said` holds what came with an image about it."""
    values = {pk: vars(derive(None, [one])) for pk, one in (said or {}).items()}
    states = [ImageState(image=image, **repeated_of(image), **values.get(image.pk, {})) for image in images]
    insert_rows(states)
    add_to_counts(_facets_of(states))


def remove_states(image_ids: Sequence[int]) -> int:
    """Grid, queues and counts forget these images, in the caller's transaction; returns how many they knew."""
    states = list(ImageState.objects.select_for_update().filter(pk__in=image_ids).order_by("pk"))
    difference: Counts = Counter()
    difference.subtract(_facets_of(states))
    ImageState.objects.filter(pk__in=[state.pk for state in states]).delete()
    add_to_counts(difference)
    return len(states)


def take_over(image_ids: Sequence[int]) -> int:
    """What states repeat of their images (place, time, measures) is copied anew; returns how many differed.

    In the caller's transaction, which changed the images.
    """
    images = {image.pk: image for image in Image.objects.filter(pk__in=image_ids)}
    states = read_rows(ImageState, "image_id", list(images), lock=True)
    difference: Counts = Counter()
    differing = []
    for state in states:
        wanted = repeated_of(images[state.pk])
        if any(getattr(state, name) != value for name, value in wanted.items()):
            difference.subtract([*_repeated_facets(state), *_left_facets(state)])
            for name, value in wanted.items():
                setattr(state, name, value)
            difference.update([*_repeated_facets(state), *_left_facets(state)])
            differing.append(state)
    update_rows(differing, REPEATED)
    add_to_counts(difference)
    return len(differing)


def repeated_of(image: Image) -> dict[str, Any]:
    """The columns of a state that are those of its image."""
    return {
        "project_id": image.project_id,
        "upload_id": image.upload_id,
        "site_id": image.site_id,
        "visit_id": image.visit_id,
        "sequence_id": image.sequence_id,
        "damaged": bool(image.damaged_share),
        "captured_at_utc": image.captured_at_utc,
    }


@dataclass(frozen=True)
class Measured:
    """What the first decode told of an image and its state repeats."""

    damaged: bool
    captured_at_utc: datetime | None


def after_prediction(said: Mapping[int, MachineSays], *, measured: Mapping[int, Measured]) -> None:
    """Take live predictions into the states of their images (by image id); verdicts of people stand."""
    states = read_rows(ImageState, "image_id", list(said), lock=True)
    difference: Counts = Counter()
    pairs: list[tuple[ImageState, StateValues]] = []
    for state in states:
        if state.pk in measured:
            difference.subtract(_repeated_facets(state))
            for name in MEASURED:
                setattr(state, name, getattr(measured[state.pk], name))
            difference.update(_repeated_facets(state))
        pairs.append((state, derive(said[state.pk], _standing(state))))
    write_values(pairs, difference)


def _standing(state: ImageState) -> list[PersonSays]:
    """What people say, as far as the state itself remembers it: enough, because predictions change none of it."""
    if state.review_state == ReviewState.UNREVIEWED:
        return []
    verdict = {ReviewState.CANNOT_TELL: "cannot-tell", ReviewState.BAD: "bad-image"}.get(
        ReviewState(state.review_state), "labelled"
    )
    newest = PersonSays(verdict, state.label_id, state.individual_id, state.source, state.overruled_id)
    if state.review_state == ReviewState.CONFLICT:
        return [newest, PersonSays("in conflict", None)]
    return [newest]


def write_values(pairs: Sequence[tuple[ImageState, StateValues]], difference: Counts | None = None) -> None:
    """Store derived values and move the counts by the difference they make, on top of one made before."""
    difference = Counter() if difference is None else difference
    now = timezone.now()
    for state, values in pairs:
        before = StateValues(**{name: getattr(state, name) for name in DERIVED})
        difference.subtract([*_derived_facets(state.project_id, before), *_left_facets(state)])
        for name in DERIVED:
            setattr(state, name, getattr(values, name))
        difference.update([*_derived_facets(state.project_id, values), *_left_facets(state)])
        state.changed_at = now
    update_rows([state for state, _ in pairs], [*DERIVED, *MEASURED, "changed_at"])
    add_to_counts(difference)


def _facets_of(states: Sequence[ImageState]) -> Counts:
    counts: Counts = Counter()
    for state in states:
        values = StateValues(**{name: getattr(state, name) for name in DERIVED})
        counts[(state.project_id, "all", "")] += 1
        counts.update(_derived_facets(state.project_id, values))
        counts.update([*_repeated_facets(state), *_left_facets(state)])
    return counts


def _derived_facets(project_id: int, values: StateValues) -> list[Facet]:
    counted = [
        (project_id, "label", str(values.label_id or "")),
        (project_id, "machine", str(values.machine_label_id or "")),
        (project_id, "review", values.review_state),
        (project_id, "source", values.source),
    ]
    return [*counted, (project_id, "failure", values.failure)] if values.failure else counted


def _repeated_facets(state: ImageState) -> list[Facet]:
    counted = [
        (state.project_id, "site", str(state.site_id or "")),
        (state.project_id, "visit", str(state.visit_id or "")),
    ]
    if state.damaged:
        counted.append((state.project_id, "damaged", "1"))
    if state.captured_at_utc is None:
        counted.append((state.project_id, "time", ""))
    return counted


def _left_facets(state: ImageState) -> list[Facet]:
    """Of both what is derived and what is repeated, so whoever changes either counts it."""
    if state.review_state != ReviewState.UNREVIEWED:
        return []
    return [(state.project_id, "left", str(state.site_id or ""))]


def add_to_counts(difference: Mapping[Facet, int]) -> None:
    """Add to the facet counts, in one order everywhere so that two writers cannot lock each other out."""
    rows = [(*key, change) for key, change in sorted(difference.items()) if change]
    if not rows:
        return
    table = FacetCount._meta.db_table
    places = ", ".join(["(%s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (project_id, facet, value, count) VALUES {places} "
            f"ON CONFLICT (project_id, facet, value) DO UPDATE SET count = {table}.count + excluded.count",
            [part for row in rows for part in row],
        )
