"""The classify calls without Django's middleware, whose dozen thread changes cost more than the call itself.

Nothing of it is needed here: the intake has identified the caller, the view checks host, CSRF token and throttle, and
the answer is JSON. Everything else goes on to Django.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from webapp.api.classify import classify, classifyfish

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
View = Callable[[ASGIRequest], Awaitable[HttpResponse]]

VIEWS: dict[str, View] = {"/api/v1/classify": classify, "/classifyfish": classifyfish}


def around(django: Application) -> Application:
    """An ASGI application that answers VIEWS itself and hands the rest to `django`."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        view = VIEWS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if view is None:
            await django(scope, receive, send)
        else:
            await _serve(view, scope, receive, send)

    return application


async def _serve(view: View, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, or stop waiting when the caller goes away; the picture is kept and worked on all the same."""
    answering = asyncio.ensure_future(_answer(view, scope))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            await _send(answering.result(), send)
    finally:
        answering.cancel()
        leaving.cancel()


async def _answer(view: View, scope: Scope) -> HttpResponse:
    try:
        request = ASGIRequest(scope, io.BytesIO())
    except UnicodeDecodeError:
        return HttpResponse(status=HTTPStatus.BAD_REQUEST)
    return await view(request)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(response: HttpResponse, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
