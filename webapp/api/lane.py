"""Threads for the short database work of async views, with connections that stay open.

Django's own bridge makes a thread and a connection for each request, which costs more than the work of a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connection

THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")

_pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="lane")


async def in_lane(act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `act` in a thread that may use the database."""
    return await asyncio.get_running_loop().run_in_executor(_pool, partial(with_connection, act, *args, **kwargs))


def with_connection(act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run `act` in this thread; its connection stays open on SQLite, and goes back to the pool on PostgreSQL."""
    close_old_connections()
    try:
        return act(*args, **kwargs)
    finally:
        if connection.vendor == "sqlite":
            connection.close_at = None  # a file of our own: it stays open unless an error occurred on it
        close_old_connections()
