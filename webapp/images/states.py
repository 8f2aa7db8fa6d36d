"""The derived state of an image and the counts over it: one rule, applied in the transaction of the fact.

`derive` is the rule. Everything that grid, queues and counts show comes from it, so that a rebuild from
predictions and reviews gives the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from django.db import connection
from django.utils import timezone

from webapp.images.models import FacetCount, Image, ImageState
from webapp.rows import insert_rows, update_rows

Source = ImageState.Source
ReviewState = ImageState.ReviewState

REPEATED = ("damaged", "captured_at_utc")
FACETS = ("all", "label", "review", "source", "site", "failure")


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


@dataclass(frozen=True)
class StateValues:
    """The columns of ImageState that are derived from what machine and people say."""

    label_id: int | None = None
    individual_id: int | None = None
    source: str = Source.NONE
    score: float | None = None
    machine_label_id: int | None = None
    review_state: str = ReviewState.UNREVIEWED
    queue_priority: float = 0.0
    queue_reason: str = ""
    failure: str = ""


def derive(machine: MachineSays | None, people: Sequence[PersonSays]) -> StateValues:
    """The state of an image. `people` holds the standing verdicts, newest first.

    The newest verdict names the label. Standing verdicts that name different labels are a conflict.
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
    disagrees = said.label_id is not None and said.label_id != newest.label_id
    return StateValues(
        label_id=newest.label_id,
        individual_id=newest.individual_id,
        source=newest.source,
        score=said.score,
        machine_label_id=said.label_id,
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
    state = ImageState(
        image=image,
        project_id=image.project_id,
        upload_id=image.upload_id,
        site_id=image.site_id,
        visit_id=image.visit_id,
        sequence_id=image.sequence_id,
        captured_at_utc=image.captured_at_utc,
    )
    insert_rows([state])
    add_to_counts(_facets(image.project_id, StateValues(), image.site_id))


@dataclass(frozen=True)
class Measured:
    """What the first decode told of an image and its state repeats."""

    damaged: bool
    captured_at_utc: datetime | None


def after_prediction(said: Mapping[int, MachineSays], *, measured: Mapping[int, Measured]) -> None:
    """Take live predictions into the states of their images (by image id); verdicts of people stand."""
    states = list(ImageState.objects.select_for_update().filter(pk__in=list(said)).order_by("pk"))
    pairs: list[tuple[ImageState, StateValues]] = []
    for state in states:
        if state.pk in measured:
            state.damaged = measured[state.pk].damaged
            state.captured_at_utc = measured[state.pk].captured_at_utc
        pairs.append((state, derive(said[state.pk], _standing(state))))
    write_values(pairs)


def _standing(state: ImageState) -> list[PersonSays]:
    """What people say, as far as the state itself remembers it: enough, because predictions change none of it."""
    if state.review_state == ReviewState.UNREVIEWED:
        return []
    verdict = {ReviewState.CANNOT_TELL: "cannot-tell", ReviewState.BAD: "bad-image"}.get(
        ReviewState(state.review_state), "labelled"
    )
    newest = PersonSays(verdict, state.label_id, state.individual_id, state.source)
    if state.review_state == ReviewState.CONFLICT:
        return [newest, PersonSays("in conflict", None)]
    return [newest]


def write_values(pairs: Sequence[tuple[ImageState, StateValues]]) -> None:
    """Store derived values and move the counts by the difference."""
    difference: Counter[tuple[int, str, str]] = Counter()
    now = timezone.now()
    names = [field.name for field in fields(StateValues)]
    for state, values in pairs:
        before = StateValues(**{name: getattr(state, name) for name in names})
        difference.subtract(_facets(state.project_id, before, state.site_id))
        difference.update(_facets(state.project_id, values, state.site_id))
        for name in names:
            setattr(state, name, getattr(values, name))
        state.changed_at = now
    update_rows([state for state, _ in pairs], [*names, *REPEATED, "changed_at"])
    add_to_counts(difference)


def _facets(project_id: int, values: StateValues, site_id: int | None) -> Counter[tuple[int, str, str]]:
    counted = {
        "all": "",
        "label": str(values.label_id or ""),
        "review": values.review_state,
        "source": values.source,
        "site": str(site_id or ""),
    }
    if values.failure:
        counted["failure"] = values.failure
    return Counter({(project_id, facet, value): 1 for facet, value in counted.items()})


def add_to_counts(difference: Mapping[tuple[int, str, str], int]) -> None:
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
