"""What a reviewer decided on a unit: verdicts on all its images as one change, however often it is sent.

A page keeps decisions while the server is away and sends them later, so each carries an id of its own: the change takes
it, and a repeated decision is the change that is there. How a verdict came about is for the server to say: blind only
where a blind draw put the image before the person, and then with the draw's own sampling probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed_among, require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.images.models import ImageState
from webapp.projects.models import Project
from webapp.reviews import drafts, findings, held_units, queues, standing
from webapp.reviews.decide import MOST_IMAGES, Manner, columns_of, same_change
from webapp.reviews.drafts import AnnotationDraft, Words
from webapp.reviews.models import Annotation, Change, Finding, Review
from webapp.rows import insert_keyed, insert_row, insert_rows, read_rows, sent_together

How = Review.How
BY_PAGES = (How.BLIND, How.SUGGESTED, How.BULK)


@dataclass(frozen=True)
class OfImage:
    """What is said of one image otherwise than of the others of its unit. None: as of the others."""

    annotations: Sequence[AnnotationDraft]
    verdict: str | None = None
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Decision:
    """One decision on one or more images. `predictions`: by image, the answer that was on the screen."""

    client_id: UUID
    images: Sequence[int]
    verdict: str
    annotations: Sequence[AnnotationDraft] = ()
    per_image: Mapping[int, OfImage] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    how: str = How.SUGGESTED
    queue: str = ""
    seconds: float | None = None
    predictions: Mapping[int, int] = field(default_factory=dict)
    note: str = ""


def save_decision(*, actor: Actor, project: Project, decision: Decision) -> Change:
    """Add the verdicts of a decision in one transaction; sent again, it gives the change that is there."""
    rights = allowed_among(actor, (Action.REVIEW, Action.CURATE), project)
    if Action.REVIEW not in rights:
        require(actor, Action.REVIEW, project)
    ids = sorted(set(decision.images))
    _check(decision, ids)
    try:
        with transaction.atomic():
            rows = standing.hold(ids)
            known = read_rows(Change, "uid", [decision.client_id])
            if known:
                return same_change(known[0], actor, project)
            return _save(actor, project, decision, rows, may_settle=Action.CURATE in rights)
    except IntegrityError:
        known = read_rows(Change, "uid", [decision.client_id])
        if not known:
            raise
        return same_change(known[0], actor, project)


def _save(
    actor: Actor, project: Project, decision: Decision, rows: Sequence[ImageState], *, may_settle: bool
) -> Change:
    _check_images(project, decision, rows)
    ids = [row.pk for row in rows]
    words = _words(project, decision)
    usual = OfImage(decision.annotations)
    manners, drawn_as = _manners(actor, project, decision, ids)
    answers = _answers(decision, ids)
    change = Change(project=project, by=actor.user, uid=decision.client_id, what=_what(decision, words, len(ids)))
    insert_row(change)
    made: list[tuple[Review, list[Annotation]]] = []
    columns: dict[tuple[str, Manner], dict[str, Any]] = {}
    for place, key in enumerate(ids):
        one, manner = decision.per_image.get(key, usual), manners[key]
        verdict = one.verdict or decision.verdict
        drafts.check_verdict(verdict, one.annotations)
        if (verdict, manner) not in columns:
            columns[(verdict, manner)] = columns_of(actor, verdict, manner, may_settle=may_settle)
        values = decision.values if one.values is None else one.values
        review = Review(
            **{**columns[(verdict, manner)], "seconds": None if place else decision.seconds},
            image_id=key,
            prediction_id=decision.predictions.get(key),
            change=change,
            fields=drafts.check_fields(values, words, where="The verdict"),
            note=decision.note[: drafts.LONGEST_TEXT],
        )
        made.append((review, drafts.ready(one.annotations, words)))
    insert_keyed([review for review, _ in made])
    for review, some in made:
        for annotation in some:
            annotation.review = review
    with sent_together():
        insert_rows([annotation for _, some in made for annotation in some])
        standing.refresh_held(rows, made, answers)
        findings.settle(ids, drawn_as=drawn_as)
        if decision.how == How.BULK:
            subject = f"change:{change.pk}"
            audit.record(actor=actor, action="review many", project_id=project.pk, subject=subject, images=len(ids))
        if actor.user is not None:
            held_units.let_go(project, actor.user, rows)
    return change


def _check(decision: Decision, ids: Sequence[int]) -> None:
    if not ids or len(ids) > MOST_IMAGES:
        raise Invalid(f"{len(ids):,} images in one decision: choose between 1 and {MOST_IMAGES:,}.")
    if decision.how not in BY_PAGES:
        raise Invalid(f"A decision is {', '.join(BY_PAGES)}, not {decision.how!r}: rules and imports are other acts.")
    if len(ids) > 1 and any(draft.box is not None for draft in decision.annotations):
        raise Invalid("A box belongs to one image: give it in `per_image`.")
    if not set(decision.per_image) <= set(ids):
        raise Invalid("`per_image` names an image that is not among `images`.")
    if decision.seconds is not None and not (math.isfinite(decision.seconds) and decision.seconds >= 0):
        raise Invalid(f"A unit cannot have been looked at for {decision.seconds} seconds.")


def _words(project: Project, decision: Decision) -> Words:
    own = list(decision.per_image.values())
    annotations = [*decision.annotations, *(draft for one in own for draft in one.annotations)]
    values = {**decision.values, **{key: value for one in own for key, value in (one.values or {}).items()}}
    return drafts.words_of(project, annotations, values)


def _check_images(project: Project, decision: Decision, rows: Sequence[ImageState]) -> None:
    there = {row.pk for row in rows if row.project_id == project.pk}
    gone = sorted(set(decision.images) - there)
    if gone:
        names = ", ".join(map(str, gone[:5]))
        raise Conflict(
            f"{len(gone)} of {len(set(decision.images))} images were withdrawn or are not of this project ({names}): "
            "leave them out.",
            code="images-gone",
        )


def _manners(actor: Actor, project: Project, decision: Decision, ids: Sequence[int]) -> tuple[dict[int, Manner], str]:
    """How each verdict came about, and the kind of draw that asked for them, if one did."""
    queue = queues.QUEUES.get(queues.SAME_AS.get(decision.queue, decision.queue))
    name = queue.key if queue is not None else decision.queue
    plain = Manner(_shown(decision, queue), name, seconds=decision.seconds)
    if queue is None or not queue.is_blind:
        return dict.fromkeys(ids, plain), ""
    drawn = queues.drawn(project, queue, ids)
    is_second = queue.kind == Finding.Kind.SECOND
    if is_second and _own(actor, list(drawn)):
        raise Conflict("A second reading is another person's: you read this image before.", code="own-reading")
    manners = {
        key: replace(
            plain,
            how=How.BLIND,
            sampling_probability=drawn[key].sampling_probability,
            second_reading=is_second,
        )
        if key in drawn
        else replace(plain, how=How.SUGGESTED)  # nobody drew it, so nobody kept the suggestion from being seen
        for key in ids
    }
    return manners, queue.kind


def _shown(decision: Decision, queue: queues.Queue | None) -> str:
    """What the page says of it, unless the queue shows suggestions: those were seen."""
    if decision.how == How.BLIND and queue is not None and not queue.is_blind:
        return How.SUGGESTED
    return decision.how


def _own(actor: Actor, ids: Sequence[int]) -> bool:
    return actor.user is not None and queues.readings_of(actor.user).filter(image_id__in=ids).exists()


def _answers(decision: Decision, ids: Sequence[int]) -> dict[int, standing.Answer]:
    """The answers that were on the screen."""
    wanted = {key: decision.predictions[key] for key in ids if key in decision.predictions}
    found = standing.read_answers(list(wanted.values()))
    for key, pk in wanted.items():
        if pk not in found or found[pk].image_id != key:
            raise Invalid(f"Prediction {pk} is not of the image that it is given for.")
    return found


def _what(decision: Decision, words: Words, images: int) -> str:
    keys = dict.fromkeys(draft.label_key for draft in decision.annotations)
    names = [words.labels[key].name for key in keys if key in words.labels]
    said = ", ".join(names) or ("Empty" if decision.verdict == Review.Verdict.LABELLED else decision.verdict)
    if decision.verdict == Review.Verdict.CANNOT_TELL:
        said = "Cannot tell" + (f" beyond {names[0]}" if names else "")
    elif decision.verdict == Review.Verdict.BAD_IMAGE:
        said = "Bad image"
    return f"{said[:150]} on {images:,} image{'s' if images > 1 else ''}"
