"""The bytes of images: originals to be saved and never shown, thumbnails that were made anew from pixels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from asgiref.sync import sync_to_async
from django.http import HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from classifier.facts import read_facts
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.lookup import image_for
from webapp.api.views import View
from webapp.errors import Forbidden, NotFound, Unavailable
from webapp.images.derived import thumbnail
from webapp.images.models import Image, ImageState
from webapp.images.originals import mark_missing
from webapp.images.store import open_original
from webapp.projects.place_rule import PlaceRule

CHUNK = 256 * 1024
A_YEAR = 31_536_000
NOT_A_PAGE = "default-src 'none'; sandbox"


class Original(View):
    @describe(
        "images.original",
        "The original file, as it was sent",
        answers={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        image = image_for(self.actor, pk, Action.VIEW_ORIGINALS)
        path = open_original(image.file)
        if not path.is_file():
            mark_missing(file_ids=[image.file_id])
            raise NotFound("The original is not where it was stored: a disk may be unplugged.", code="original-missing")
        if hides_place(self.actor, image, path):
            raise Forbidden(
                "This file says exactly where it was taken, which your role does not see in this project. "
                "Ask a curator for it.",
                code="place-withheld",
            )
        audit.record(
            actor=self.actor, action="download original", project_id=image.project_id, subject=f"image:{image.pk}"
        )
        response = StreamingHttpResponse(streamed(path), content_type="application/octet-stream")
        response["Content-Length"] = str(path.stat().st_size)
        response["Content-Disposition"] = content_disposition_header(True, file_name(image)) or "attachment"
        response["Content-Security-Policy"] = NOT_A_PAGE
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response


class Thumbnail(View):
    """Not throttled: a page of the grid asks for hundreds at once."""

    throttle_classes = ()

    @describe(
        "images.thumbnail",
        "A small JPEG, without the original's metadata",
        answers={(200, "image/jpeg"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, pk: int, side: int) -> HttpResponseBase:
        image = image_for(self.actor, pk)
        picture = thumbnail(image=image, side=side)
        if picture.path is None:
            _refuse_if_never(image)
            raise Unavailable("The thumbnail is not made yet.", code="not-made-yet", status=404, retry_after=2)
        tag = f'"{image.file.sha256[:32]}-{picture.side}"'
        is_known = request.headers.get("If-None-Match") == tag
        if is_known:
            response: HttpResponse = HttpResponseNotModified()
        else:
            response = HttpResponse(picture.path.read_bytes(), content_type="image/jpeg")
        response["ETag"] = tag
        # A smaller picture that stands in must not stay in a cache.
        lasts = f"max-age={A_YEAR}, immutable" if picture.is_final else "no-cache"
        response["Cache-Control"] = f"private, {lasts}"
        response["Content-Security-Policy"] = NOT_A_PAGE
        response["X-Content-Type-Options"] = "nosniff"
        return response


def _refuse_if_never(image: Image) -> None:
    """A picture that nothing could be decoded of has no thumbnail, and asking again would not help."""
    state = ImageState.objects.filter(pk=image.pk).only("failure").first()
    if image.measured_at is None and state is not None and state.failure:
        raise NotFound(f"This picture cannot be shown: {state.failure}.", code="cannot-be-shown")


def hides_place(actor: Actor, image: Image, path: Path) -> bool:
    """Whether the file tells its bearer more of its place than the actor may see."""
    place = image if image.measured_at is not None else read_facts(path)
    sensitive = image.site is not None and image.site.sensitive
    return PlaceRule(actor, image.project).shown(place, sensitive=sensitive).coordinates in ("coarse", "withheld")


def file_name(image: Image) -> str:
    """The sender's name without its folders, with the ending that the content has."""
    stem = PurePosixPath(image.path.replace("\\", "/")).stem or f"image-{image.pk}"
    return f"{stem[:120]}{PurePosixPath(image.file.storage_key or image.file.in_place_path).suffix}"


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


async def streamed(path: Path) -> AsyncIterator[bytes]:
    """The file in pieces; reading happens in a thread, so that a slow disk stops nobody else."""
    file: BinaryIO = await sync_to_async(_open)(path)
    try:
        while chunk := await sync_to_async(file.read)(CHUNK):
            yield chunk
    finally:
        await sync_to_async(file.close)()


async def pieces_in_turn(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """What is made piece by piece, each in a thread as it is sent: memory stays flat and a slow disk stops nobody."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
