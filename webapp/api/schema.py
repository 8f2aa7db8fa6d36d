"""The OpenAPI description: plain views beside DRF's own, and for every call a curl line that can be pasted."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.describe import describe
from webapp.api.examples import EXAMPLES, PATH_VALUES, Example
from webapp.api.schema_bodies import PICTURE
from webapp.api.shapes.answers import Answer, Health, Pending
from webapp.api.views import PublicView, View

Operation = dict[str, Any]

WAIT = OpenApiParameter("wait", OpenApiTypes.FLOAT, description="Seconds to wait at most, up to 25; 0: not at all")
SCORES = OpenApiParameter("scores", OpenApiTypes.STR, enum=["top", "all"], description="The best five, or all")
PROJECT = OpenApiParameter("project", OpenApiTypes.STR, description="`animals` unless given")
UPLOADS = OpenApiParameter("uploads", OpenApiTypes.STR, required=True, description="Ids with commas between them")
UID = OpenApiParameter("uid", OpenApiTypes.UUID, OpenApiParameter.PATH)
LAST_ID = OpenApiParameter("Last-Event-ID", OpenApiTypes.STR, OpenApiParameter.HEADER)
WORKERS = OpenApiParameter("workers", OpenApiTypes.INT, enum=[0, 1], description="1: 503 also when no worker is alive")
EVENTS = {(200, "text/event-stream"): OpenApiTypes.STR}
ANSWERS = {200: Answer, 202: Pending}


class ClassifySchema(View):
    """Stands for the plain view in the description."""

    @describe("classify.create", "Recognise one picture", takes=PICTURE, query=[PROJECT, WAIT, SCORES], answers=ANSWERS)
    def post(self, request: Request) -> Response:
        raise NotImplementedError


class ClassifyFishSchema(View):
    @describe("classify.fish", "Recognise one fish", takes=PICTURE, query=[WAIT, SCORES], answers=ANSWERS)
    def post(self, request: Request) -> Response:
        raise NotImplementedError


class EventsSchema(View):
    @describe("events.read", "Follow uploads as they are recognised", query=[UPLOADS, LAST_ID], answers=EVENTS)
    def get(self, request: Request) -> Response:
        raise NotImplementedError


class UploadEventsSchema(View):
    @describe("uploads.events", "Follow one upload as it is recognised", query=[UID, LAST_ID], answers=EVENTS)
    def get(self, request: Request, uid: str) -> Response:
        raise NotImplementedError


class RunEventsSchema(View):
    @describe("runs.events", "Follow a run as it learns", query=[UID, LAST_ID], answers=EVENTS)
    def get(self, request: Request, uid: str) -> Response:
        raise NotImplementedError


class HealthSchema(PublicView):
    @describe("health.read", "Whether the site can work", query=[WORKERS], answers={200: Health, 503: Health})
    def get(self, request: Request) -> Response:
        raise NotImplementedError


PLAIN_VIEWS = (
    ("/api/v1/classify", "POST", ClassifySchema),
    ("/classifyfish", "POST", ClassifyFishSchema),
    ("/api/v1/events", "GET", EventsSchema),
    ("/api/v1/uploads/{uid}/events", "GET", UploadEventsSchema),
    ("/api/v1/runs/{uid}/events", "GET", RunEventsSchema),
    ("/healthz", "GET", HealthSchema),
)


def add_plain_views(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """drf-spectacular's hook before it looks at the views: those that are not DRF's get a stand-in."""
    return [*endpoints, *((path, path, method, view.as_view()) for path, method, view in PLAIN_VIEWS)]


def add_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Its hook at the end: every call gets its curl line."""
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            if "security" in operation:  # one of them is enough
                operation["security"] = [{"token": []}, {"session": []}]
            example = EXAMPLES.get(operation["operationId"])
            if example is not None:
                _add_example(operation, path, method, example)
    return result


def _add_example(operation: Operation, path: str, method: str, example: Example) -> None:
    line = curl(method, path, example)
    said = operation.get("description", "")
    operation["description"] = f"{said}\n\n```sh\n{line}\n```".strip()
    operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": line}]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None and example.body is not None:
        content["example"] = example.body


def curl(method: str, path: str, example: Example) -> str:
    """The call as a line for a shell; the token comes from the variable TOKEN."""
    address = re.sub(r"{(\w+)}", lambda match: PATH_VALUES[match.group(1)], path)
    words = ["curl"]
    if method != "get":
        words += ["-X", method.upper()]
    if example.needs_token:
        words.append('-H "Authorization: Bearer $TOKEN"')
    if example.body is not None:
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(json.dumps(example.body))]
    words += [example.send] if example.send else []
    query = f"?{example.query}" if example.query else ""
    return " ".join([*words, shlex.quote(f"http://127.0.0.1:{settings.PORT}{address}{query}")])
