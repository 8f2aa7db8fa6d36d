"""Snapshots: frozen, read, compared, restored."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.picture_files import pieces_in_turn
from webapp.api.shapes import snapshots as shapes
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.datasets import manifest
from webapp.datasets.freeze_job import request_freeze, stop
from webapp.datasets.models import Freezing
from webapp.datasets.restore import freeze_again, restore_labels
from webapp.datasets.since import since
from webapp.datasets.snapshots import add_note, freezing_by_uid, snapshot_by_uid, snapshots_of
from webapp.datasets.stored_difference import stored_difference
from webapp.errors import Invalid
from webapp.projects.find import project_by_slug

RECENT = 20


class Snapshots(View):
    @describe(
        "snapshots.list",
        "The snapshots of a project, newest first",
        query=[PageQuery],
        answers=page_of(shapes.SnapshotShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = snapshots_of(project_by_slug(self.actor, slug))
        return Response(page(rows, request, shape=lambda row: shown(shapes.SnapshotShape, row)))

    @describe(
        "snapshots.create",
        "Freeze the labels of a project into parts",
        description="A worker measures what is not measured, divides and writes. A leak is refused unless signed for.",
        takes=shapes.NewSnapshot,
        answers=shapes.FreezingShape,
        status=202,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewSnapshot, request)
        project = project_by_slug(self.actor, slug, Action.FREEZE)
        row = request_freeze(actor=self.actor, project=project, **asked)
        said = freezing_shape(request, row)
        return Response(
            shown(shapes.FreezingShape, said), status=202, headers={"Location": said["job"], "Retry-After": "2"}
        )


class Freezings(View):
    @describe(
        "freezings.list", "Snapshots on their way, and those that were refused", answers=list_of(shapes.FreezingShape)
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = Freezing.objects.filter(project=project_by_slug(self.actor, slug)).select_related("snapshot")
        return Response(
            {
                "results": [
                    shown(shapes.FreezingShape, freezing_shape(request, row)) for row in rows.order_by("-pk")[:RECENT]
                ]
            }
        )


class OneFreezing(View):
    @describe("freezings.read", "How far a snapshot on its way is", answers=shapes.FreezingShape)
    def get(self, request: Request, uid: UUID) -> Response:
        row = freezing_by_uid(self.actor, uid)
        return Response(shown(shapes.FreezingShape, freezing_shape(request, row)))

    @describe("freezings.stop", "Stop it; nothing of it is kept", answers=shapes.FreezingShape)
    def delete(self, request: Request, uid: UUID) -> Response:
        row = stop(actor=self.actor, freezing=freezing_by_uid(self.actor, uid))
        return Response(shown(shapes.FreezingShape, freezing_shape(request, row)))


class OneSnapshot(View):
    @describe("snapshots.read", "One snapshot with its counts and leak report", answers=shapes.SnapshotDetail)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(shown(shapes.SnapshotDetail, snapshot_by_uid(self.actor, uid)))


class SnapshotManifest(View):
    @describe(
        "snapshots.manifest",
        "The manifest as JSON Lines: a head, then a line for each image",
        answers={(200, "application/jsonl"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, uid: UUID) -> HttpResponseBase:
        snapshot = snapshot_by_uid(self.actor, uid, Action.EXPORT)
        manifest.path_of(snapshot)
        response = StreamingHttpResponse(pieces_in_turn(manifest.texts(snapshot)), content_type="application/jsonl")
        response["Content-Disposition"] = f'attachment; filename="osprey-{snapshot.digest[:12]}.jsonl"'
        response["ETag"] = f'"{snapshot.digest}"'
        return response


class SnapshotDifference(View):
    @describe(
        "snapshots.difference",
        "What changed since another snapshot",
        query=[shapes.DifferenceQuery],
        description="Between large ones a worker counts it once: 202 until it has.",
        answers={200: shapes.DifferenceShape, 202: shapes.DifferenceAwaited},
    )
    def get(self, request: Request, uid: UUID) -> Response:
        asked = read_query(shapes.DifferenceQuery, request)
        after = snapshot_by_uid(self.actor, uid)
        before = snapshot_by_uid(self.actor, asked["before"]) if asked["before"] else after.parent
        if before is None:
            raise Invalid(f"{after} has no parent: say with `before` what to compare it with.")
        found = stored_difference(before, after)
        if found is not None:
            return Response(shown(shapes.DifferenceShape, found))
        told = {"state": "counting", "before": str(before.uid), "after": str(after.uid)}
        return Response(shown(shapes.DifferenceAwaited, told), status=202, headers={"Retry-After": "2"})


class SnapshotLeaks(View):
    @describe("snapshots.leaks", "What straddled its parts, and what does by now", answers=shapes.LeakReports)
    def get(self, request: Request, uid: UUID) -> Response:
        snapshot = snapshot_by_uid(self.actor, uid)
        known = since(snapshot)
        report = {"report": snapshot.leak_report, "now": known.state, "counted_at": known.at}
        return Response(shown(shapes.LeakReports, report))


class SnapshotRestore(View):
    @describe(
        "snapshots.restore",
        "Go back to a snapshot: to its labels, or to a new snapshot that equals it",
        takes=shapes.Restore,
        answers=shapes.RestoredShape,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.Restore, request)
        if asked["what"] == "snapshot":
            old = snapshot_by_uid(self.actor, uid, Action.FREEZE)
            made = freeze_again(actor=self.actor, snapshot=old, name=asked["name"])
            return Response({"change": None, "images": 0, "left": 0, "missing_words": 0, "snapshot": str(made.uid)})
        done = restore_labels(actor=self.actor, snapshot=snapshot_by_uid(self.actor, uid, Action.CURATE))
        change = str(done.change.uid) if done.change else None
        counts = {"images": done.images, "left": done.left, "missing_words": done.missing_words}
        return Response({"change": change, **counts, "snapshot": None})


class SnapshotNotes(View):
    @describe("snapshots.note", "Add a line to its notes", takes=shapes.Note, answers=shapes.SnapshotShape, status=201)
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.Note, request)
        snapshot = add_note(actor=self.actor, snapshot=snapshot_by_uid(self.actor, uid, Action.FREEZE), **asked)
        return Response(shown(shapes.SnapshotShape, snapshot), status=201)


def freezing_shape(request: Request, row: Freezing) -> dict[str, Any]:
    return {
        "id": row.uid,
        "job": address(request, "api-freezing", row.uid),
        "state": row.state,
        "dry_run": row.is_dry_run,
        "step": row.step,
        "done": row.done,
        "total": row.total,
        "code": row.code,
        "reason": row.reason,
        "report": row.report,
        "snapshot": row.snapshot.uid if row.snapshot else None,
    }
