"""Plans on the Train page: made, switched on and off, begun now, deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import Invalid, NotFound
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.candidates.plan_times import WEEKDAYS
from webapp.runs.candidates.planning import is_under_way, run_plan_now
from webapp.runs.candidates.plans import add_plan, change_plan, delete_plan, plan_by_uid, plans_of
from webapp.runs.models import Plan

GATES: dict[str, tuple[str, dict[str, Any]]] = {
    "not-worse": ("not worse than what is in use", {"must_be": "not worse"}),
    "better": ("better than what is in use, beyond doubt", {"must_be": "better"}),
    "none": ("anything that learned at all", {}),
}


@page("POST")
def add(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.TRAIN)
    done = "From now on this project makes candidates by itself."
    return attempt(request, _back(slug), done, lambda: add_plan(actor=actor, project=project, **_given(request.POST)))


@page("POST")
def switch(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    plan = _plan(actor, slug, uid)
    is_on = request.POST.get("is_on") == "yes"
    done = f"{plan.name} is on." if is_on else f"{plan.name} is off: it begins nothing until it is switched on."
    return attempt(request, _back(slug), done, lambda: change_plan(actor=actor, plan=plan, is_on=is_on))


@page("POST")
def run(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    plan = _plan(actor, slug, uid)
    return attempt(request, _back(slug), f"{plan.name} begins.", lambda: run_plan_now(actor=actor, plan=plan))


@page("POST")
def delete(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    plan = _plan(actor, slug, uid)
    done = f"{plan.name} is deleted. What it trained stays."
    return attempt(request, _back(slug), done, lambda: delete_plan(actor=actor, plan=plan))


def plans_context(actor: Actor, project: Project, may_train: bool) -> dict[str, Any]:
    """What part_plans.html shows."""
    zone = (actor.user.time_zone if actor.user else "") or project.time_zone or "UTC"
    return {
        "plans": [
            {
                "plan": plan,
                "words": when_words(plan),
                "gate": gate_words(plan.gate),
                "then": plan.get_then_display() if plan.then != Plan.Then.KEEP else "",
                "is_under_way": is_under_way(plan),
            }
            for plan in plans_of(project)
        ],
        "plan_triggers": Plan.Trigger.choices,
        "plan_gates": [(name, words) for name, (words, _) in GATES.items()],
        "plan_thens": Plan.Then.choices if allowed(actor, Action.ACTIVATE, project) else Plan.Then.choices[:1],
        "plan_zone": zone,
        "weekdays": list(enumerate(WEEKDAYS)),
        "may_plan": may_train,
    }


def when_words(plan: Plan) -> str:
    """Such as `every Monday at 02:30, Europe/Paris`."""
    if plan.trigger == Plan.Trigger.REVIEWS:
        return f"after {plan.after_reviews:,} new review{'s' if plan.after_reviews != 1 else ''}"
    if plan.trigger == Plan.Trigger.SNAPSHOT or plan.at is None:
        return str(plan.get_trigger_display())
    day = "day" if plan.weekday is None else WEEKDAYS[plan.weekday]
    return f"every {day} at {plan.at:%H:%M}, {plan.time_zone}"


def gate_words(rule: dict[str, Any]) -> str:
    """In short; the whole rule is in REST."""
    if not rule:
        return "anything that learned is let through"
    words = f"let through when {rule['must_be']} in {rule['metric'].replace('_', ' ')}"
    more = [*rule.get("labels", ()), *(name for name in ("max_ms", "max_size") if rule.get(name) is not None)]
    return f"{words}, and by {', '.join(more)}" if more else words


def _given(posted: QueryDict) -> dict[str, Any]:
    trigger = posted.get("trigger", "")
    gate = posted.get("gate", "not-worse")
    if gate not in GATES:
        raise Invalid(f"There is no gate {gate[:20]!r}.")
    given: dict[str, Any] = {
        "name": posted.get("name", ""),
        "trigger": trigger,
        "recipe": posted.get("recipe", "head"),
        "gate": GATES[gate][1],
        "then": posted.get("then", Plan.Then.KEEP),
        "time_zone": posted.get("time_zone", "UTC"),
    }
    if trigger in (Plan.Trigger.DAILY, Plan.Trigger.WEEKLY):
        given["at"] = posted.get("at", "")
    if trigger == Plan.Trigger.WEEKLY:
        given["weekday"] = _whole(posted.get("weekday", ""), "a day of the week")
    if trigger == Plan.Trigger.REVIEWS:
        given["after_reviews"] = _whole(posted.get("after_reviews", ""), "a number of reviews")
    return given


def _whole(text: str, what: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Invalid(f"{text[:20]!r} is not {what}.")
    return int(text)


def _plan(actor: Actor, slug: str, uid: UUID) -> Plan:
    plan = plan_by_uid(actor, uid, Action.TRAIN)
    if plan.project.slug != slug:
        raise NotFound(f"The project {slug} has no plan {uid}.")
    return plan


def _back(slug: str) -> str:
    return f"{reverse('runs', args=[slug])}#plans"
