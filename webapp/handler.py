"""Django's ASGI handler, with middleware and view of a request in one thread that keeps its database connection.

Django's own handler enters a thread anew for each of some fifteen steps of middleware, and makes a thread and a
connection for each request; together that costs more processor time than most requests need for themselves. Views that
are coroutines, which wait or stream, go Django's way.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from inspect import iscoroutinefunction

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve

from webapp.api.lane import with_connection

THREADS = 8
"""Requests at work at the same time in one process, each with a database connection and its page cache; threads are
started only as they are needed."""

_pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="view")


class Handler(ASGIHandler):
    """One instance a process."""

    def __init__(self) -> None:
        super().__init__()
        self._in_one_thread = BaseHandler()
        self._in_one_thread.load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        if _is_coroutine(request):
            return await super().get_response_async(request)
        act = partial(with_connection, self._in_one_thread.get_response, request)
        # As Django does: what is set for one request is not seen by the next one in the same thread.
        return await asyncio.get_running_loop().run_in_executor(_pool, contextvars.copy_context().run, act)


def _is_coroutine(request: HttpRequest) -> bool:
    try:
        return iscoroutinefunction(resolve(request.path_info).func)
    except Resolver404:
        return False
