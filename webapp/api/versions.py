"""Versions, pipelines, and which of them is in use."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access import audit
from webapp.access.require import require
from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.lookup import pipeline_of, version_for, version_of
from webapp.api.paging import PageQuery, page
from webapp.api.picture_files import pieces_in_turn
from webapp.api.shapes import models as shapes
from webapp.api.views import View, read_body, shown
from webapp.errors import Invalid
from webapp.projects.find import project_by_slug
from webapp.runs.candidates.put_in_use import put_in_use
from webapp.versions.activate import activate, roll_back
from webapp.versions.fetch import folder_of
from webapp.versions.models import Activation, Pipeline, Version
from webapp.versions.packed import zipped
from webapp.versions.pipelines import make_pipeline

ROLES = ("detector", "classifier", "identifier")


class Versions(View):
    @describe(
        "versions.list",
        "The versions a project can use, newest first",
        query=[PageQuery],
        answers=page_of(shapes.VersionShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_VERSIONS)
        rows = Version.objects.filter(Q(project=project) | Q(project=None)).select_related("project", "parent")
        return Response(page(rows, request, shape=lambda row: shown(shapes.VersionShape, row)))


class OneVersion(View):
    @describe("versions.read", "One version with its card", answers=shapes.VersionDetail)
    def get(self, request: Request, pk: int) -> Response:
        return Response(shown(shapes.VersionDetail, version_for(self.actor, pk)))


class VersionFile(View):
    @describe(
        "versions.file",
        "The model folder of a version, as a zip",
        description="Unpacked, `./osprey models import FOLDER` takes it on another site, under the same digest.",
        answers={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        version = version_for(self.actor, pk)
        require(self.actor, Action.EXPORT, version.project)
        pieces = zipped(folder_of(version), f"version-{version.digest[:12]}")
        audit.record(
            actor=self.actor,
            action="download version",
            project_id=version.project_id,
            subject=f"version:{version.pk}",
            digest=version.digest,
        )
        response = StreamingHttpResponse(pieces_in_turn(pieces), content_type="application/zip")
        name = f"{version.name}-{version.digest[:12]}.zip"
        response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response


class Pipelines(View):
    @describe(
        "pipelines.list",
        "The pipelines of a project, newest first",
        query=[PageQuery],
        answers=page_of(shapes.PipelineShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_VERSIONS)
        rows = Pipeline.objects.filter(project=project)
        return Response(page(rows, request, shape=lambda row: shown(shapes.PipelineShape, row)))

    @describe(
        "pipelines.create",
        "Put versions together; the same parts give the same pipeline",
        takes=shapes.NewPipeline,
        answers=shapes.PipelineShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewPipeline, request)
        project = project_by_slug(self.actor, slug, Action.ACTIVATE)
        parts: dict[str, Any] = {role: version_of(self.actor, asked.pop(role)) for role in ROLES}
        pipeline = make_pipeline(project=project, **parts, **asked)
        return Response(shown(shapes.PipelineShape, pipeline), status=201)


class Activations(View):
    @describe(
        "activations.list",
        "What was in use and when, newest first",
        query=[PageQuery],
        answers=page_of(shapes.ActivationShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_VERSIONS)
        rows = Activation.objects.filter(project=project).select_related("pipeline", "previous", "by")
        return Response(page(rows, request, shape=lambda row: shown(shapes.ActivationShape, row)))

    @describe(
        "activations.create",
        "Put a pipeline, or a version, in use",
        takes=shapes.NewActivation,
        answers=shapes.ActivationShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewActivation, request)
        project = project_by_slug(self.actor, slug, Action.ACTIVATE)
        pipeline, version = asked.pop("pipeline"), asked.pop("version")
        if bool(pipeline) == bool(version):
            raise Invalid("Name a pipeline or a version.")
        if version and asked["slot"] != Activation.Slot.LIVE:
            raise Invalid("A version is put in use here; to try one beside there is a call of its own.")
        if version:
            said = {"version": version_for(self.actor, version), "note": asked["note"]}
            activation = put_in_use(actor=self.actor, project=project, **said)
        else:
            found = pipeline_of(project, pipeline)
            activation = activate(actor=self.actor, project=project, pipeline=found, **asked)
        return Response(shown(shapes.ActivationShape, activation), status=201)


class RollBack(View):
    @describe(
        "activations.roll_back",
        "Go back to the pipeline before",
        takes=shapes.RollBack,
        answers=shapes.ActivationShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.RollBack, request)
        project = project_by_slug(self.actor, slug, Action.ACTIVATE)
        activation = roll_back(actor=self.actor, project=project, note=asked["note"])
        return Response(shown(shapes.ActivationShape, activation), status=201)
