"""The door before Django: uploads are checked before a byte is read, then streamed, hashed and bounded.

Under ASGI Django spools a whole body before any view runs. For the routes that take pictures this small wrapper
reads the body itself and hands Django an empty one; the view finds the files through `images.keep.received`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from webapp.access.actors import NOBODY, Actor
from webapp.access.identify import ACTOR, bearer, identify, session_user, why_nobody
from webapp.api.lane import in_lane
from webapp.api.problems import as_error, problem_response
from webapp.errors import NoSpace, NotSignedIn, OspreyError, TooLarge, TooMany
from webapp.images.keep import FIELDS, PARTS
from webapp.images.quota import check_quota
from webapp.receive import Receiver, leave_nothing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

TOGETHER = 256
"""Uploads one process reads at the same time; more are asked to come again."""
ELSEWHERE = "The body has more than {:,} bytes, the most that is taken here. Pictures go to /api/v1/classify."


@dataclass(frozen=True)
class Route:
    """A route that takes files: how large a body may be, and how many files may be in it."""

    pattern: re.Pattern[str]
    most_bytes: int
    most_files: int


def _routes() -> tuple[Route, ...]:
    image, archive = settings.MAX_IMAGE_BYTES, settings.MAX_ZIP_BYTES
    return (
        Route(re.compile(r"^/(api/v1/classify|classifyfish)/?$"), image, 1),
        Route(re.compile(r"^/api/v1/uploads/[0-9a-f-]{36}/file/?$"), image, 1),
        Route(re.compile(r"^/api/v1/projects/[\w-]+/imports/file/?$"), archive, 1),
        Route(re.compile(r"^/api/v1/(batches|uploads/[0-9a-f-]{36}/zip)/?$"), archive, 10_000),
    )


class Intake:
    """An ASGI application around another."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner
        self.routes = _routes()
        self.reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope)
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
        elif route is None:
            await self._pass_on(scope, receive, send)
        else:
            receiver = Receiver(limit=route.most_bytes, most_files=route.most_files)
            try:
                await self._take(receiver, route, scope, receive, send)
            finally:
                leave_nothing(receiver.parts)

    async def _take(self, receiver: Receiver, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = _headers(scope)
            scope[ACTOR] = await self._admit(scope, headers, route)
            await self._read(receiver, headers, receive)
        except Exception as error:  # a database that is away is a problem with words here too
            await _refuse(as_error(error), scope, send)
            return
        await self.inner(_emptied(scope, receiver), _body_is_read(receive), send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Django puts the body of any call onto the disk, without bound and before it asks who calls: bound it here."""
        body = Bounded(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        length = _headers(scope).get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > body.limit:
            body.is_over = True
        else:
            await self.inner(scope, body, send)
        if body.is_over:
            await _refuse(TooLarge(ELSEWHERE.format(body.limit)), scope, send)

    def _route(self, scope: Scope) -> Route | None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            return None
        return next((route for route in self.routes if route.pattern.match(scope["path"])), None)

    async def _admit(self, scope: Scope, headers: dict[str, str], route: Route) -> Actor:
        """Who sends, whether there is room: all before the first byte of the body."""
        if self.reading >= TOGETHER:
            raise TooMany("This process reads as many uploads as it can; send this one again.", retry_after=2)
        length = _declared_length(headers)
        if length > route.most_bytes:
            raise TooLarge(f"The body has {length:,} bytes; at most {route.most_bytes:,} are taken here.")
        try:
            free = shutil.disk_usage(settings.INCOMING_DIR).free
        except OSError as error:
            raise NoSpace(
                f"The store of this site cannot be reached ({error.strerror}). Nothing was stored."
            ) from error
        if free - length < settings.FREE_DISK_FLOOR_BYTES:
            raise NoSpace("The disk of this site is full. Nothing was stored; its admin has to make room.")
        actor = await _who(scope, headers)
        if actor is NOBODY:
            raise NotSignedIn(why_nobody(peer=_peer(scope), headers=headers))
        if settings.USER_QUOTA_BYTES or settings.SITE_QUOTA_BYTES:
            await in_lane(check_quota, user=actor.user, more=length)
        return actor

    async def _read(self, receiver: Receiver, headers: dict[str, str], receive: Receive) -> None:
        self.reading += 1
        try:
            await receiver.read(headers, receive)
        finally:
            self.reading -= 1


class Bounded:
    """A body that ends as if the sender had gone once it is over its limit: Django then stops, and answers nothing."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.receive = receive
        self.limit = limit
        self.is_over = False
        self._total = 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self._total += len(message.get("body", b""))
        if self._total <= self.limit:
            return message
        self.is_over = True
        return {"type": "http.disconnect"}


async def _who(scope: Scope, headers: dict[str, str]) -> Actor:
    peer = _peer(scope)
    if bearer(headers) is None and settings.SESSION_COOKIE_NAME not in headers.get("cookie", ""):
        return identify(peer=peer, headers=headers)
    return await in_lane(_look_up, peer, headers)


def _peer(scope: Scope) -> str | None:
    return scope["client"][0] if scope.get("client") else None


def _look_up(peer: str | None, headers: dict[str, str]) -> Actor:
    user = session_user(headers) if bearer(headers) is None else None
    return identify(peer=peer, headers=headers, user=user)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _declared_length(headers: dict[str, str]) -> int:
    raw = headers.get("content-length", "0")
    if not raw.isascii() or not raw.isdigit():
        raise OspreyError("Content-Length is not a number.", code="bad-request")
    return int(raw)


def _emptied(scope: Scope, receiver: Receiver) -> Scope:
    """The scope as Django shall see it: no body, the files beside."""
    kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _BODY_HEADERS]
    kept += [(b"content-length", b"0"), (b"content-type", b"application/octet-stream")]
    return {**scope, "headers": kept, PARTS: receiver.parts, FIELDS: receiver.fields}


_BODY_HEADERS = (b"content-length", b"content-type", b"transfer-encoding")


def _body_is_read(receive: Receive) -> Receive:
    """First an empty body; after that only the client's going away is news."""
    told = False

    async def rest() -> Message:
        nonlocal told
        if not told:
            told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        message = await receive()
        while message["type"] == "http.request":
            message = await receive()
        return message

    return rest


async def _refuse(error: OspreyError, scope: Scope, send: Send) -> None:
    """Answer early and close, since the rest of the body stays unread."""
    response = problem_response(error, instance=scope["path"])
    headers = [(name.encode().lower(), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
