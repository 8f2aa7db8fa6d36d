"""One protocol for rows that are work: taken once, lost loudly, given back, taken from the dead."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from webapp import leases
from webapp.datasets.models import Export, JobState
from webapp.projects.models import Project

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def row() -> Export:
    return Export.objects.create(project=Project.objects.create(name="Reef", slug="reef"), format="csv")


def taken(row: Export, **values: object) -> Export:
    assert leases.take(leases.free(Export.objects.all()), row.pk, **values)
    return Export.objects.get(pk=row.pk)


def test_a_row_is_taken_by_one_alone(row: Export) -> None:
    held = taken(row)
    assert (held.state, held.attempts) == (JobState.LEASED, 1)
    assert not leases.take(leases.free(Export.objects.all()), row.pk)


def test_a_lease_that_ran_out_is_free_and_its_holder_writes_nothing_more(row: Export) -> None:
    late = taken(row)
    Export.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    held = taken(row)
    with pytest.raises(leases.LeaseLost):
        leases.renew(late, done=5)
    leases.end(held, JobState.DONE, done=7)
    ended = Export.objects.get(pk=row.pk)
    assert (ended.state, ended.done, ended.lease_token) == (JobState.DONE, 7, "")


def test_given_back_it_is_free_at_once_and_with_a_reason_after_a_pause(row: Export) -> None:
    leases.release(taken(row))
    assert leases.free(Export.objects.all()).exists()
    leases.release(taken(row), reason="the disk is full")
    paused = Export.objects.get(pk=row.pk)
    assert (paused.state, paused.reason, paused.attempts) == (JobState.WAITING, "the disk is full", 0)
    assert not leases.free(Export.objects.all()).exists()


def test_who_is_stopped_hears_of_it(row: Export) -> None:
    held = taken(row)
    assert leases.stop(Export.objects.filter(pk=row.pk), JobState.STOPPED) == 1
    with pytest.raises(leases.LeaseLost):
        leases.renew(held)
    assert leases.stop(Export.objects.filter(pk=row.pk), JobState.STOPPED) == 0


def test_the_fourth_process_in_a_row_gives_up(row: Export) -> None:
    for _ in range(leases.GIVE_UP_AFTER + 1):
        held = taken(row)
        worn_out = leases.is_worn_out(held)
        Export.objects.filter(pk=row.pk).update(lease_until=None)
    assert worn_out
    assert held.attempts == leases.GIVE_UP_AFTER + 1


def test_a_process_of_this_machine_that_is_gone_holds_nothing(row: Export) -> None:
    held = taken(row)
    assert not leases.take_from_the_dead(held)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    gone = held.lease_token.replace(f"-{os.getpid()}-", f"-{child}-")
    Export.objects.filter(pk=row.pk).update(lease_token=gone)
    assert leases.take_from_the_dead(Export.objects.get(pk=row.pk))
    assert leases.free(Export.objects.all()).exists()
