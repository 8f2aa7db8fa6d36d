"""The description holds every call, an example of each, and the truth."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from tests.api.client import Client, Reply
from tests.api.conftest import Cast
from webapp.api.docs import description
from webapp.api.examples import EXAMPLES
from webapp.api.urls import urlpatterns

NOT_CALLS = {"api-openapi", "api-docs", "api-unknown"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(m.upper(), p, one) for p, methods in description()["paths"].items() for m, one in methods.items()]


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, str | None]]:
    for route in patterns:
        address = f"{before}{route.pattern}"
        if isinstance(route, URLResolver):
            yield from routes(route.url_patterns, address)
        else:
            yield address, route.name


def test_every_route_is_described() -> None:
    described = {re.sub(r"{\w+}", "{}", path) for _, path, _ in operations()}
    routed = {"/" + re.sub(r"<[^>]+>", "{}", address) for address, name in routes(urlpatterns) if name not in NOT_CALLS}
    assert routed == described


def test_every_call_has_an_example_and_every_example_a_call() -> None:
    assert {one["operationId"] for _, _, one in operations()} == set(EXAMPLES)


@pytest.mark.parametrize(("method", "path", "operation"), operations(), ids=lambda value: str(value)[:40])
def test_an_example_can_be_pasted(method: str, path: str, operation: dict[str, Any]) -> None:
    line = operation["x-codeSamples"][0]["source"]
    assert line in operation["description"]
    words = shlex.split(line)
    assert words[0] == "curl"
    assert ("-X" in words) == (method != "GET")
    address = re.sub(r"^http://127\.0\.0\.1:\d+", "", words[-1]).partition("?")[0]
    assert resolve(address).url_name != "api-unknown"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        check(body["example"], body["schema"])


def check(value: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(
        {**schema, "components": description()["components"]}, format_checker=jsonschema.FormatChecker()
    ).validate(value)


def check_reply(method: str, path: str, reply: Reply) -> None:
    """The answer has the shape that the description gives it."""
    match = resolve(path.partition("?")[0])
    template = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", match.route)
    said = description()["paths"][template][method.lower()]["responses"][str(reply.status)]
    media_type = reply.headers["content-type"].partition(";")[0]
    assert media_type in said["content"], (path, media_type)
    check(reply.json(), said["content"][media_type]["schema"])


def test_real_answers_have_the_shapes_that_are_described(cast: Cast) -> None:
    image = cast.image()
    admin = cast.token("gus")
    review = {"annotations": [{"label": "zebra", "box": [0.1, 0.1, 0.2, 0.2]}]}
    upload = admin.post("/api/v1/uploads", {"project": "savanna", "manifest": [{"path": "a.jpg"}]}).json()["id"]
    sent = f"/api/v1/uploads/{upload}/file"
    version = admin.get("/api/v1/projects/savanna/versions").json()["results"][0]["id"]
    for method, path, content in [
        ("POST", "/api/v1/classify?project=savanna&scores=all", cast.picture()),
        ("POST", "/api/v1/classify?project=savanna&wait=0", cast.picture(9)),
        ("POST", "/api/v1/classify?project=savanna", b"no picture"),
        ("POST", "/api/v1/batches?project=savanna", cast.picture(8)),
        ("GET", "/healthz", None),
        ("GET", "/api/v1/status", None),
        ("GET", "/api/v1/me", None),
        ("GET", f"/api/v1/predictions/{image.predictions.get().pk}", None),
        ("POST", f"/api/v1/images/{image.pk}/reviews", review),
        ("GET", "/api/v1/images?project=savanna&limit=1", None),
        *(("GET", f"/api/v1/images/{image.pk}{part}", None) for part in ("", "/predictions", "/reviews", "/history")),
        ("PUT", f"{sent}?path=a.jpg", cast.picture(7)),
        ("GET", "/api/v1/uploads?project=savanna", None),
        *(("GET", f"/api/v1/uploads/{upload}{part}", None) for part in ("", "/items", "/results?format=json")),
        ("POST", f"/api/v1/uploads/{upload}/retry", None),
        ("POST", f"/api/v1/uploads/{upload}/check", {"sha256": ["0" * 64]}),
        ("POST", f"/api/v1/uploads/{upload}/manifest", {"manifest": [{"path": "b.jpg"}]}),
        ("PATCH", f"/api/v1/uploads/{upload}", {"state": "closed"}),
        ("POST", "/api/v1/projects", {"name": "New"}),
        ("GET", "/api/v1/projects", None),
        ("GET", "/api/v1/projects/savanna", None),
        ("POST", "/api/v1/projects/savanna/labels", {"name": "Ibis"}),
        ("POST", "/api/v1/projects/savanna/sites", {"name": "Hill", "latitude": 1, "longitude": 2}),
        ("POST", "/api/v1/projects/savanna/visits", {"name": "May"}),
        ("PUT", "/api/v1/projects/savanna/people/olga", {"role": "viewer"}),
        ("POST", "/api/v1/projects/savanna/pipelines", {"classifier": version, "crop_margin": 0.5}),
        *(
            ("GET", f"/api/v1/projects/savanna/{part}", None)
            for part in ("labels", "sites", "visits", "people", "versions", "pipelines", "activations")
        ),
        ("GET", f"/api/v1/versions/{version}", None),
        ("POST", "/api/v1/tokens", {"name": "t", "scopes": ["read"]}),
        ("GET", "/api/v1/tokens", None),
        ("GET", "/api/v1/images/4000000000", None),
        ("POST", "/api/v1/projects", {"name": 5}),
        ("POST", "/api/v1/projects", {}),
    ]:  # fmt: skip
        reply = admin.call(method, path, content)
        check_reply(method, path, reply)


def test_the_description_is_served_to_anybody_and_valid(cast: Cast) -> None:
    reply = Client({}).get("/api/v1/openapi.json")
    assert reply.status == 200
    assert reply.json()["openapi"].startswith("3.1")
    assert reply.json()["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert get_resolver()


def test_the_page_of_the_description_needs_nothing_from_elsewhere(cast: Cast) -> None:
    page = Client({}).get("/api/v1/docs/")
    assert page.status == 200
    text = page.body.decode()
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<script>|<style|style=|onload=|https?://", text)
    script = Client({}).get("/api/v1/docs/?script=")
    assert "javascript" in script.headers["content-type"]
    assert "SwaggerUIBundle" in script.body.decode()
