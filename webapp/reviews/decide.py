"""Say what is on an image, or on many at once: verdicts are added, never changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.images.models import Image
from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.reviews import drafts, findings, standing
from webapp.reviews.drafts import AnnotationDraft
from webapp.reviews.models import NOT_A_PERSONS, Annotation, Change, Review

__all__ = ["AnnotationDraft", "decide", "decide_many"]

MOST_IMAGES = 10_000


@dataclass(frozen=True)
class Manner:
    """How a verdict came about, stored with it; snapshots choose by this."""

    how: str
    queue: str = ""
    sampling_probability: float | None = None
    seconds: float | None = None
    second_reading: bool = False


def decide(
    *,
    actor: Actor,
    image: Image,
    verdict: str,
    annotations: Sequence[AnnotationDraft] = (),
    how: str,
    prediction: Prediction | None = None,
    queue: str = "",
    sampling_probability: float | None = None,
    client_id: UUID | None = None,
    change: Change | None = None,
    seconds: float | None = None,
    fields: Mapping[str, Any] | None = None,
    note: str = "",
    second_reading: bool = False,
) -> Review:
    """Add a verdict on one image; its state and the counts follow in the same transaction.

    Saving again with the same `client_id` gives the review that is there.
    """
    project = image.project
    manner = Manner(how, queue, sampling_probability, seconds, second_reading)
    check_right(actor, project, manner)
    with transaction.atomic():
        standing.hold([image.pk])
        known = _saved_before(client_id, image, actor)
        if known is not None:
            return known
        _check(image, manner, prediction, change)
        drafts.check_verdict(verdict, annotations)
        words = drafts.words_of(project, annotations)
        review = Review(
            **columns_of(actor, verdict, manner, may_settle=allowed(actor, Action.CURATE, project)),
            image=image,
            prediction=prediction,
            client_id=client_id,
            change=change,
            fields=drafts.check_fields(fields or {}, words, where="The verdict"),
            note=note[: drafts.LONGEST_TEXT],
        )
        made = drafts.ready(annotations, words)
        review.save(force_insert=True)
        for annotation in made:
            annotation.review = review
        Annotation.objects.bulk_create(made)
        standing.refresh([image.pk])
        if manner.how not in NOT_A_PERSONS:
            findings.settle([image.pk], drawn_as=manner.queue)
    return review


def decide_many(
    *,
    actor: Actor,
    project: Project,
    images: Sequence[Image],
    verdict: str,
    annotations: Sequence[AnnotationDraft] = (),
    how: str = Review.How.BULK,
    what: str = "",
    queue: str = "",
    client_id: UUID | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Change:
    """The same verdict on many images as one change, undone as one. `client_id` becomes the change's uid."""
    manner = Manner(how, queue)
    check_right(actor, project, manner)
    drafts.check_verdict(verdict, annotations)
    chosen = {image.pk: image for image in images}
    _check_many(project, list(chosen.values()), annotations)
    with transaction.atomic():
        standing.hold(chosen)
        if client_id is not None:
            known = Change.objects.filter(uid=client_id).first()
            if known is not None:
                return same_change(known, actor, project)
        words = drafts.words_of(project, annotations)
        values = drafts.check_fields(fields or {}, words, where="The verdict")
        change = Change.objects.create(
            project=project, by=actor.user, what=what[:200], **({"uid": client_id} if client_id else {})
        )
        columns = columns_of(actor, verdict, manner, may_settle=allowed(actor, Action.CURATE, project))
        reviews = Review.objects.bulk_create(
            [Review(**columns, image_id=key, change=change, fields=values) for key in sorted(chosen)], batch_size=500
        )
        made = [(review, annotation) for review in reviews for annotation in drafts.ready(annotations, words)]
        for review, annotation in made:
            annotation.review = review
        Annotation.objects.bulk_create([annotation for _, annotation in made], batch_size=500)
        standing.refresh(chosen)
        if manner.how not in NOT_A_PERSONS:
            findings.settle(list(chosen), drawn_as=manner.queue)
        audit.record(
            actor=actor, action="review many", project_id=project.pk, subject=f"change:{change.pk}", images=len(chosen)
        )
    return change


def columns_of(actor: Actor, verdict: str, manner: Manner, *, may_settle: bool) -> dict[str, Any]:
    """`may_settle`: whether the actor is a curator, whose verdicts end a conflict."""
    settles = may_settle and not manner.second_reading and manner.how not in NOT_A_PERSONS
    return {
        "reviewer": actor.user,
        "verdict": verdict,
        "how": manner.how,
        "queue": manner.queue[:40],
        "sampling_probability": manner.sampling_probability,
        "seconds": manner.seconds,
        "second_reading": manner.second_reading,
        "settles": settles,
    }


def check_right(actor: Actor, project: Project, manner: Manner) -> None:
    """Reviewers speak for themselves; rules and imports are run by curators."""
    if manner.how not in Review.How.values:
        raise Invalid(f"Unknown way {manner.how!r}: choose from {', '.join(Review.How.values)}.")
    require(actor, Action.CURATE if manner.how in NOT_A_PERSONS else Action.REVIEW, project)


def _check(image: Image, manner: Manner, prediction: Prediction | None, change: Change | None) -> None:
    if image.withdrawn_at is not None:
        raise Conflict("This image was withdrawn: its verdicts are kept, and no new ones are taken.")
    if prediction is not None and prediction.image_id != image.pk:
        raise Invalid(f"Prediction {prediction.pk} is of another image.")
    if change is not None and change.project_id != image.project_id:
        raise Invalid("The change belongs to another project.")
    chance = manner.sampling_probability
    if chance is not None and not 0 < chance <= 1:
        raise Invalid(f"The sampling probability {chance} is not between 0 and 1.")
    if manner.seconds is not None and not (math.isfinite(manner.seconds) and manner.seconds >= 0):
        raise Invalid(f"The image cannot have been looked at for {manner.seconds} seconds.")


def _check_many(project: Project, images: Sequence[Image], annotations: Sequence[AnnotationDraft]) -> None:
    if not images or len(images) > MOST_IMAGES:
        raise Invalid(f"{len(images):,} images in one change: choose between 1 and {MOST_IMAGES:,}.")
    if any(image.project_id != project.pk or image.withdrawn_at is not None for image in images):
        raise Invalid("Some of these images are withdrawn or belong to another project: reload, and choose again.")
    if any(draft.box is not None for draft in annotations):
        raise Invalid("A box belongs to one image: many at once are labelled without boxes.")


def _saved_before(client_id: UUID | None, image: Image, actor: Actor) -> Review | None:
    """The review of an earlier save of the same decision, whose answer was lost on the way."""
    known = Review.objects.filter(client_id=client_id).first() if client_id is not None else None
    if known is not None and (known.image_id != image.pk or known.reviewer_id != (actor.user and actor.user.pk)):
        raise Conflict("This client_id belongs to another decision: make a new one for each.", code="client-id-taken")
    return known


def same_change(known: Change, actor: Actor, project: Project) -> Change:
    if known.project_id != project.pk or known.by_id != (actor.user and actor.user.pk):
        raise Conflict("This client_id belongs to another change: make a new one for each.", code="client-id-taken")
    return known
