"""Waiting for an answer, also while the news of it gets lost."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.predictions.rows import make_pipeline, make_waiting
from webapp import events
from webapp.events import Bus
from webapp.predictions import wait
from webapp.predictions.models import Prediction
from webapp.predictions.wait import wait_done

pytestmark = pytest.mark.django_db(transaction=True)


async def begun(waiting: dict[int, object], prediction_id: int) -> None:
    while prediction_id not in waiting:
        await asyncio.sleep(0)


def deaf(monkeypatch: pytest.MonkeyPatch) -> Bus:
    """A bus that believes to hear and hears nothing, as when its broker has just gone."""
    news = Bus()
    news.connected = True
    monkeypatch.setattr(news, "start", lambda: None)
    monkeypatch.setattr(wait, "bus", lambda: news)
    return news


def test_who_waits_looks_at_the_row_when_the_broker_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = make_waiting(make_pipeline(), 1)
    news = deaf(monkeypatch)

    async def lose_the_news() -> bool:
        waiting = asyncio.create_task(wait_done(row.pk, 30.0))
        await begun(news._waiting, row.pk)  # type: ignore[arg-type]
        await Prediction.objects.filter(pk=row.pk).aupdate(state="done")
        news._hears(False)
        return await waiting

    begun_at = time.monotonic()
    assert asyncio.run(lose_the_news())
    assert time.monotonic() - begun_at < 10


def test_news_of_another_row_wakes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = make_waiting(make_pipeline(), 2)
    news = deaf(monkeypatch)

    async def hear_of_the_other() -> bool:
        waiting = asyncio.create_task(wait_done(one.pk, 0.2))
        await begun(news._waiting, one.pk)  # type: ignore[arg-type]
        news._spread(events.DONE, [other.pk])
        return await waiting

    assert not asyncio.run(hear_of_the_other())


def test_a_row_that_is_tried_again_is_waited_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = make_waiting(make_pipeline(), 1)
    news = deaf(monkeypatch)
    news._spread(events.DONE, [row.pk])
    assert asyncio.run(wait_done(row.pk, 0.1)), "the news was just missed"
    news._recent[row.pk] -= events.RECENT_SECONDS
    assert not asyncio.run(wait_done(row.pk, 0.1))
