"""News between processes: workers publish what is done, each web process listens on one subscription.

News may be lost (a broker that restarts); whoever waits looks at the rows when in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import weakref
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from webapp import queue

log = logging.getLogger(__name__)

DONE = "osprey:done"
UPLOADS = "osprey:upload:"
PATTERNS = (DONE, f"{UPLOADS}*")
RECENT = 4096
RECENT_SECONDS = 10.0
"""Longer than it takes from the commit of a row to the wait for it; what is tried again later is waited for anew."""
BACKLOG = 1000


def publish(channel: str, message: object) -> None:
    """Best effort, at most 100 ms."""
    publish_all({channel: message})


def publish_all(messages: Mapping[str, object]) -> None:
    """Several channels in one round trip."""
    connection = queue.client()
    if connection is None:
        return
    try:
        pipe = connection.pipeline(transaction=False)
        for channel, message in messages.items():
            pipe.publish(channel, json.dumps(message, separators=(",", ":")))
        pipe.execute()
    except (redis.RedisError, OSError) as error:
        queue.failures["publish"] = queue.failures.get("publish", 0) + 1
        log.warning("could not publish news: %s", error)


class Bus:
    """One subscription of one event loop, shared by all who wait in it."""

    def __init__(self) -> None:
        self.connected = False
        self._recent: OrderedDict[int, float] = OrderedDict()
        self._waiting: dict[int, set[asyncio.Future[bool]]] = {}
        self._streams: dict[str, set[asyncio.Queue[tuple[str, Any]]]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if settings.HAS_REDIS and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="osprey events")

    async def done(self, prediction_id: int, seconds: float) -> bool:
        """Wait for news of one prediction. False after `seconds`, or earlier when some news may have been lost."""
        self.start()
        if time.monotonic() - self._recent.get(prediction_id, -RECENT_SECONDS) < RECENT_SECONDS:
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(prediction_id, set()).add(waiter)
        try:
            return await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            return False
        finally:
            waiters = self._waiting.get(prediction_id)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    self._waiting.pop(prediction_id, None)

    @contextlib.asynccontextmanager
    async def stream(self, channels: Iterable[str]) -> AsyncIterator[asyncio.Queue[tuple[str, Any]]]:
        """News of some channels as (channel, message); the oldest is dropped where nobody reads."""
        self.start()
        box: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(BACKLOG)
        wanted = list(channels)
        for channel in wanted:
            self._streams.setdefault(channel, set()).add(box)
        try:
            yield box
        finally:
            for channel in wanted:
                self._streams[channel].discard(box)
                if not self._streams[channel]:
                    del self._streams[channel]

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (redis.RedisError, OSError) as error:
                log.info("news are not heard at present: %s", error)
            finally:
                self._hears(False)
            await asyncio.sleep(0.5)

    def _hears(self, connected: bool) -> None:
        """Whoever waits looks for himself: the news of the moment between may be lost."""
        if connected == self.connected:
            return
        self.connected = connected
        self._tell(list(self._waiting), news=False)

    async def _listen_once(self) -> None:
        connection = redis.asyncio.Redis.from_url(settings.REDIS_URL)
        try:
            async with connection.pubsub() as subscription:
                await subscription.psubscribe(*PATTERNS)
                async for message in subscription.listen():
                    if message["type"] == "psubscribe":
                        self._hears(message["data"] == len(PATTERNS))
                    elif message["type"] == "pmessage":
                        self._spread(message["channel"].decode(), json.loads(message["data"]))
        finally:
            await connection.aclose()

    def _spread(self, channel: str, message: Any) -> None:
        if channel == DONE:
            self._remember(message)
        for box in self._streams.get(channel, ()):
            if box.full():
                box.get_nowait()
            box.put_nowait((channel, message))

    def _remember(self, prediction_ids: list[int]) -> None:
        now = time.monotonic()
        for key in prediction_ids:
            self._recent[key] = now
            self._recent.move_to_end(key)
        self._tell(prediction_ids, news=True)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def _tell(self, prediction_ids: Iterable[int], *, news: bool) -> None:
        for key in prediction_ids:
            for waiter in self._waiting.get(key, ()):
                if not waiter.done():
                    waiter.set_result(news)


_buses: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bus] = weakref.WeakKeyDictionary()


def bus() -> Bus:
    """The bus of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _buses:
        _buses[loop] = Bus()
    return _buses[loop]
