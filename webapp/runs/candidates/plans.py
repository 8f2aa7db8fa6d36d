"""Plans: a project makes candidates by itself, at a time or when enough has come in. Made, changed, ended here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.datasets.freeze_options import read_options
from webapp.errors import Conflict, Invalid, NotFound
from webapp.projects.models import Project
from webapp.runs.candidates.gate import read_rule, rule_values
from webapp.runs.candidates.news import newest_review, newest_snapshot_id
from webapp.runs.candidates.plan_times import WEEKDAYS, next_time, zone_of
from webapp.runs.models import Plan
from webapp.runs.start import check_choices, check_settings, start_version

TIMED = (Plan.Trigger.DAILY, Plan.Trigger.WEEKLY)
MOST_PLANS = 20
CHANGEABLE = (
    "name", "is_on", "trigger", "at", "weekday", "time_zone", "after_reviews", "recipe", "config", "freeze", "gate",
    "then", "when",
)  # fmt: skip


def plans_of(project: Project) -> QuerySet[Plan]:
    return Plan.objects.filter(project=project).select_related("project", "by", "freezing").order_by("name")


def plan_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.VIEW_RUNS) -> Plan:
    """The plan, if `actor` may do `action` there; NotFound where the project is hidden."""
    plan = Plan.objects.select_related("project", "by", "freezing").filter(uid=uid).first()
    if plan is None or not allowed(actor, Action.VIEW_PROJECT, plan.project):
        raise NotFound(f"There is no plan {uid} that you may see.")
    require(actor, action, plan.project)
    return plan


def add_plan(*, actor: Actor, project: Project, **given: Any) -> Plan:
    """A plan with the fields of `CHANGEABLE`; it counts new reviews and snapshots from now on."""
    require(actor, Action.TRAIN, project)
    if Plan.objects.filter(project=project).count() >= MOST_PLANS:
        raise Conflict(f"{project} has {MOST_PLANS} plans already: delete one of them first.")
    plan = Plan(project=project, by=actor.user)
    _take(actor, plan, given)
    plan.counted_from = _count_from(plan)
    _save(plan)
    _record(actor, "add plan", plan, name=plan.name, trigger=plan.trigger, then=plan.then)
    return plan


def change_plan(*, actor: Actor, plan: Plan, **given: Any) -> Plan:
    """Change some fields. Whoever changes a plan answers for it from then on: it acts with that person's rights."""
    require(actor, Action.TRAIN, plan.project)
    with transaction.atomic():
        plan = Plan.objects.select_for_update().select_related("project").get(pk=plan.pk)
        before = plan.trigger
        if set(given) == {"is_on"} and given["is_on"] is False:
            plan.is_on, plan.next_at = False, None
        else:
            _take(actor, plan, given)
            plan.by = actor.user
        if plan.trigger != before:
            plan.counted_from = _count_from(plan)
        _save(plan)
        _record(actor, "change plan", plan, name=plan.name, changed=sorted(given))
    return plan


def delete_plan(*, actor: Actor, plan: Plan) -> None:
    """Its runs stay, and one that is under way goes on."""
    require(actor, Action.TRAIN, plan.project)
    with transaction.atomic():
        _record(actor, "delete plan", plan, name=plan.name)
        Plan.objects.filter(pk=plan.pk).delete()


def _take(actor: Actor, plan: Plan, given: Mapping[str, Any]) -> None:
    """Put what was given into the plan and check it as a whole."""
    unknown = sorted(set(given) - set(CHANGEABLE))
    if unknown:
        raise Invalid(f"A plan has no {unknown[0]!r}. It has: {', '.join(CHANGEABLE)}.", code="bad-plan")
    for name, value in given.items():
        setattr(plan, name, value)
    plan.name = " ".join(str(plan.name).split())
    if not 1 <= len(plan.name) <= 80:
        raise Invalid("A plan has a name of 1 to 80 characters.", code="bad-plan")
    _check_trigger(plan)
    _check_training(actor, plan)
    _check_end(actor, plan)


def _check_trigger(plan: Plan) -> None:
    if plan.trigger not in Plan.Trigger.values:
        raise Invalid(f"trigger is one of {', '.join(Plan.Trigger.values)}, not {plan.trigger!r}.", code="bad-plan")
    zone_of(plan.time_zone)
    plan.at, plan.weekday = _at(plan), _weekday(plan)
    if plan.trigger != Plan.Trigger.REVIEWS:
        plan.after_reviews = None
    elif not isinstance(plan.after_reviews, int) or not 1 <= plan.after_reviews < 2**31:
        raise Invalid("After how many new reviews? after_reviews is a whole number from 1.", code="bad-plan")
    is_timed = plan.trigger in TIMED and plan.is_on
    plan.next_at = next_of(plan) if is_timed else None


def next_of(plan: Plan) -> Any:
    """When a timed plan comes round next, from now on."""
    if plan.at is None:
        return None
    return next_time(plan.at, zone=plan.time_zone, weekday=plan.weekday, after=timezone.now())


def _at(plan: Plan) -> time | None:
    if plan.trigger not in TIMED:
        return None
    try:
        at = plan.at if isinstance(plan.at, time) else time.fromisoformat(str(plan.at or ""))
    except ValueError:
        raise Invalid(f"At what time? {plan.at!r} is none; write it like 02:30.", code="bad-plan") from None
    return at.replace(second=0, microsecond=0, tzinfo=None)


def _weekday(plan: Plan) -> int | None:
    if plan.trigger != Plan.Trigger.WEEKLY:
        return None
    if not isinstance(plan.weekday, int) or not 0 <= plan.weekday < len(WEEKDAYS):
        raise Invalid("On which day? weekday is 0 for Monday to 6 for Sunday.", code="bad-plan")
    return plan.weekday


def _check_training(actor: Actor, plan: Plan) -> None:
    check_choices(plan.recipe, plan.when)
    settings = dict(plan.config)
    check_settings(actor, plan.recipe, settings, start_version(plan.project, None, settings))
    read_options(plan.freeze)
    if plan.trigger == Plan.Trigger.SNAPSHOT and plan.freeze:
        raise Invalid("A plan that waits for snapshots trains on those; it freezes none.", code="bad-plan")
    require(actor, Action.FREEZE, plan.project)


def _check_end(actor: Actor, plan: Plan) -> None:
    if plan.gate:
        plan.gate = rule_values(read_rule(plan.gate))
    if plan.then not in Plan.Then.values:
        raise Invalid(f"then is one of {', '.join(Plan.Then.values)}, not {plan.then!r}.", code="bad-plan")
    if plan.then != Plan.Then.KEEP:
        require(actor, Action.ACTIVATE, plan.project)
    if plan.then == Plan.Then.ACTIVATE and not plan.gate:
        raise Invalid(
            "Nothing is activated by itself without a gate: give a rule, such as must_be better.", code="no-gate"
        )


def _count_from(plan: Plan) -> int:
    """From where news counts: a timed plan has never trained, so that everything is new to it."""
    if plan.trigger in TIMED:
        return 0
    return newest_snapshot_id(plan.project) if plan.trigger == Plan.Trigger.SNAPSHOT else newest_review(plan.project)


def _save(plan: Plan) -> None:
    try:
        with transaction.atomic():
            plan.save()
    except IntegrityError as error:
        raise Conflict(f"{plan.project} has a plan {plan.name!r} already: choose another name.") from error


def _record(actor: Actor, action: str, plan: Plan, **detail: Any) -> None:
    audit.record(actor=actor, action=action, project_id=plan.project_id, subject=f"plan:{plan.pk}", **detail)
