"""Calls the real ASGI application, intake included, the way a server does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.middleware.csrf import _get_new_csrf_string

from webapp.access.models import User
from webapp.asgi import application

HOST = "127.0.0.1:8000"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:500]
        return str(self.json()["code"])


@dataclass(frozen=True)
class Client:
    """One caller. `headers` go with every call."""

    headers: dict[str, str]
    peer: str = "127.0.0.1"

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, **headers)

    def post(self, path: str, content: object = None, **headers: str) -> Reply:
        return self.call("POST", path, content, **headers)

    def call(self, method: str, path: str, content: object = None, **headers: str) -> Reply:
        """`content`: bytes are sent as they are, anything else as JSON. In header names `_` stands for `-`."""
        return asyncio.run(self.acall(method, path, content, **headers))

    async def acall(self, method: str, path: str, content: object = None, **headers: str) -> Reply:
        body = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {"host": HOST, "content-length": str(len(body)), **self.headers}
        if content is not None and not isinstance(content, bytes):
            sent["content-type"] = "application/json"
        sent |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
        return await exchange(method, path, body, sent, self.peer)


async def exchange(method: str, path: str, body: bytes, headers: dict[str, str], peer: str) -> Reply:
    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": (peer, 40000),
        "server": ("127.0.0.1", 8000),
    }
    told = False
    answered = asyncio.Event()
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": body, "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.set()

    await application(scope, receive, send)  # type: ignore[arg-type]
    start = messages[0]
    said = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return Reply(start["status"], said, b"".join(message.get("body", b"") for message in messages[1:]))


def with_token(secret: str) -> Client:
    return Client({"authorization": f"Bearer {secret}"})


def with_session(user: User, *, csrf: bool = True) -> Client:
    """A browser where `user` signed in; with `csrf` its pages send the token, as ours do."""
    store = SessionStore()
    store["_auth_user_id"] = str(user.pk)
    store["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    store["_auth_user_hash"] = user.get_session_auth_hash()
    store.save()
    secret = _get_new_csrf_string()
    cookie = f"{settings.SESSION_COOKIE_NAME}={store.session_key}; {settings.CSRF_COOKIE_NAME}={secret}"
    return Client({"cookie": cookie} | ({"x-csrftoken": secret} if csrf else {}))


GUEST = Client({})


def form(*files: tuple[str, str, bytes], **fields: str) -> tuple[bytes, str]:
    """A multipart body of (field, file name, content), and its content type."""
    edge = "----osprey-test"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for field, filename, content in files:
        head = f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"
