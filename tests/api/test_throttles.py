"""Nobody crowds out the others, and a dead broker stops nobody."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.api.client import GUEST
from tests.api.conftest import Cast
from webapp import broker, queue
from webapp.access.actors import GUEST as GUEST_ACTOR
from webapp.api import throttles


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real broker to count in."""
    with tempfile.TemporaryDirectory(prefix="osprey-t-") as folder, broker.serving(Path(folder)) as url:
        address = url.replace("redis+socket://", "unix://").split("?virtual_host")[0]
        monkeypatch.setattr(settings, "REDIS_URL", address)
        monkeypatch.setattr(settings, "HAS_REDIS", True)
        monkeypatch.setattr(throttles, "OUTAGE", throttles.Outage())
        queue.client.cache_clear()
        yield
        queue.client.cache_clear()


@pytest.mark.usefixtures("counting")
def test_a_caller_over_the_limit_waits_and_others_do_not(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CALLS_PER_MINUTE", 18)  # three in one window
    monkeypatch.setattr(throttles.time, "time", lambda: 1_000_003.0)
    ravi, vera = cast.token("ravi"), cast.token("vera")
    statuses = [ravi.get("/api/v1/me").status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    reply = ravi.get("/api/v1/me")
    assert (reply.code, reply.headers["retry-after"]) == ("too-many-requests", "7")
    assert ravi.post("/api/v1/classify?project=savanna", cast.picture()).status == 429
    assert vera.get("/api/v1/me").status == 200
    monkeypatch.setattr(throttles.time, "time", lambda: 1_000_010.0)
    assert ravi.get("/api/v1/me").status == 200


def test_in_open_mode_the_limit_is_never_below_fifty_a_second(open_mode: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CALLS_PER_MINUTE", 1)
    assert throttles.limit_of(GUEST_ACTOR) >= 50 * throttles.WINDOW_SECONDS


def test_a_dead_broker_lets_everybody_through_and_is_counted(
    open_mode: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(throttles, "OUTAGE", throttles.Outage())
    monkeypatch.setattr(settings, "HAS_REDIS", True)
    monkeypatch.setattr(settings, "REDIS_URL", "unix:///nowhere/broker.sock")
    queue.client.cache_clear()
    for _ in range(3):
        assert GUEST.get("/api/v1/me").status == 200
    assert throttles.OUTAGE.uncounted == 3
    assert len([line for line in caplog.messages if "not throttled" in line]) == 1
