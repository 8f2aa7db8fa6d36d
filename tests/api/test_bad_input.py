"""Whatever is sent, the answer is a problem that says what was wrong, never a fault of the site."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.errors import ImageRejected
from tests.api.client import GUEST
from tests.api.conftest import Cast
from webapp.api.docs import description
from webapp.api.examples import EXAMPLES, PATH_VALUES
from webapp.api.problems import as_error, problem_of
from webapp.errors import NoSpace

NASTY_TEXT = st.sampled_from(
    ["", "\x00", "a\x00b", "\ud800", "nan", "-1", "🦊" * 300, "x" * 70_000, "../../etc", "' OR 1=1"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | NASTY_TEXT
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(["0", "-1", "nonsense", "99999999999999999999", "%00", "..", "savanna", "1"])


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in description()["paths"].items()
        for method, operation in methods.items()
        if not operation["operationId"].endswith("events") and operation["operationId"] != "events.read"
    ]


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, object]:
    """A call of the description with some of its values made bad."""
    method, path, operation = draw(st.sampled_from(operations()))
    for name, example in PATH_VALUES.items():
        if f"{{{name}}}" in path:
            good = {"slug": "savanna", "pk": "1", "key": "zebra"}.get(name, example)
            path = path.replace(f"{{{name}}}", draw(st.just(good) | PATHS))
    names = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"] or ["x"]
    values = draw(st.dictionaries(st.sampled_from(names), NASTY_TEXT | st.text(max_size=8), max_size=3))
    body = EXAMPLES[operation["operationId"]].body
    if isinstance(body, dict):
        names_of_fields = st.sampled_from(sorted(body)) | st.text(max_size=8) if body else st.text(max_size=8)
        body = {**body, **draw(st.dictionaries(names_of_fields, JSON, max_size=3))}
    body = draw(st.just(body) | JSON | st.binary(max_size=30))
    query = "&".join(f"{name}={_quoted(value)}" for name, value in values.items())
    return method, f"{path}?{query}&wait=0", body


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(request=requests())
def fuzz(client: Any, request: tuple[str, str, object]) -> None:
    method, path, body = request
    reply = client.call(method, path, body)
    assert reply.status < 500 or reply.status in (503,), (request, reply.body)
    if reply.status >= 400:
        said = reply.json()
        assert reply.headers["content-type"] == "application/problem+json"
        assert said["code"]
        assert said["detail"]
        assert said["status"] == reply.status
        assert "Traceback" not in reply.body.decode()


@pytest.mark.long
def test_no_request_is_answered_by_a_fault(cast: Cast) -> None:
    cast.image()
    logging.disable(logging.WARNING)
    try:
        fuzz(cast.token("gus"))
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "bad-json"),
        (b"\xff\xfe", "application/json", "bad-json"),
        (b"[" * 100_000, "application/json", "bad-json"),
        (b"[]", "application/json", "invalid-fields"),
        (b'{"name": NaN}', "application/json", "bad-json"),
        (b"name=x", "text/plain", "unsupported-media-type"),
    ],
)
def test_a_body_that_is_no_json_object_is_named(cast: Cast, body: bytes, content_type: str, code: str) -> None:
    reply = cast.token("gus").post("/api/v1/projects", body, content_type=content_type)
    assert (400 <= reply.status < 500, reply.code) == (True, code or reply.code)


def test_each_field_that_does_not_fit_is_named(cast: Cast) -> None:
    body = {"annotations": [{"label": "zebra"}, {"label": "zebra", "box": [0, 0, 2, 1], "count": 0}]}
    reply = cast.token("ravi").post("/api/v1/images/1/reviews", body)
    assert reply.code == "invalid-fields"
    assert sorted(reply.json()["errors"]) == ["annotations.1.box.2", "annotations.1.count"]


def test_addresses_that_are_not_there_are_problems(cast: Cast) -> None:
    for path in ("/api/v1/nothing", "/api/v2/images", "/api/v1/uploads/not-a-uuid", "/api/"):
        reply = cast.token("ravi").get(path)
        assert (reply.status, reply.code) == (404, "not-found"), path
    wrong = cast.token("ravi").call("DELETE", "/api/v1/projects")
    assert (wrong.status, wrong.code) == (405, "method-not-allowed")
    assert "GET" in wrong.headers["allow"]
    assert GUEST.post("/api/v1/nothing").status == 404


def test_our_own_fault_shows_no_trace_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = as_error(KeyError("secret/path/of/the/server"))
    said = problem_of(error)
    assert (said["status"], said["code"]) == (500, "failed")
    assert "secret" not in str(said)
    assert "secret/path" in caplog.text


def test_errors_keep_their_code_and_status_on_the_way() -> None:
    rejected = problem_of(as_error(ImageRejected("damaged", "Half of it is missing.", status=422)))
    assert (rejected["status"], rejected["code"], rejected["detail"]) == (422, "damaged", "Half of it is missing.")
    assert problem_of(as_error(NoSpace("Full.")))["status"] == 507
    assert as_error(OperationalError("database is locked")).status == 503
    assert as_error(OverflowError("int too large")).status == 400


def test_a_field_that_is_not_known_is_named_with_those_that_are(cast: Cast) -> None:
    reply = cast.token("gus").post("/api/v1/projects/savanna/audits", {"count": 10})
    assert reply.status == 400, reply.body
    assert "size" in str(reply.json()["errors"]["count"])
