"""When a head is due: asked each minute of every project, from counts and the newest rows alone."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from webapp import leases, queue
from webapp.images.models import FacetCount
from webapp.projects.models import Project
from webapp.reviews.models import Review
from webapp.runs.models import WorkingHead
from webapp.runs.working_heads.gather import space_version, suggesting
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Activation

LEARN, SCORE, TAKE_UP = (
    f"webapp.runs.tasks_io.{name}" for name in ("learn_working_head", "score_working_head", "take_up_working_head")
)
FEWEST_VERDICTS = 40
GROWTH, GROWTH_AFTER_NO = 1.25, 2.0
"""A head is learned anew when there are so many times the verdicts of the one before; somebody who did not want one is
left alone for longer."""
State = WorkingHead.State


@dataclass(frozen=True)
class Looked:
    """What a look found to do in one project."""

    learn: WorkingHead | None = None
    score: WorkingHead | None = None


def look() -> None:
    """The beat's look at all projects."""
    for project in Project.objects.filter(archived_at=None):
        found = look_at(project)
        if found.learn is not None:
            queue.send(LEARN, found.learn.pk, queue="io")
        elif found.score is not None:
            queue.send(SCORE, found.score.pk, queue="io")
    for row in WorkingHead.objects.filter(state=State.ACCEPTED, version=None):
        queue.send(TAKE_UP, row.pk, queue="io")


@transaction.atomic
def look_at(project: Project) -> Looked:
    """Make the row of a head that is due, or say which one has new verdicts to be scored on."""
    Project.objects.select_for_update().get(pk=project.pk)
    waiting = WorkingHead.objects.filter(project=project, state__in=leases.UNDER_WAY).first()
    if waiting is not None:
        leases.take_from_the_dead(waiting)
        return Looked(learn=waiting)
    live, now = active_pipeline(project), suggesting(project)
    space = space_version(live)
    if space is None or now is None or live is None:
        return Looked()
    retire_strangers(project, now.digest, space.pk)
    newest = WorkingHead.objects.filter(project=project).exclude(state=State.FAILED).order_by("-pk").first()
    if newest is not None and newest.state == State.OFFERED:
        return Looked()  # it is answered first
    is_new = newest is not None and newest.state == State.SCORED and newest_review(project) > newest.scored_up_to
    if newest is not None and is_new and newest.scored_up_to == newest.up_to:
        return Looked(score=newest)  # people may be so quick that the next one is due before this one was scored at all
    if is_due(project, newest):
        return Looked(learn=WorkingHead.objects.create(project=project, space=space))
    return Looked(score=newest if is_new else None)


def retire_strangers(project: Project, against: str, space: int) -> None:
    """Heads held against what suggests no longer, or that read another network's embeddings; and one that suggested
    until another version came into use.
    """
    if active_pipeline(project, Activation.Slot.SUGGEST) is None:
        gone = WorkingHead.objects.filter(project=project, state=State.ACCEPTED, version__isnull=False)
        gone.update(state=State.REPLACED, reason="Another version came into use.")
    heads = WorkingHead.objects.filter(project=project, state__in=(State.SCORED, State.OFFERED))
    for head in heads:
        if head.score.get("against") != against or head.space_id != space:
            reason = "What suggests is another version now."
            WorkingHead.objects.filter(pk=head.pk, state=head.state).update(state=State.REPLACED, reason=reason)


def is_due(project: Project, newest: WorkingHead | None) -> bool:
    """By the number of labels that people gave; whether their embeddings are there is seen when it is learned."""
    failed = WorkingHead.objects.filter(project=project, state=State.FAILED).order_by("-pk").first()
    last = max(filter(None, (newest, failed)), key=lambda one: one.pk, default=None)
    verdicts = verdicts_of(project)
    if last is None:
        return verdicts >= FEWEST_VERDICTS
    growth = GROWTH_AFTER_NO if last.state == State.DISMISSED else GROWTH
    tried = max(last.learned_from, FEWEST_VERDICTS)
    return verdicts >= growth * tried


def verdicts_of(project: Project) -> int:
    """Images whose label a person gave."""
    row = FacetCount.objects.filter(project=project, facet="source", value="human").first()
    return row.count if row is not None else 0


def newest_review(project: Project) -> int:
    return Review.objects.filter(image__project=project).order_by("-pk").values_list("pk", flat=True).first() or 0
