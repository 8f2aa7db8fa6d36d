"""Draining with a real engine: one bad model or one bad moment holds up nobody else."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from pytest_django import Settings

from tests.predictions.rows import make_pipeline, make_waiting, send
from webapp.predictions import drain
from webapp.predictions.drain import LOOK_AHEAD, Drainer
from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.versions import pipelines

State = Prediction.State

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def test_rows_of_a_model_that_cannot_be_loaded_do_not_hide_those_behind_them(
    colours: Project, settings: Settings
) -> None:
    make_waiting(make_pipeline("damaged"), LOOK_AHEAD + 1)
    sent = send(colours, settings, 1)
    assert Drainer("w").drain() == 1
    assert Prediction.objects.get(pk=sent.prediction_id).state == State.DONE
    assert Prediction.objects.filter(state=State.PENDING).count() == LOOK_AHEAD + 1


def test_a_back_end_that_raises_holds_up_only_its_own_rows(
    colours: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = drain.EngineHost._load.__globals__["load_pipeline"]

    def broken_for_one(spec: object, **options: object) -> object:
        if getattr(spec, "digest", "") == other.digest:
            raise RuntimeError("unsupported operation")
        return real(spec, **options)

    version = colours.pipelines.get().classifier
    other = pipelines.make_pipeline(project=colours, classifier=version, thresholds={"background": 0.9})
    make_waiting(other, 2)
    monkeypatch.setattr("webapp.predictions.engine_host.load_pipeline", broken_for_one)
    sent = send(colours, settings, 1)
    worker = Drainer("w")
    assert worker.drain() == 1
    assert Prediction.objects.get(pk=sent.prediction_id).state == State.DONE
    assert worker.host.unusable() == [other.pk]


def test_a_result_that_cannot_be_recorded_frees_this_batch_and_the_one_behind_it(
    colours: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BATCH_SIZE = 1
    for seed in (1, 2):
        send(colours, settings, seed)
    worker = Drainer("w")

    def locked(**words: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as fault:
        fault.setattr(drain, "record", locked)
        with pytest.raises(OperationalError):
            worker.drain()
    assert worker.held == set(), "the heartbeat would extend these leases for ever"
    assert set(Prediction.objects.values_list("state", "attempts")) == {(State.PENDING, 1)}
    assert worker.drain() == 2


@pytest.mark.parametrize(("code", "again"), [("out-of-memory", True), ("internal", True), ("too-many-pixels", False)])
def test_bytes_that_come_again_are_tried_again_when_the_fault_was_the_sites(
    colours: Project, settings: Settings, code: str, again: bool
) -> None:
    first = send(colours, settings, 1)
    Prediction.objects.filter(pk=first.prediction_id).update(state=State.FAILED, code=code, reason="No.", attempts=3)
    second = send(colours, settings, 1)
    assert (second.state, second.prediction_id) == ("duplicate", first.prediction_id)
    assert second.prediction_state == (State.PENDING if again else State.FAILED)
    assert Drainer("w").drain() == (1 if again else 0)
