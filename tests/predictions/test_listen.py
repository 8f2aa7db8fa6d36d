"""A worker at rest hears of work by itself, before Celery's message has made its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from webapp import queue
from webapp.predictions import drain
from webapp.predictions.drain import Drainer


class Resting(Drainer):
    """Counts its drains and does nothing in them."""

    drains = 0

    def _drain(self, deadline: float) -> int:
        self.drains += 1
        return 0


@pytest.mark.usefixtures("heard")
def test_a_worker_at_rest_drains_when_nudged_and_once_for_each_nudge() -> None:
    worker = Resting("w")
    listening = threading.Thread(target=worker.drain_when_nudged, args=(4,))
    listening.start()
    queue._announce("gpu")
    listening.join(10)
    assert worker.drains == 1
    worker.drain_when_nudged(0.01)
    assert worker.drains == 1


@pytest.mark.usefixtures("heard")
def test_listening_keeps_nobody_else_from_draining() -> None:
    worker = Resting("w")
    listening = threading.Thread(target=worker.drain_when_nudged, args=(1,))
    listening.start()
    worker.drain(wait=False)
    assert worker.drains == 1
    listening.join(10)


@pytest.mark.usefixtures("heard")
def test_a_nudge_that_was_meant_for_a_drain_under_way_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Resting("w")
    real = queue.wait_for_nudge

    def drain_begins_meanwhile(name: str, seconds: float, heed: Callable[[str], object]) -> bool:
        worker._at_rest.clear()
        return real(name, seconds, heed=heed)

    monkeypatch.setattr(queue, "wait_for_nudge", drain_begins_meanwhile)
    queue._announce("gpu")
    worker.drain_when_nudged(4)
    assert worker.drains == 0
    assert real("gpu", 4, heed=print)


def test_while_a_drain_is_under_way_nudges_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Resting("w")
    worker._at_rest.clear()
    monkeypatch.setattr(queue, "wait_for_nudge", lambda name, seconds, heed: pytest.fail("listened"))
    worker.drain_when_nudged(0.01)


def test_without_a_broker_a_loop_around_it_does_not_spin_and_ends_when_the_worker_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drain, "DEAF_SECONDS", 0.05)
    worker = Resting("w")
    begun = time.monotonic()
    worker.drain_when_nudged(1)
    assert time.monotonic() - begun >= 0.05
    monkeypatch.setattr(drain, "DEAF_SECONDS", 60.0)
    worker.stop()
    worker.drain_when_nudged(1)
    assert time.monotonic() - begun < 30
