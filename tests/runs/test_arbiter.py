"""One arbiter for a device: recognition goes first where a run said so, and not where it did not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.runs.conftest import Pond
from webapp.predictions.models import Prediction
from webapp.runs.folder import folder_of
from webapp.runs.models import Run, RunEvent
from webapp.runs.queue import before, startable
from webapp.versions.pipelines import make_pipeline


def picture_waits(pond: Pond, **fields: object) -> Prediction:
    """Somebody uploads a picture, and it waits for the device."""
    pipeline = make_pipeline(project=pond.project, classifier=pond.version)
    return Prediction.objects.get_or_create(image=pond.images[0], pipeline=pipeline, **fields)[0]


def epochs(run: Run) -> list[int]:
    return [row.detail["epoch"] for row in RunEvent.objects.filter(run=run, kind="epoch").order_by("number")]


def test_a_run_that_waits_for_silence_gives_way_and_goes_on_where_it_was(stand_in: Pond) -> None:
    run = stand_in.start("wait", when="idle")

    def upload() -> bool:
        if stand_in.waits(run):
            picture_waits(stand_in)
        return False

    gave_way = stand_in.carry_out(run, upload)
    assert (gave_way.state, gave_way.reason, gave_way.lease_token) == (
        Run.State.WAITING,
        "recognition goes first",
        "",
    )
    assert (folder_of(run) / "checkpoint" / "last.json").exists()
    assert not startable().exists(), "while the picture waits"
    Prediction.objects.update(state=Prediction.State.DONE)
    assert not startable().exists(), "it pauses, lest it starts anew for each picture"
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert startable().get() == run
    (folder_of(run) / "go").touch()
    assert stand_in.carry_out(run).state == Run.State.DONE
    assert RunEvent.objects.filter(run=run, kind="stage", detail__text="from epoch 1").exists()
    assert epochs(run) == [1, 2, 3]


@pytest.mark.parametrize("when", ["now", "tonight"])
def test_a_run_that_was_to_train_now_trains_on(stand_in: Pond, when: str) -> None:
    run = stand_in.start("wait", when=when)
    Run.objects.update(not_before=None)
    looks = 0

    def upload() -> bool:
        nonlocal looks
        if stand_in.waits(run):
            picture_waits(stand_in)
            looks += 1
            if looks == 5:
                (folder_of(run) / "go").touch()
        return False

    ended = stand_in.carry_out(run, upload)
    assert (ended.state, ended.attempts) == (Run.State.DONE, 1)
    assert looks >= 5 and epochs(run) == [1, 2, 3]
    assert Prediction.objects.get().state == Prediction.State.PENDING


def test_history_does_not_hold_a_quiet_run_up(stand_in: Pond) -> None:
    picture_waits(stand_in, purpose=Prediction.Purpose.HISTORY)
    assert stand_in.carry_out(stand_in.start(when="idle")).state == Run.State.DONE


def test_a_run_that_was_taken_up_again_says_that_a_younger_one_is_under_way(pond: Pond) -> None:
    older, younger, waits = pond.start(), pond.start(), pond.start()
    Run.objects.filter(pk=younger.pk).update(state=Run.State.LEASED)
    assert (before(older), before(waits)) == (1, 2)
