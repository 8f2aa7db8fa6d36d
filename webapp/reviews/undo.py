"""Take verdicts back. Nothing is deleted: a withdrawal is a review that names the one it undoes."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict
from webapp.projects.models import Project
from webapp.reviews import findings, standing
from webapp.reviews.held_again import hold_again
from webapp.reviews.models import Change, Review

Verdict = Review.Verdict


def undo_review(*, actor: Actor, review: Review, client_id: UUID | None = None) -> Review:
    """Take one verdict back; the state falls back to the one before it, or to the machine's. Twice is once."""
    _check_right(actor, review.image.project, [review])
    if review.verdict == Verdict.WITHDRAWN:
        raise Conflict("This was taken back already: to bring a verdict back, give it again.")
    with transaction.atomic():
        standing.hold([review.image_id])
        known = Review.objects.filter(undoes=review).first()
        if known is not None:
            return known
        withdrawal = _withdrawal(actor, review)
        withdrawal.client_id = client_id
        withdrawal.save(force_insert=True)
        standing.refresh([review.image_id])
        findings.reopen([review.image_id])
        hold_again(review.image.project, actor.user, [review])
    return withdrawal


def undo_change(*, actor: Actor, change: Change, client_id: UUID | None = None) -> Change:
    """Take back every verdict of a change that still can be; returns the change that did it. Twice is once.

    `client_id` becomes the uid of that change.
    """
    if change.undoes_id is not None:
        raise Conflict("This change took another back: to bring its verdicts back, give them again.")
    with transaction.atomic():
        reviews = list(change.reviews.exclude(verdict=Verdict.WITHDRAWN).order_by("image_id", "pk"))
        _check_right(actor, change.project, reviews)
        standing.hold(review.image_id for review in reviews)
        known = Change.objects.filter(undoes=change).first()
        if known is not None:
            return known
        undoing = Change.objects.create(
            project=change.project,
            by=actor.user,
            what=f"Undo: {change.what}"[:200],
            undoes=change,
            **({"uid": client_id} if client_id else {}),
        )
        gone = set(Review.objects.filter(undoes__change=change).values_list("undoes_id", flat=True))
        left = [review for review in reviews if review.pk not in gone]
        Review.objects.bulk_create([_withdrawal(actor, review, undoing) for review in left], batch_size=500)
        ids = [review.image_id for review in left]
        standing.refresh(ids)
        findings.reopen(ids)
        hold_again(change.project, actor.user, left)
        audit.record(
            actor=actor,
            action="undo change",
            project_id=change.project_id,
            subject=f"change:{change.pk}",
            images=len(left),
        )
    return undoing


def _withdrawal(actor: Actor, review: Review, change: Change | None = None) -> Review:
    return Review(
        image_id=review.image_id,
        reviewer=actor.user,
        verdict=Verdict.WITHDRAWN,
        how=review.how,
        queue=review.queue,
        undoes=review,
        change=change,
    )


def _check_right(actor: Actor, project: Project, reviews: Sequence[Review]) -> None:
    """Everybody takes back their own; what others said, a curator."""
    own = actor.user is not None and all(review.reviewer_id == actor.user.pk for review in reviews)
    require(actor, Action.REVIEW if own else Action.CURATE, project)
