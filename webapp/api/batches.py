"""Many pictures or a zip in one call, and the files of an upload: taken in now, recognised in their turn."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.problems import BadRequest
from webapp.api.schema_bodies import MANY_FILES, ONE_FILE, ZIP_FILE
from webapp.api.shapes.images import BatchQuery, FileQuery, FileTaken, Job
from webapp.api.views import View, address, read_query, shown
from webapp.errors import NoSpace, OspreyError
from webapp.images.keep import Part, received, received_fields
from webapp.images.models import Item, Upload
from webapp.images.news import tell
from webapp.images.paths import normalise_path
from webapp.images.unpack import accept_zip, is_zip
from webapp.images.uploads import (
    close_upload,
    counts,
    ensure_item,
    open_upload,
    reject_item,
    upload_by_uid,
)
from webapp.predictions.accept import accept_image
from webapp.predictions.models import Priority
from webapp.projects.find import project_by_slug


class Batches(View):
    @describe(
        "batches.create",
        "Send many pictures or a zip; the answer is always a job",
        takes=MANY_FILES,
        query=[BatchQuery],
        answers=Job,
        status=202,
    )
    def post(self, request: Request) -> Response:
        asked = read_query(BatchQuery, request) | received_fields(request._request)
        upload = take_batch(actor=self.actor, parts=received(request._request), asked=asked)
        job = address(request, "api-upload", upload.uid)
        said = {"state": "pending", "job": job, "upload": upload.uid, "counts": counts(upload)}
        return Response(shown(Job, said), status=202, headers={"Location": job, "Retry-After": "2"})


class UploadFile(View):
    @describe(
        "uploads.send_file",
        "Send one file of an upload",
        takes=ONE_FILE,
        query=[FileQuery],
        answers=FileTaken,
        status=202,
    )
    def put(self, request: Request, uid: UUID) -> Response:
        asked = read_query(FileQuery, request)
        upload = upload_by_uid(self.actor, uid)
        part = single(received(request._request))
        priority = Priority.INTERACTIVE if asked["priority"] == "interactive" else Priority.BULK
        said = take_file(actor=self.actor, upload=upload, part=part, path=asked["path"], priority=priority)
        job = address(request, "api-prediction", said["prediction"]) if said["prediction"] else None
        return Response(shown(FileTaken, said | {"job": job}), status=202)

    @describe("uploads.post_file", "The same by POST", takes=ONE_FILE, query=[FileQuery], answers=FileTaken, status=202)
    def post(self, request: Request, uid: UUID) -> Response:
        return self.put(request, uid)


class UploadZip(View):
    @describe("uploads.send_zip", "Send a zip of pictures into an upload", takes=ZIP_FILE, answers=Job, status=202)
    def post(self, request: Request, uid: UUID) -> Response:
        upload = upload_by_uid(self.actor, uid)
        part = single(received(request._request))
        accept_zip(actor=self.actor, upload=upload, received=part, name=part.filename)
        job = address(request, "api-upload", upload.uid)
        said = {"state": "pending", "job": job, "upload": upload.uid, "counts": counts(upload)}
        return Response(shown(Job, said), status=202, headers={"Location": job})


def single(parts: list[Part]) -> Part:
    if len(parts) != 1:
        raise BadRequest("Send one file: as the whole body, or in one form field.")
    return parts[0]


def take_batch(*, actor: Actor, parts: list[Part], asked: dict[str, Any]) -> Upload:
    """An upload made of all files of one request. A file that is refused is a rejected item, not a failed call."""
    if not any(part.size for part in parts):
        raise BadRequest(
            "The body is empty: send pictures or a zip in form fields, or a zip as the body.", code="empty"
        )
    project = project_by_slug(actor, asked["project"], Action.RECOGNISE)
    upload = open_upload(actor=actor, project=project, kind=Upload.Kind.REST, name=asked["name"][:200])
    for number, part in enumerate(parts, start=1):
        if is_zip(part.path):
            accept_zip(actor=actor, upload=upload, received=part, name=part.filename)
        else:
            take_batch_file(actor=actor, upload=upload, part=part, number=number)
    close_upload(actor=actor, upload=upload)
    return upload


def take_batch_file(*, actor: Actor, upload: Upload, part: Part, number: int) -> None:
    path = free_path(upload, part.filename, number)
    try:
        take_file(actor=actor, upload=upload, part=part, path=path, priority=Priority.BULK)
    except NoSpace:
        raise
    except OspreyError as error:
        reject_item(upload=upload, path=path, error=error, sha256=part.sha256, size=part.size)


def free_path(upload: Upload, filename: str, number: int) -> str:
    """The sender's name, numbered where the same request used it before: curl sends bare names."""
    wanted = path = normalise_path(filename or f"file-{number:05}")
    pure = PurePosixPath(wanted)
    while upload.items.filter(path=path).exists():
        path = normalise_path(str(pure.with_name(f"{pure.stem}-{number}{pure.suffix}")))
        number += 1
    return path


def take_file(*, actor: Actor, upload: Upload, part: Part, path: str, priority: Priority) -> dict[str, Any]:
    """One file into its item. What is wrong with the picture is the item's final state and this call's problem."""
    name = path or part.filename or part.sha256[:12]
    item = ensure_item(upload=upload, path=name, size=part.size, sha256=part.sha256)
    if item.state in (Item.State.DONE, Item.State.DUPLICATE, Item.State.RECEIVED) and item.sha256 == part.sha256:
        return _taken(item, "duplicate" if item.state == Item.State.DUPLICATE else "new", None)
    try:
        accepted = accept_image(
            actor=actor,
            project=upload.project,
            received=part,
            upload=upload,
            name=item.path,
            item=item,
            part=item.part,
            priority=priority,
        )
    except OspreyError:
        item.refresh_from_db()
        tell(upload, [item])
        raise
    tell(upload, [item])
    item.image_id = accepted.image_id
    return _taken(item, accepted.state, accepted.prediction_id)


def _taken(item: Item, state: str, prediction_id: int | None) -> dict[str, Any]:
    return {"state": state, "item": item.pk, "image": item.image_id, "prediction": prediction_id}
