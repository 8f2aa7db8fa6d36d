"""Imports: looked at, started, followed, stopped, gone on with, withdrawn; and originals that lie in place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp import queue
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.api.batches import single
from webapp.api.describe import describe, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.schema_bodies import SOURCE_FILE
from webapp.api.shapes import imports as shapes
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.datasets import forecasting, import_report, importing, in_place, roots, sent_source, withdraw
from webapp.datasets.import_originals import CHECK, FIND
from webapp.datasets.models import Import
from webapp.errors import Conflict, Invalid
from webapp.images.keep import received
from webapp.images.models import Upload
from webapp.images.uploads import upload_by_uid
from webapp.projects.find import project_by_slug

FORECAST_SECONDS = 10.0


class Imports(View):
    @describe(
        "imports.list", "The imports of a project, newest first", query=[PageQuery], answers=page_of(shapes.ImportShape)
    )
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_UPLOAD)
        rows = importing.imports_of(project)
        return Response(page(rows, request, shape=self.import_shape))

    @describe(
        "imports.create",
        "Import a folder or file of the server",
        description="For admins, under the folders of OSPREY_IMPORT_ROOTS. The answer is a job: follow its address.",
        takes=shapes.NewImport,
        answers=shapes.ImportShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewImport, request)
        project = project_by_slug(self.actor, slug, Action.IMPORT)
        row = importing.start_import(
            actor=self.actor,
            project=project,
            root=Path(asked["path"]),
            format=asked["format"],
            mapping=asked["mapping"],
            options=asked["options"],
            in_place=asked["in_place"],
            source=asked["source"],
            licence=asked["licence"],
            trusted=asked["trusted"],
            kind=Upload.Kind.WATCH if asked["watch"] else Upload.Kind.IMPORT,
            quiet_seconds=asked["quiet_seconds"],
            forecast=self.look(project, asked) if not asked["watch"] else None,
        )
        headers = {"Location": address(request, "api-import", row.uid)}
        return Response(self.import_shape(row), status=202, headers=headers)

    def look(self, project: Any, asked: dict[str, Any]) -> dict[str, Any]:
        """The forecast of a folder of the server; a table whose columns are not clear is refused by it."""
        root = roots.check_folder(self.actor, project, asked["path"])
        found = _forecast(project, root, asked, importing.check_options(self.actor, root, asked["options"]))
        if found["needs_mapping"]:
            raise Invalid(found["reason"], code="needs-mapping")
        return found

    def import_shape(self, row: Import) -> dict[str, Any]:
        return as_shape(row, is_admin=allowed(self.actor, Action.MANAGE_PROJECT, row.project))


class ImportForecast(View):
    @describe(
        "imports.forecast",
        "Look at a folder or file of the server; nothing is written",
        takes=shapes.ForecastQuestion,
        answers=shapes.ForecastShape,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.ForecastQuestion, request)
        project = project_by_slug(self.actor, slug, Action.IMPORT)
        root = roots.check_folder(self.actor, project, asked["path"])
        options = importing.check_options(self.actor, root, asked["options"])
        return Response(_forecast(project, root, asked, options))


class ImportFile(Imports):
    http_method_names = ("post", "options")

    @describe(
        "imports.send",
        "Import a zip, a table or a JSON file that is sent",
        description="What a table names is looked for in the zip and among the images of the project.",
        takes=SOURCE_FILE,
        query=[shapes.SentQuery],
        answers=shapes.ImportShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_query(shapes.SentQuery, request)
        project = project_by_slug(self.actor, slug, Action.IMPORT)
        part = single(received(request._request))
        row = importing.receive_import(
            actor=self.actor,
            project=project,
            received=part,
            name=asked["name"] or part.filename,
            format=asked["format"],
            source=asked["source"],
            licence=asked["licence"],
            trusted=asked["trusted"],
            asks=asked["ask"],
        )
        headers = {"Location": address(request, "api-import", row.uid)}
        return Response(self.import_shape(row), status=202, headers=headers)


class OneImport(Imports):
    http_method_names = ("get", "patch", "delete", "options")

    @describe("imports.read", "How far an import is, and what to know of it", answers=shapes.ImportShape)
    def get(self, request: Request, uid: UUID) -> Response:  # type: ignore[override]
        return Response(self.import_shape(importing.import_by_uid(self.actor, uid)))

    @describe(
        "imports.edit",
        "Change what is kept with an import",
        description="Source, licence, and whether versions may be tested on its labels, for snapshots to come.",
        takes=shapes.ImportFacts,
        answers=shapes.ImportShape,
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.ImportFacts, request)
        row = importing.import_by_uid(self.actor, uid)
        return Response(self.import_shape(importing.describe_import(actor=self.actor, row=row, **asked)))

    @describe("imports.discard", "Forget an import that has brought nothing yet", status=204)
    def delete(self, request: Request, uid: UUID) -> Response:
        importing.discard_import(actor=self.actor, row=importing.import_by_uid(self.actor, uid))
        return Response(status=204)


class StopImport(Imports):
    http_method_names = ("post", "options")

    @describe("imports.stop", "Stop an import; it can go on later", answers=shapes.ImportShape)
    def post(self, request: Request, uid: UUID) -> Response:  # type: ignore[override]
        row = importing.stop_import(actor=self.actor, row=importing.import_by_uid(self.actor, uid))
        return Response(self.import_shape(row))


class ResumeImport(Imports):
    http_method_names = ("post", "options")

    @describe(
        "imports.resume",
        "Go on with an import, or start one that asks",
        takes=shapes.ImportChange,
        answers=shapes.ImportShape,
    )
    def post(self, request: Request, uid: UUID) -> Response:  # type: ignore[override]
        asked = read_body(shapes.ImportChange, request)
        row = importing.resume_import(actor=self.actor, row=importing.import_by_uid(self.actor, uid), **asked)
        return Response(self.import_shape(row))


class SentForecast(View):
    @describe(
        "imports.look_again",
        "The forecast of what was sent, read in another way",
        takes=shapes.How,
        answers=shapes.ForecastShape,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.How, request)
        row = importing.import_by_uid(self.actor, uid)
        require(self.actor, Action.IMPORT, row.project)
        if not sent_source.is_ready(row):
            raise Conflict("It is still being unpacked: ask again in a moment.", code="not-ready")
        root = sent_source.ready(row, lambda: None)
        options = importing.check_options(self.actor, root, asked["options"])
        try:
            found = _forecast(row.project, root, asked, options)
        except Invalid as error:
            raise Invalid(sent_source.said(row, error.what), code=error.code) from error
        return Response(sent_source.with_refused(row, found))


class Report(View):
    @describe(
        "imports.report",
        "Every file of an import with what became of it, as CSV",
        query=[shapes.ReportQuery],
        answers={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, uid: UUID) -> HttpResponseBase:
        row = importing.import_by_uid(self.actor, uid)
        state = import_report.checked_state(read_query(shapes.ReportQuery, request)["state"])
        lines = _streamed(import_report.report(row, state))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="import-{row.created_at:%Y-%m-%d}.csv"'
        return response


class Withdraw(View):
    @describe(
        "uploads.withdraw",
        "Take back an upload or import as a whole, with all it said",
        takes=shapes.WithdrawQuestion,
        answers=shapes.UploadStateShape,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.WithdrawQuestion, request)
        upload = upload_by_uid(self.actor, uid)
        upload = withdraw.withdraw_upload(actor=self.actor, upload=upload, reason=asked["reason"])
        return Response(shown(shapes.UploadStateShape, upload))


class BringBack(View):
    @describe("uploads.bring_back", "Undo a withdrawal", answers=shapes.UploadStateShape)
    def post(self, request: Request, uid: UUID) -> Response:
        upload = withdraw.bring_back(actor=self.actor, upload=upload_by_uid(self.actor, uid))
        return Response(shown(shapes.UploadStateShape, upload))


class Originals(View):
    @describe("originals.read", "How many originals are read in place, and how many are missing",
              answers=shapes.OriginalsShape)  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        return Response(in_place.summary(project_by_slug(self.actor, slug, Action.VIEW_IMAGES)))

    @describe(
        "originals.find",
        "Check all originals in place, or look for the missing ones under another folder",
        takes=shapes.OriginalsQuestion,
        answers=shapes.OriginalsShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.OriginalsQuestion, request)
        project = project_by_slug(self.actor, slug, Action.MANAGE_PROJECT)
        if asked["under"]:
            queue.send(FIND, project.pk, str(roots.check_folder(self.actor, project, asked["under"])), queue="io")
        else:
            queue.send(CHECK, project.pk, queue="io")
        return Response(in_place.summary(project), status=202)


def as_shape(row: Import, *, is_admin: bool) -> dict[str, Any]:
    more = {
        "asks": importing.asks(row),
        "is_withdrawn": row.upload.state == Upload.State.WITHDRAWN,
        "trusted": importing.is_trusted(row.upload),
        "moving": withdraw.MOVING in row.upload.options,
        "total": int(row.forecast.get("files", 0)),
        "by": row.upload.created_by.get_username() if row.upload.created_by else None,
        "counts": {name: value for name, value in importing.as_result(row).items() if type(value) is int},
    }
    return shown(shapes.ImportShape, _Said(row, more, row.root if is_admin else ""))


class _Said:
    """A row with what is said of it besides."""

    def __init__(self, row: Import, more: dict[str, Any], root: str) -> None:
        self._row, self._more, self.root = row, more, root

    def __getattr__(self, name: str) -> Any:
        return self._more[name] if name in self._more else getattr(self._row, name)


def _forecast(project: Any, root: Path, asked: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return forecasting.forecast(
        project=project,
        root=root,
        format=asked["format"],
        mapping=asked["mapping"],
        options=options,
        in_place=asked["in_place"],
        seconds=FORECAST_SECONDS,
    )


async def _streamed(lines: Iterator[str]) -> AsyncIterator[str]:
    """Each batch is read in a thread of its own, so that no other answer waits for it."""
    while text := await sync_to_async(lambda: next(lines, ""))():
        yield text
