"""A candidate tried beside the version in use, and asking a version about the images that are there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.lookup import version_for
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import beside as shapes
from webapp.api.views import View, address, read_body
from webapp.errors import NotFound
from webapp.predictions.beside import ALSO, start_beside, stop_beside
from webapp.predictions.disagreement import Beside, beside
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.backfills.ask import backfill_by_uid, backfills_of, predict_again, stop_backfill, words_of
from webapp.versions.activate import newest_activation

IMAGES_TOLD = 100


class TriedBeside(View):
    @describe("beside.read", "How the candidate tried beside compares", answers=shapes.BesideShape)
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_VERSIONS)
        found = beside(project)
        if found is None:
            raise NotFound(f"Nothing is tried beside in {project.slug}.", code="nothing-beside")
        return Response(_told(project, found))

    @describe(
        "beside.start",
        "Ask a version about live pictures beside the one in use",
        description="It is asked once nobody waits for an answer; what it says is never the answer, nor counted.",
        takes=shapes.NewTrialBeside,
        answers=shapes.BesideShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewTrialBeside, request)
        project = project_by_slug(self.actor, slug, Action.ACTIVATE)
        version = version_for(self.actor, asked["version"])
        start_beside(actor=self.actor, project=project, version=version, note=asked["note"])
        found = beside(project)
        return Response(_told(project, found) if found else {}, status=201)

    @describe("beside.stop", "End the trial; what the candidate said stays", status=204)
    def delete(self, request: Request, slug: str) -> Response:
        stop_beside(actor=self.actor, project=project_by_slug(self.actor, slug, Action.ACTIVATE))
        return Response(status=204)


def _told(project: Project, found: Beside) -> dict[str, Any]:
    begun = newest_activation(project, ALSO)
    pipeline = begun.pipeline if begun else None
    speaker = (pipeline.classifier or pipeline.detector) if pipeline else None
    pairs = [
        {"live": one.live, "beside": one.beside, "count": len(one.images), "images": one.images[:IMAGES_TOLD]}
        for one in found.differing
    ]
    return {
        **vars(found),
        "differing": pairs,
        "pipeline": pipeline.digest if pipeline else "",
        "version": speaker.name if speaker else "",
        "note": begun.note if begun else "",
    }


class Backfills(View):
    @describe(
        "backfills.list",
        "How often images were predicted again, newest first",
        query=[PageQuery],
        answers=page_of(shapes.BackfillShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = backfills_of(project_by_slug(self.actor, slug, Action.VIEW_VERSIONS))
        return Response(page(rows, request, shape=words_of, keys=("-pk",)))

    @describe(
        "backfills.create",
        "Predict again what another version answered",
        description="In the background, behind everything else. Verdicts and earlier answers stay.",
        takes=shapes.NewBackfill,
        answers=shapes.BackfillShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewBackfill, request)
        project = project_by_slug(self.actor, slug, Action.ACTIVATE)
        version = version_for(self.actor, asked["version"]) if asked["version"] else None
        begun = predict_again(actor=self.actor, project=project, version=version)
        headers = {"Location": address(request, "api-backfill", begun.uid), "Retry-After": "2"}
        return Response(words_of(begun), status=202, headers=headers)


class OneBackfill(View):
    @describe("backfills.read", "How far it is", answers=shapes.BackfillShape)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(words_of(backfill_by_uid(self.actor, uid)))


class StopBackfill(View):
    @describe("backfills.stop", "Stop predicting again; what is answered stays", answers=shapes.BackfillShape)
    def post(self, request: Request, uid: UUID) -> Response:
        row = backfill_by_uid(self.actor, uid, Action.ACTIVATE)
        return Response(words_of(stop_backfill(actor=self.actor, backfill=row)))
