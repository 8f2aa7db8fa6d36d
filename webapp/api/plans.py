"""Training that begins by itself, and how long it would take: plans and trials."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of
from webapp.api.runs import chosen_snapshot, chosen_version
from webapp.api.shapes import plans as shapes
from webapp.api.views import View, address, read_body, shown
from webapp.leases import UNDER_WAY
from webapp.projects.find import project_by_slug
from webapp.runs.candidates.planning import run_plan_now
from webapp.runs.candidates.plans import add_plan, change_plan, delete_plan, plan_by_uid, plans_of
from webapp.runs.candidates.trial_words import in_words
from webapp.runs.candidates.trials import start_trial, trial_by_uid
from webapp.runs.models import Trial


class Plans(View):
    @describe("plans.list", "The plans of a project", answers=list_of(shapes.PlanShape))
    def get(self, request: Request, slug: str) -> Response:
        rows = plans_of(project_by_slug(self.actor, slug, Action.VIEW_RUNS))
        return Response({"results": [shown(shapes.PlanShape, row) for row in rows]})

    @describe(
        "plans.create",
        "Have candidates made at a time, or when enough has come in",
        description="It acts with the rights of who made or last changed it, as they are at that time.",
        takes=shapes.NewPlan,
        answers=shapes.PlanShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewPlan, request)
        plan = add_plan(actor=self.actor, project=project_by_slug(self.actor, slug, Action.TRAIN), **asked)
        headers = {"Location": address(request, "api-plan", plan.uid)}
        return Response(shown(shapes.PlanShape, plan), status=201, headers=headers)


class OnePlan(View):
    @describe("plans.read", "One plan, and what came of it the last time", answers=shapes.PlanShape)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(shown(shapes.PlanShape, plan_by_uid(self.actor, uid)))

    @describe("plans.change", "Change a plan", takes=shapes.ChangedPlan, answers=shapes.PlanShape)
    def patch(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.ChangedPlan, request)
        plan = change_plan(actor=self.actor, plan=plan_by_uid(self.actor, uid, Action.TRAIN), **asked)
        return Response(shown(shapes.PlanShape, plan))

    @describe("plans.delete", "Delete a plan; its runs stay", status=204)
    def delete(self, request: Request, uid: UUID) -> Response:
        delete_plan(actor=self.actor, plan=plan_by_uid(self.actor, uid, Action.TRAIN))
        return Response(status=204)


class RunPlan(View):
    @describe("plans.run", "Begin at once, whether anything is new or not", answers=shapes.PlanShape, status=202)
    def post(self, request: Request, uid: UUID) -> Response:
        plan = run_plan_now(actor=self.actor, plan=plan_by_uid(self.actor, uid, Action.TRAIN))
        return Response(shown(shapes.PlanShape, plan), status=202)


class Trials(View):
    @describe(
        "trials.create",
        "How long a run would take on this machine",
        description=(
            "What was measured here before is answered at once, with 201; else a train worker tries a few real steps "
            "(202), as soon as its device is free."
        ),
        takes=shapes.NewTrial,
        answers={201: shapes.TrialShape, 202: shapes.TrialShape},
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewTrial, request)
        project = project_by_slug(self.actor, slug, Action.TRAIN)
        trial = start_trial(
            actor=self.actor,
            project=project,
            snapshot=chosen_snapshot(self.actor, project, asked["snapshot"]),
            recipe=asked["recipe"],
            config=asked["config"],
            model=chosen_version(asked["model"]),
        )
        waits = trial.state in UNDER_WAY
        headers = {"Location": address(request, "api-trial", trial.uid), **({"Retry-After": "1"} if waits else {})}
        return Response(told(trial), status=202 if waits else 201, headers=headers)


class OneTrial(View):
    @describe("trials.read", "What a trial measured", answers=shapes.TrialShape)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(told(trial_by_uid(self.actor, uid)))


def told(trial: Trial) -> dict[str, Any]:
    return {**shown(shapes.TrialShape, trial), "words": in_words(trial.result) if trial.result else ""}
