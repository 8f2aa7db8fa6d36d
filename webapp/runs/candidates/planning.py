"""Looks after plans: begins what is due, starts the run once its snapshot is frozen, keeps what came of it.

A plan holds where it is: `freezing` while its snapshot is made, then a run of its own. Each step is one transaction
that only one looker wins, so that a process that dies between two steps leaves a plan that the next look goes on with.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from webapp import leases
from webapp.access import audit
from webapp.access.actors import SYSTEM, Actor, Via
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets.freeze import newest_snapshot
from webapp.datasets.freeze_job import request_freeze
from webapp.datasets.models import JobState, Snapshot
from webapp.errors import Conflict, OspreyError
from webapp.runs.candidates.news import has_news, newest_review, newest_snapshot_id, reviews_since
from webapp.runs.candidates.plans import TIMED, next_of
from webapp.runs.models import Plan, Run
from webapp.runs.start import start_run

log = logging.getLogger(__name__)

IS_FREEZING = "A snapshot is being frozen for it."
NOTHING_NEW = "Nothing new has come in since its last run, so nothing was done."
NOTHING_LABELLED = "Nobody has labelled anything in this project yet, so nothing was done."


def look() -> None:
    """The beat's look at all plans; cheap where nothing is due."""
    for plan in Plan.objects.select_related("project", "by", "freezing"):
        try:
            _go_on(plan)
            if plan.is_on and plan.freezing_id is None and _is_due(plan):
                _begin(plan, is_asked=False)
        except OspreyError as error:
            _say(plan, f"It could not begin: {error.what}")


def run_plan_now(*, actor: Actor, plan: Plan) -> Plan:
    """Begin at once, whether anything is new or not; what comes of it is done with the rights of who made the plan."""
    require(actor, Action.TRAIN, plan.project)
    if is_under_way(plan):
        raise Conflict(f"{plan.name} is at work already: wait for its run, or cancel that.", code="plan-at-work")
    audit.record(actor=actor, action="run plan", project_id=plan.project_id, subject=f"plan:{plan.pk}", name=plan.name)
    if not _begin(plan, is_asked=True):
        raise Conflict(f"{plan.name} has just begun: look at its runs.", code="plan-at-work")
    plan.refresh_from_db()
    return plan


def is_under_way(plan: Plan) -> bool:
    return plan.freezing_id is not None or plan.runs.filter(state__in=leases.UNDER_WAY).exists()


def _actor(plan: Plan) -> Actor:
    """Whoever made or last changed it, with the rights of today; the operator's plans are the site's own."""
    return SYSTEM if plan.by is None else Actor(Via.SESSION, user=plan.by)


def _is_due(plan: Plan) -> bool:
    if plan.trigger in TIMED:
        return plan.next_at is not None and plan.next_at <= timezone.now()
    if plan.trigger == Plan.Trigger.SNAPSHOT:
        return newest_snapshot_id(plan.project) > plan.counted_from and not is_under_way(plan)
    return reviews_since(plan.project, plan.counted_from) >= (plan.after_reviews or 1) and not is_under_way(plan)


def _begin(plan: Plan, *, is_asked: bool) -> bool:
    """Take the plan's turn; False when somebody else has. What is refused is said, and the turn is over."""
    if is_under_way(plan):
        return _take_turn(plan, begins=False)
    counted = newest_snapshot_id(plan.project) if _waits_for_snapshots(plan) else newest_review(plan.project)
    if plan.trigger in TIMED and not is_asked and not has_news(plan.project, plan.counted_from):
        return _take_turn(plan, begins=False, said=NOTHING_NEW if plan.counted_from else NOTHING_LABELLED)
    try:
        with transaction.atomic():
            if not _take_turn(plan, begins=True, counted_from=counted, said=IS_FREEZING):
                return False
            if _waits_for_snapshots(plan):
                _start(plan, newest_snapshot(plan.project))
            else:
                freezing = request_freeze(actor=_actor(plan), project=plan.project, options=plan.freeze)
                Plan.objects.filter(pk=plan.pk).update(freezing=freezing)
    except OspreyError as error:
        if is_asked:
            raise
        return _take_turn(plan, begins=True, counted_from=counted, said=f"It could not begin: {error.what}")
    return True


