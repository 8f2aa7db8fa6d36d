"""Exports: asked for, followed, downloaded."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.picture_files import streamed
from webapp.api.shapes import exports as shapes
from webapp.api.views import View, address, read_body, shown
from webapp.datasets import export_job
from webapp.datasets import selection as selecting
from webapp.datasets.exporting import Asked, start_export
from webapp.datasets.models import Export
from webapp.datasets.snapshots import snapshot_by_uid
from webapp.errors import Conflict, NotFound
from webapp.projects.find import project_by_slug


class Exports(View):
    @describe(
        "exports.list", "The exports of a project, newest first", query=[PageQuery], answers=page_of(shapes.ExportShape)
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = Export.objects.filter(project=project_by_slug(self.actor, slug, Action.EXPORT))
        joined = rows.select_related("project", "snapshot", "asked_by")
        return Response(page(joined, request, shape=lambda row: export_shape(row, request), keys=("-pk",)))

    @describe(
        "exports.create",
        "Have a project, a selection or a snapshot made into a file",
        description="A worker makes it; follow the job at its address until `state` is done, then get `file`.",
        takes=shapes.NewExport,
        answers=shapes.ExportShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewExport, request)
        project = project_by_slug(self.actor, slug, Action.EXPORT)
        snapshot = snapshot_by_uid(self.actor, asked["snapshot"]) if asked["snapshot"] else None
        if snapshot is not None and snapshot.project_id != project.pk:
            raise NotFound(f"The project {project.slug} has no snapshot {asked['snapshot']}.")
        selection = selecting.read(asked["selection"])
        row = start_export(
            actor=self.actor,
            asked=Asked(project, asked["format"], selection, snapshot, asked["whose"], asked["options"]),
        )
        headers = {"Location": address(request, "api-export", row.uid)}
        return Response(export_shape(row, request), status=202, headers=headers)


class OneExport(View):
    @describe("exports.read", "How far an export is, and what is not in it", answers=shapes.ExportShape)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(export_shape(export_by_uid(self.actor, uid), request))

    @describe("exports.stop", "Stop making an export", answers=shapes.ExportShape)
    def delete(self, request: Request, uid: UUID) -> Response:
        row = export_by_uid(self.actor, uid)
        if not export_job.stop(row):
            raise Conflict(f"This export is {row.get_state_display()} already.")
        return Response(export_shape(export_by_uid(self.actor, uid), request))


class ExportFile(View):
    @describe("exports.file", "The file of an export", answers={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request: Request, uid: UUID) -> HttpResponseBase:
        row = export_by_uid(self.actor, uid)
        path = export_job.ready_file(row)
        audit.record(actor=self.actor, action="download export", project_id=row.project_id, subject=f"export:{row.pk}")
        response = StreamingHttpResponse(streamed(path), content_type="application/zip")
        what = row.snapshot.name if row.snapshot else f"{row.created_at:%Y-%m-%d}"
        name = f"{row.project.slug}-{what}-{row.format}.zip"
        response["Content-Length"] = str(path.stat().st_size)
        response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response


def export_by_uid(actor: Actor, uid: UUID) -> Export:
    """Those who asked for it see it; what a curator asked for may hold more than others may have."""
    row = Export.objects.select_related("project", "snapshot", "asked_by").filter(uid=uid).first()
    if row is None:
        raise NotFound(f"There is no export {uid} that you may see.")
    project_by_slug(actor, row.project.slug, Action.EXPORT)
    if actor.user is None or row.asked_by_id != actor.user.pk:
        project_by_slug(actor, row.project.slug, Action.VIEW_PLACES)
    return row


def export_shape(row: Export, request: Request) -> dict[str, object]:
    is_ready = row.state == "done"
    more = {"file": address(request, "api-export-file", row.uid) if is_ready else None}
    return {**shown(shapes.ExportShape, row), **more}
