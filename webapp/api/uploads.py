"""Uploads: announce, check, follow, retry, close, take the results home."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.paging import PageQuery, page, with_query
from webapp.api.shapes import images as shapes
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.errors import Invalid
from webapp.images import uploads as acts
from webapp.images.models import Item, Upload
from webapp.predictions.retry import retry_failed
from webapp.projects.find import project_by_slug
from webapp.projects.labels import label_by_key_or_name

MOST_AT_ONCE = 5000
FINAL = (Item.State.DONE, Item.State.DUPLICATE, Item.State.REJECTED, Item.State.FAILED)


class Uploads(View):
    @describe(
        "uploads.list",
        "The uploads of a project, newest first",
        query=[shapes.UploadQuery, PageQuery],
        answers=page_of(shapes.UploadShape),
    )
    def get(self, request: Request) -> Response:
        project = project_by_slug(self.actor, read_query(shapes.UploadQuery, request)["project"], Action.VIEW_UPLOAD)
        rows = Upload.objects.filter(project=project).select_related("project")
        return Response(page(rows, request, shape=lambda row: shown(shapes.UploadShape, as_shape(row, request))))

    @describe("uploads.create", "Begin an upload", takes=shapes.NewUpload, answers=shapes.UploadDetail, status=201)
    def post(self, request: Request) -> Response:
        asked = read_body(shapes.NewUpload, request)
        project = project_by_slug(self.actor, asked["project"], Action.RECOGNISE)
        upload = acts.open_upload(
            actor=self.actor,
            project=project,
            kind=Upload.Kind.BROWSER if request.headers.get("X-CSRFToken") else Upload.Kind.REST,
            name=asked["name"],
            manifest=entries(asked["manifest"]),
        )
        headers = {"Location": address(request, "api-upload", upload.uid)}
        return Response(shown(shapes.UploadDetail, as_detail(upload, request)), status=201, headers=headers)


class OneUpload(View):
    @describe("uploads.read", "How far an upload is: this is the job of a batch", answers=shapes.UploadDetail)
    def get(self, request: Request, uid: UUID) -> Response:
        upload = acts.upload_by_uid(self.actor, uid)
        return Response(shown(shapes.UploadDetail, as_detail(upload, request)))

    @describe(
        "uploads.close",
        "Say that no more files will come, or open it again",
        takes=shapes.UploadChange,
        answers=shapes.UploadDetail,
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.UploadChange, request)
        upload = acts.upload_by_uid(self.actor, uid)
        act = acts.close_upload if asked["state"] == Upload.State.CLOSED else acts.reopen_upload
        upload = act(actor=self.actor, upload=upload)
        return Response(shown(shapes.UploadDetail, as_detail(upload, request)))


class Manifest(View):
    @describe(
        "uploads.announce",
        "Announce more files of an upload",
        takes=shapes.ManifestPiece,
        answers=shapes.Announced,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.ManifestPiece, request)
        upload = acts.upload_by_uid(self.actor, uid)
        said = acts.extend_manifest(actor=self.actor, upload=upload, manifest=entries(asked["manifest"]))
        return Response(shown(shapes.Announced, said))


class Check(View):
    @describe(
        "uploads.check",
        "Ask which files need not be sent, by SHA-256",
        takes=shapes.CheckQuestion,
        answers=shapes.CheckAnswer,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.CheckQuestion, request)
        upload = acts.upload_by_uid(self.actor, uid)
        here = acts.need_not_send(actor=self.actor, upload=upload, sha256s=asked["sha256"], files=asked["files"])
        return Response(shown(shapes.CheckAnswer, {"here": here}))


class Retry(View):
    @describe("uploads.retry", "Try again what failed, and only that", answers=shapes.Retried)
    def post(self, request: Request, uid: UUID) -> Response:
        upload = acts.upload_by_uid(self.actor, uid)
        return Response({"retried": retry_failed(actor=self.actor, upload=upload)})


class Items(View):
    @describe(
        "uploads.items",
        "The files of an upload",
        query=[shapes.ItemQuery],
        answers=page_of(shapes.ItemShape),
    )
    def get(self, request: Request, uid: UUID) -> Response:
        asked = read_query(shapes.ItemQuery, request)
        upload = acts.upload_by_uid(self.actor, uid)
        limit = asked.pop("limit")
        if asked.get("label"):
            asked["label"] = label_by_key_or_name(upload.project, asked["label"]).key
        found = acts.list_items(upload, **asked, limit=limit)
        following = with_query(request, after=str(found[-1].pk)) if len(found) == limit else None
        results = [shown(shapes.ItemShape, item_shape(item, request)) for item in found]
        return Response({"results": results, "next": following})


def entries(manifest: list[dict[str, Any]]) -> list[acts.ManifestEntry]:
    if len(manifest) > MOST_AT_ONCE:
        raise Invalid(f"{len(manifest):,} files at once; send at most {MOST_AT_ONCE:,}, then the next ones.")
    return [acts.ManifestEntry(**entry) for entry in manifest]


def as_shape(upload: Upload, request: Request) -> dict[str, Any]:
    counted = acts.counts(upload)
    return {
        "id": upload.uid,
        "project": upload.project.slug,
        "name": upload.name,
        "kind": upload.kind,
        "state": upload.state,
        "reason": upload.reason,
        "counts": counted,
        "side_files": upload.side_files,
        "done": is_done(upload, counted),
        "created_at": upload.created_at,
        "closed_at": upload.closed_at,
        "page": request.build_absolute_uri(f"/u/{upload.uid}/"),
    }


def as_detail(upload: Upload, request: Request) -> dict[str, Any]:
    labels = acts.label_counts(upload)
    return as_shape(upload, request) | {"labels": [vars_of(label) for label in labels]}


def vars_of(label: Any) -> dict[str, Any]:
    return {"key": label.key, "name": label.name, "count": label.count}


def is_done(upload: Upload, counted: dict[str, int]) -> bool:
    """Whether every file has its final state and none is to come."""
    waiting = counted.get(Item.State.EXPECTED, 0) + counted.get(Item.State.RECEIVED, 0)
    return waiting == 0 and upload.state not in (Upload.State.OPEN, Upload.State.WORKING)


def item_shape(item: Item, request: Request) -> dict[str, Any]:
    state = item.image.state if item.image is not None and hasattr(item.image, "state") else None
    return {
        "id": item.pk,
        "path": item.path,
        "part": item.part,
        "claimed_label": item.claimed_label,
        "state": item.state,
        "code": item.code,
        "reason": item.reason,
        "sha256": item.sha256,
        "image": item.image_id,
        "label": state.label.name if state is not None and state.label is not None else None,
        "score": state.score if state is not None else None,
        "damaged": bool(item.image and item.image.damaged_share),
        "damaged_share": item.image.damaged_share if item.image else None,
        "thumbnail": address(request, "api-image-thumbnail", item.image_id, 256) if item.image_id else None,
    }
