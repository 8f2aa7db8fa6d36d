"""Leases: who works on what, and what happens when a worker is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from tests.predictions.rows import make_pipeline, make_waiting
from webapp.images.models import ImageState, Item
from webapp.predictions.claim import ENDED_WORKER, Claim, claim, extend, next_pipelines, put_back, recover
from webapp.predictions.models import Prediction, Priority
from webapp.versions.models import Pipeline

State = Prediction.State

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def take(pipeline: Pipeline, limit: int = 16, worker: str = "w1") -> Claim:
    return claim(limit=limit, worker=worker, pipelines=[pipeline.pk])


def end_leases() -> None:
    """The worker is gone and its lease has run out."""
    Prediction.objects.filter(state=State.LEASED).update(lease_until=Now() - timedelta(seconds=1))


def ids(held: Claim) -> list[int]:
    return [work.prediction_id for work in held.works]


def test_a_claim_takes_the_most_urgent_first_then_the_oldest(pipeline: Pipeline) -> None:
    bulk = make_waiting(pipeline, 3)
    urgent = make_waiting(pipeline, 1, priority=Priority.CALL)
    assert ids(take(pipeline, limit=3)) == [urgent[0].pk, bulk[0].pk, bulk[1].pk]


@pytest.mark.postgres
def test_no_more_rows_are_claimed_than_asked_for_however_the_database_plans_it(pipeline: Pipeline) -> None:
    """A join by loops would look for the next free rows once for each row of the table, and lock others each time."""
    make_waiting(pipeline, 40)
    with connection.cursor() as cursor:
        for other in ("hashjoin", "mergejoin", "hashagg", "sort", "indexscan", "bitmapscan", "material"):
            cursor.execute(f"SET LOCAL enable_{other} = off")
    assert len(take(pipeline, limit=3).works) == 3


def test_two_workers_never_hold_the_same_row(pipeline: Pipeline) -> None:
    make_waiting(pipeline, 5)
    first, second = take(pipeline, limit=3, worker="a"), take(pipeline, limit=3, worker="b")
    assert not set(ids(first)) & set(ids(second))
    assert len(first.works) + len(second.works) == 5


def test_nothing_is_claimed_for_a_pipeline_that_is_not_loaded(pipeline: Pipeline) -> None:
    make_waiting(make_pipeline("whales"), 2)
    assert take(pipeline).works == ()


def test_pipelines_are_named_in_the_order_their_rows_will_be_claimed(pipeline: Pipeline) -> None:
    make_waiting(pipeline, 2)
    whales = make_pipeline("whales")
    make_waiting(whales, 1, priority=Priority.INTERACTIVE)
    assert next_pipelines(10) == [whales.pk, pipeline.pk]


def test_a_row_whose_lease_ended_waits_again(pipeline: Pipeline) -> None:
    make_waiting(pipeline, 1)
    held = take(pipeline)
    end_leases()
    assert recover() == 1
    assert ids(take(pipeline)) == ids(held)


def test_a_lease_that_is_kept_alive_is_not_recovered(pipeline: Pipeline) -> None:
    make_waiting(pipeline, 1)
    held = take(pipeline)
    end_leases()
    extend([held.token])
    assert recover() == 0


def test_a_row_that_ended_two_workers_runs_alone_after_all_others(pipeline: Pipeline) -> None:
    suspect = make_waiting(pipeline, 1)[0]
    for _ in range(2):
        take(pipeline)
        end_leases()
        recover()
    others = make_waiting(pipeline, 2)
    assert ids(take(pipeline)) == [other.pk for other in others]
    alone = take(pipeline)
    assert (ids(alone), alone.alone) == ([suspect.pk], True)


def test_a_row_that_ended_three_workers_is_set_aside_with_a_reason(pipeline: Pipeline) -> None:
    suspect = make_waiting(pipeline, 1)[0]
    for _ in range(3):
        take(pipeline)
        end_leases()
        recover()
    suspect.refresh_from_db()
    item = Item.objects.get(image_id=suspect.image_id)
    assert (suspect.state, suspect.code) == (State.FAILED, ENDED_WORKER)
    assert (item.state, item.code) == (Item.State.FAILED, ENDED_WORKER)
    assert "ended the worker" in item.reason
    assert ImageState.objects.get(pk=suspect.image_id).failure == ENDED_WORKER


def test_rows_put_back_wait_again_and_fail_after_the_third_time(pipeline: Pipeline) -> None:
    row = make_waiting(pipeline, 1)[0]
    for _ in range(3):
        put_back(take(pipeline), "RuntimeError: device lost")
    row.refresh_from_db()
    assert (row.state, row.code) == (State.FAILED, "internal")
    assert "device lost" in row.reason
