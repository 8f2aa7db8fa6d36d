"""Training runs: started, followed, cancelled, taken up again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.authentication import caller_of
from webapp.api.describe import describe, page_of
from webapp.api.lane import in_lane
from webapp.api.paging import PageQuery, page
from webapp.api.problems import plain
from webapp.api.shapes import runs as shapes
from webapp.api.tables import csv_answer
from webapp.api.throttles import check
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.datasets.freeze import newest_snapshot
from webapp.datasets.models import Snapshot
from webapp.datasets.snapshots import snapshot_by_uid
from webapp.errors import Invalid, NotFound
from webapp.leases import UNDER_WAY
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.cancel import cancel_run, resume_run
from webapp.runs.find import evaluation_of, events_after, run_by_uid, runs_of
from webapp.runs.models import Run
from webapp.runs.queue import before
from webapp.runs.report_tables import curve_table, curves_of
from webapp.runs.start import start_run
from webapp.versions.models import Version

LOOK_SECONDS = 1.0
PING_EVERY = 15.0
LONGEST = 600.0


class Runs(View):
    @describe("runs.list", "The runs of a project, newest first", query=[PageQuery], answers=page_of(shapes.RunShape))
    def get(self, request: Request, slug: str) -> Response:
        rows = runs_of(project_by_slug(self.actor, slug, Action.VIEW_RUNS))
        return Response(page(rows, request, shape=lambda row: shown(shapes.RunShape, row), keys=("-pk",)))

    @describe(
        "runs.create",
        "Train on a snapshot",
        description="A train worker carries it out; follow it at its address until `state` is none of waiting, leased.",
        takes=shapes.NewRun,
        answers=shapes.RunDetail,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewRun, request)
        project = project_by_slug(self.actor, slug, Action.TRAIN)
        run = start_run(
            actor=self.actor,
            project=project,
            snapshot=chosen_snapshot(self.actor, project, asked["snapshot"]),
            recipe=asked["recipe"],
            config=asked["config"],
            model=chosen_version(asked["model"]),
            when=asked["when"],
            gate=asked["gate"],
        )
        headers = {"Location": address(request, "api-run", run.uid), "Retry-After": "2"}
        return Response(detail(run), status=202, headers=headers)


class OneRun(View):
    @describe("runs.read", "One run: how far it is, and what came of it", answers=shapes.RunDetail)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(detail(run_by_uid(self.actor, uid)))


class RunLog(View):
    @describe("runs.log", "The last lines that its process wrote", answers={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, uid: UUID) -> HttpResponse:
        run = run_by_uid(self.actor, uid, Action.TRAIN)
        return HttpResponse(run.log, content_type="text/plain; charset=utf-8")


class RunCurves(View):
    @describe(
        "runs.curves",
        "What was said at the end of each epoch",
        query=[shapes.CurvesQuery],
        answers={200: shapes.CurvePoint(many=True), (200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, uid: UUID) -> HttpResponse:
        run = run_by_uid(self.actor, uid)
        if read_query(shapes.CurvesQuery, request)["format"] == "csv":
            return csv_answer(curve_table(run), f"curves-{run.pk}.csv")
        return Response(curves_of(run))


class CancelRun(View):
    @describe("runs.cancel", "End a run; its checkpoint stays for some days", answers=shapes.RunDetail)
    def post(self, request: Request, uid: UUID) -> Response:
        return Response(detail(cancel_run(actor=self.actor, run=run_by_uid(self.actor, uid, Action.TRAIN))))


class ResumeRun(View):
    @describe("runs.resume", "Have a cancelled or failed run go on from its checkpoint", answers=shapes.RunDetail)
    def post(self, request: Request, uid: UUID) -> Response:
        return Response(detail(resume_run(actor=self.actor, run=run_by_uid(self.actor, uid, Action.TRAIN))))


def chosen_snapshot(actor: Actor, project: Project, uid: UUID | str | None) -> Snapshot:
    """The one that was named, else the newest."""
    found = snapshot_by_uid(actor, uid) if uid else newest_snapshot(project)
    if found is None:
        raise Invalid("Nothing is frozen yet: make a snapshot first.", code="no-snapshot")
    return found


def chosen_version(pk: int | None) -> Version | None:
    if pk is None:
        return None
    found = Version.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no version {pk}.")
    return found


def detail(run: Run) -> dict[str, Any]:
    row = evaluation_of(run)
    found = {"evaluation": row.pk, "report": row.report} if row is not None else {"evaluation": None, "report": None}
    told = {"before": before(run) if run.state == Run.State.WAITING else 0, **found}
    return {**shown(shapes.RunShape, run), "seed": run.seed, "config": run.config, **told}


# ---- following -------------------------------------------------------------------------------------------------------


@plain("GET")
async def run_events(request: HttpRequest, uid: UUID) -> StreamingHttpResponse:
    """GET /api/v1/runs/<uid>/events: all that it said (after Last-Event-ID), then the news once a second."""
    run = await in_lane(_admit, request, uid)
    last = request.headers.get("Last-Event-ID", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else 0
    response = StreamingHttpResponse(stream(run.pk, after), content_type="text/event-stream")
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


def _admit(request: HttpRequest, uid: UUID) -> Run:
    actor = caller_of(request)
    check(actor, request.META.get("REMOTE_ADDR"))
    return run_by_uid(actor, uid)


async def stream(
    run_id: int, after: int, *, longest: float = LONGEST, every: float = LOOK_SECONDS
) -> AsyncIterator[bytes]:
    """What is new, read from the rows: few people watch a run, and its worker needs no broker to be heard."""
    until, silent_since = time.monotonic() + longest, time.monotonic()
    told: dict[str, Any] = {}
    while time.monotonic() < until:
        state, said = await in_lane(_news, run_id, after)
        if said or state != told:
            after, told, silent_since = (said[-1]["number"] if said else after), state, time.monotonic()
            yield _event("news", after, {"run": state, "said": said})
        if state["state"] not in UNDER_WAY and not said:
            yield _event("end", after, {})
            return
        if time.monotonic() - silent_since >= PING_EVERY:
            silent_since = time.monotonic()
            yield b": still here\n\n"
        await asyncio.sleep(every)
    yield b"retry: 500\n\n"


def _news(run_id: int, after: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    run = Run.objects.defer("log").filter(pk=run_id).first()
    if run is None:
        raise NotFound("The run is gone.")
    # The state is read first: of a run that ended since, the last words are still to come.
    return standing(run), events_after(run_id, after)


def standing(run: Run) -> dict[str, Any]:
    """How a run is now, for those who follow it."""
    return {
        "state": run.state,
        "code": run.code,
        "reason": run.reason,
        "device": run.device,
        "progress": run.progress,
        "version": run.version_id,
        "when": run.when,
        "not_before": run.not_before.timestamp() if run.not_before else None,
        "before": before(run) if run.state == Run.State.WAITING else 0,
    }


def _event(name: str, number: int, data: Mapping[str, Any]) -> bytes:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
