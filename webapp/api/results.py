"""The results of an upload as a file for people (CSV) and for programs (JSON)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from webapp.access.require import require
from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.lane import in_lane
from webapp.api.shapes.images import ResultRow, ResultsQuery
from webapp.api.views import View, read_query
from webapp.images.models import Item, Upload
from webapp.images.uploads import list_items, upload_by_uid

COLUMNS = (
    "path", "state", "label", "score", "source", "reason", "image", "sha256", "captured_at", "damaged", "damaged_share",
)  # fmt: skip
CHUNK = 1000
RUNS_IN_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


class Results(View):
    @describe(
        "uploads.results",
        "Every file of an upload with its answer",
        query=[ResultsQuery],
        answers={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/json"): ResultRow(many=True),
        },
    )
    def get(self, request: Request, uid: UUID) -> HttpResponseBase:
        asked = read_query(ResultsQuery, request)
        upload = upload_by_uid(self.actor, uid)
        require(self.actor, Action.VIEW_UPLOAD, upload.project)
        write, media_type = (as_csv, "text/csv; charset=utf-8") if asked["format"] == "csv" else (as_json, JSON)
        response = StreamingHttpResponse(_stream(upload, write), content_type=media_type)
        response["Content-Disposition"] = f'attachment; filename="osprey-{upload.uid}.{asked["format"]}"'
        return response


JSON = "application/json"


async def _stream(upload: Upload, write: Any) -> AsyncIterator[bytes]:
    """Page after page, so that memory stays flat however large the upload is."""
    after, first = 0, True
    while True:
        items = await in_lane(list_items, upload, after=after, limit=CHUNK)
        is_last = len(items) < CHUNK
        yield b"".join(write([row_of(item) for item in items], first, is_last))
        if is_last:
            return
        after, first = items[-1].pk, False


def row_of(item: Item) -> dict[str, Any]:
    image = item.image
    state = getattr(image, "state", None)
    return {
        "path": item.path,
        "state": item.state,
        "label": state.label.name if state is not None and state.label is not None else None,
        "score": state.score if state is not None else None,
        "source": state.source if state is not None else "none",
        "reason": item.reason,
        "image": item.image_id,
        "sha256": item.sha256,
        "captured_at": image.captured_at if image is not None else "",
        "damaged": bool(image is not None and image.damaged_share),
        "damaged_share": image.damaged_share if image is not None else None,
    }


def as_csv(rows: list[dict[str, Any]], first: bool, last: bool) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    if first:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([disarmed(row[column]) for column in COLUMNS])
    yield text.getvalue().encode()


def as_json(rows: list[dict[str, Any]], first: bool, last: bool) -> Iterator[bytes]:
    yield b"[\n" if first else b""
    lines = ",\n".join(json.dumps(row) for row in rows)
    yield (b"" if first or not rows else b",\n") + lines.encode()
    yield b"\n]\n" if last else b""


def disarmed(value: object) -> object:
    """A cell that a spreadsheet would run as a formula begins with an apostrophe instead."""
    if isinstance(value, str) and value.startswith(RUNS_IN_SPREADSHEETS):
        return f"'{value}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value
