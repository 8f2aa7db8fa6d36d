"""The door: refuses before it reads, never holds a body in memory, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.db import OperationalError
from pytest_django.fixtures import Settings

from webapp import intake
from webapp.images import quota
from webapp.images.keep import FIELDS, PARTS, Part
from webapp.images.models import File
from webapp.intake import Intake

BOUNDARY = "edge"
MULTIPART = (b"content-type", f"multipart/form-data; boundary={BOUNDARY}".encode())
LOCAL = ("127.0.0.1", 5000)


@pytest.fixture(autouse=True)
def store(settings: Settings, tmp_path: Path) -> Path:
    settings.INCOMING_DIR = tmp_path
    settings.OPEN_MODE = True
    settings.FREE_DISK_FLOOR_BYTES = 0
    settings.MAX_IMAGE_BYTES = 1000
    return tmp_path


@dataclass
class Inner:
    """Stands where Django stands; remembers what it was given."""

    scope: dict[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    contents: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = dict(scope)
        self.body = (await receive())["body"]
        self.contents = [part.path.read_bytes() for part in scope.get(PARTS, [])]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    @property
    def parts(self) -> list[Part]:
        found: list[Part] = self.scope[PARTS]
        return found


@dataclass
class Sender:
    """A client that hands over its chunks one by one and counts how many were taken."""

    chunks: Iterable[bytes]
    breaks_off: bool = False
    taken: int = 0

    def __post_init__(self) -> None:
        self._left = list(self.chunks)

    async def __call__(self) -> dict[str, Any]:
        self.taken += 1
        if not self._left:
            return {"type": "http.disconnect"}
        chunk = self._left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self._left) or self.breaks_off}


def run_apart(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: another test's browser may have a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def call(
    *chunks: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    path: str = "/api/v1/classify",
    breaks_off: bool = False,
) -> tuple[int, dict[str, Any], Inner, Sender]:
    inner, sender = Inner(), Sender(chunks, breaks_off)
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "client": LOCAL,
        "headers": [(b"host", b"127.0.0.1:8000"), *headers],
    }
    run_apart(Intake(inner)(scope, sender, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(body) if body else {}, inner, sender


def length(count: int) -> tuple[bytes, bytes]:
    return (b"content-length", str(count).encode())


def form(name: str, content: bytes, filename: str | None = "x.jpg") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def test_a_raw_body_becomes_a_hashed_file_and_django_sees_none(store: Path) -> None:
    status, _, inner, _ = call(b"abc", b"def")
    assert (status, inner.body, inner.contents) == (200, b"", [b"abcdef"])
    assert inner.parts[0].sha256 == hashlib.sha256(b"abcdef").hexdigest()


def test_a_file_that_nobody_took_is_removed_after_the_answer(store: Path) -> None:
    call(b"abc")
    assert list(store.iterdir()) == []


def test_form_files_and_fields_are_told_apart_wherever_the_chunks_are_cut(store: Path) -> None:
    body = form("name", b"reef 7", None) + form("file", b"\r\n--edgy\x00" * 20) + END
    chunks = [body[start : start + 7] for start in range(0, len(body), 7)]
    status, _, inner, _ = call(*chunks, headers=[MULTIPART])
    assert (status, inner.contents, inner.scope[FIELDS]) == (200, [b"\r\n--edgy\x00" * 20], {"name": "reef 7"})
    assert (inner.parts[0].field, inner.parts[0].filename) == ("file", "x.jpg")


def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    status, problem, _, sender = call(b"x", headers=[length(1001)])
    assert (status, problem["code"], sender.taken) == (413, "too-large", 0)


def test_a_body_without_a_length_is_cut_off_at_the_limit_and_leaves_nothing(store: Path) -> None:
    status, problem, _, sender = call(*[b"x" * 300] * 1000)
    assert (status, problem["code"], sender.taken) == (413, "too-large", 4)
    assert list(store.iterdir()) == []


def test_nobody_is_refused_before_a_byte_is_read(settings: Settings) -> None:
    settings.OPEN_MODE = False
    status, problem, _, sender = call(b"x")
    assert (status, problem["code"], sender.taken) == (401, "not-signed-in", 0)


def test_a_full_disk_is_said_before_a_byte_is_read(settings: Settings) -> None:
    settings.FREE_DISK_FLOOR_BYTES = 10**18
    status, problem, _, sender = call(b"x")
    assert (status, problem["code"], sender.taken) == (507, "no-space", 0)


def test_a_disk_that_cannot_be_written_is_said_and_not_a_crash(settings: Settings, store: Path) -> None:
    settings.FREE_DISK_FLOOR_BYTES = -(10**18)
    store.rmdir()
    status, problem, _, _ = call(b"x", headers=[length(1)])
    assert (status, problem["code"]) == (507, "no-space")


def test_a_sender_who_goes_away_leaves_nothing(store: Path) -> None:
    status, problem, inner, _ = call(b"half of", breaks_off=True)
    assert (status, problem["code"], inner.scope) == (400, "incomplete", {})
    assert list(store.iterdir()) == []


def test_a_form_that_breaks_off_is_a_bad_request_and_leaves_nothing(store: Path) -> None:
    status, problem, _, _ = call(form("file", b"abc"), headers=[MULTIPART])
    assert (status, problem["code"]) == (400, "bad-request")
    assert list(store.iterdir()) == []


def test_two_files_are_too_many_for_one_call(store: Path) -> None:
    status, problem, _, _ = call(form("file", b"a") + form("file", b"b") + END, headers=[MULTIPART])
    assert (status, problem["code"]) == (400, "too-many-files")
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("length_header", [b"-1", b"1e3", b"", "٣".encode(), b"12, 12"])
def test_a_nonsense_length_is_a_bad_request(length_header: bytes) -> None:
    status, problem, _, _ = call(b"x", headers=[(b"content-length", length_header)])
    assert (status, problem["code"]) == (400, "bad-request")


def test_other_routes_pass_untouched() -> None:
    _, _, inner, _ = call(b"abc", path="/api/v1/projects")
    assert inner.body == b"abc"
    assert PARTS not in inner.scope


@pytest.mark.django_db(transaction=True)
def test_a_site_that_is_over_its_quota_says_so_before_a_byte_is_read(settings: Settings) -> None:
    File.objects.create(sha256="0" * 64, size=900, media_type="image/jpeg", storage_key="0/0.jpg")
    settings.SITE_QUOTA_BYTES = 1000
    quota._sums.clear()
    status, problem, _, sender = call(b"x", headers=[length(101)])
    assert (status, problem["code"], sender.taken) == (507, "over-quota", 0)


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_still_fits_the_quota_is_taken(settings: Settings) -> None:
    File.objects.create(sha256="0" * 64, size=900, media_type="image/jpeg", storage_key="0/0.jpg")
    settings.SITE_QUOTA_BYTES = 1000
    quota._sums.clear()
    assert call(b"x" * 100, headers=[length(100)])[0] == 200


def test_the_refusal_of_a_foreign_page_says_why() -> None:
    _, problem, _, _ = call(b"x", headers=[(b"origin", b"https://elsewhere.example")])
    assert (problem["code"], "another site's page" in problem["detail"]) == ("not-signed-in", True)


def test_other_routes_pass_no_more_than_a_form_may_hold(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    status, problem, inner, sender = call(b"x", path="/sign-in/", headers=[length(1001)])
    assert (status, problem["code"], sender.taken, inner.scope) == (413, "too-large", 0, {})


def test_an_endless_body_to_another_route_is_cut_off_before_it_fills_the_disk(settings: Settings, store: Path) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    settings.FILE_UPLOAD_TEMP_DIR = str(store)
    sender, sent = Sender([b"x" * 300] * 1000), []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/sign-in/", "headers": [(b"host", b"127.0.0.1")]}
    run_apart(Intake(get_asgi_application())(scope, sender, send))  # type: ignore[arg-type]
    assert (sent[0]["status"], sender.taken) == (413, 4)
    assert list(store.iterdir()) == []


def test_a_fault_before_the_body_is_read_is_a_problem_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    def away(**words: object) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr(intake, "identify", away)
    status, problem, _, sender = call(b"x")
    assert (status, problem["code"], sender.taken) == (503, "unavailable", 0)
    assert list(store.iterdir()) == []


def test_all_fields_together_are_bounded_since_they_are_held_in_memory(settings: Settings, store: Path) -> None:
    settings.MAX_ZIP_BYTES = 10**9
    body = b"".join(form(f"f{number}", b"x" * 30_000, None) for number in range(3)) + END
    status, problem, _, _ = call(body, headers=[MULTIPART], path="/api/v1/batches")
    assert (status, problem["code"]) == (413, "too-large")


@pytest.mark.parametrize("kind", ["multipart/form-data", 'multipart/form-data; boundary=""', "multipart/form-data; b"])
def test_a_form_without_a_boundary_is_a_bad_request(store: Path, kind: str) -> None:
    status, problem, _, _ = call(b"abc", headers=[(b"content-type", kind.encode())])
    assert (status, problem["code"]) == (400, "bad-request")
    assert list(store.iterdir()) == []