def _waits_for_snapshots(plan: Plan) -> bool:
    return plan.trigger == Plan.Trigger.SNAPSHOT


def _take_turn(plan: Plan, *, begins: bool, **values: object) -> bool:
    """Compare and set: of two that look at once, one wins. A timed plan waits for its next time from here on."""
    if plan.trigger in TIMED and plan.is_on:
        values["next_at"] = next_of(plan)
    if begins:
        values["began_at"] = timezone.now()
    if not values:
        return False
    rows = Plan.objects.filter(pk=plan.pk, began_at=plan.began_at, next_at=plan.next_at, freezing=None)
    return bool(rows.update(**values))


def _go_on(plan: Plan) -> None:
    """From the frozen snapshot to the run, or from the end of the run to what is said of it."""
    freezing = plan.freezing
    if freezing is None:
        _tell_the_end(plan)
    elif freezing.state == JobState.DONE:
        _start_on(plan, freezing.snapshot)
    elif freezing.state in (JobState.FAILED, JobState.STOPPED):
        _leave(plan, f"No snapshot could be frozen for it: {freezing.reason}")
        plan.freezing = None


def _start_on(plan: Plan, snapshot: Snapshot | None) -> None:
    last = plan.runs.select_related("snapshot").order_by("-pk").first()
    if snapshot is not None and last is not None and last.snapshot.digest == snapshot.digest:
        _leave(plan, NOTHING_NEW)
        return
    try:
        with transaction.atomic():
            if Plan.objects.filter(pk=plan.pk, freezing=plan.freezing_id).update(freezing=None):
                _start(plan, snapshot)
    except OspreyError as error:
        _leave(plan, f"Its run could not start: {error.what}")


def _start(plan: Plan, snapshot: Snapshot | None) -> None:
    if snapshot is None:
        raise Conflict("its snapshot is gone.")
    run = start_run(
        actor=_actor(plan),
        project=plan.project,
        snapshot=snapshot,
        recipe=plan.recipe,
        config=plan.config,
        when=plan.when,
        gate=plan.gate or None,
        plan=plan,
    )
    _say(plan, _begun(run))


def _leave(plan: Plan, said: str) -> None:
    Plan.objects.filter(pk=plan.pk, freezing=plan.freezing_id).update(freezing=None, said=said)


def _say(plan: Plan, said: str) -> None:
    Plan.objects.filter(pk=plan.pk).update(said=said)


def _tell_the_end(plan: Plan) -> None:
    """Once: the words of the beginning are replaced by those of the end."""
    if not plan.said.startswith(BEGUN):
        return
    run = plan.runs.select_related("version").order_by("-pk").first()
    if run is None or run.state not in leases.UNDER_WAY:
        Plan.objects.filter(pk=plan.pk, said=plan.said).update(said=end_words(run))


BEGUN = "Its run began: "


def _begun(run: Run) -> str:
    return f"{BEGUN}{run.get_state_display()} on {run.snapshot.name}."


def end_words(run: Run | None) -> str:
    """What came of a run, in one sentence or two."""
    if run is None:
        return "Its run is gone."
    made = run.version.name if run.version is not None else "A version"
    if run.state == Run.State.DONE:
        why = " ".join(run.gate.get("why", ()))
        return f"{made} was published. {why} {run.gate.get('then') or 'It is kept as a candidate.'}".replace("  ", " ")
    if run.state == Run.State.REJECTED:
        return f"{made} was rejected: {run.reason}"
    if run.state == Run.State.FAILED:
        return f"Its run failed: {run.reason}"
    return f"Its run is {run.get_state_display()}: {run.reason}"
