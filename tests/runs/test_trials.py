"""Trials in the site: measured once in a worker, answered at once from then on, and shown before the button."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.runs.conftest import PARTS, Pond
from tests.runs.test_pages_and_rest import browser, caller
from training.contract import Rates, Workload, estimate, estimate_values
from training.learning.embeddings import known_digests
from webapp.access.table import Scope
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.predictions.models import Embedding
from webapp.runs import work_off as work_off_module
from webapp.runs.candidates.trial_words import in_words
from webapp.runs.candidates.trial_work import carry_out_trial
from webapp.runs.candidates.trials import MEASURED_BEFORE, MOST_WAITING, start_trial
from webapp.runs.candidates.workload import workload_of
from webapp.runs.comparing import command
from webapp.runs.folder import EMBEDDINGS, write_folder
from webapp.runs.models import Run, RunEvent, Trial
from webapp.runs.process import device_lock
from webapp.runs.start import start_run
from webapp.runs.work_off import work_off

RATES = Rates("CPU", begin=2.0, copy=0.01, prepare=0.01, embed=0.02, learn=0.05, watch=0.02, solve=0.1, spread=0.1)
WORK = Workload("head", train=3, validation=1, test=1, missing=4)
MEASURED = estimate_values(estimate(RATES, WORK), RATES)


@pytest.fixture
def measured(pond: Pond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pond:
    """The pond, whose trials are a command that says what was measured."""
    script = tmp_path / "trial.py"
    script.write_text(f"import sys\nassert sys.argv[1] == 'trial'\nprint('reading')\nprint({json.dumps(MEASURED)!r})\n")
    monkeypatch.setattr(command, "TRAINING", (sys.executable, str(script)))
    monkeypatch.setattr(command, "LOOK_SECONDS", 0.01)
    return pond


def ask(pond: Pond, who: str = "tess", **more: Any) -> Trial:
    asked = {"snapshot": pond.snapshot, "recipe": "head", **more}
    return start_trial(actor=pond.people[who], project=pond.project, **asked)


def test_a_worker_measures_and_the_next_one_who_asks_is_answered_at_once(measured: Pond) -> None:
    trial = ask(measured)
    assert trial.state == Trial.State.WAITING
    assert ask(measured) == trial, "nobody waits twice for the same"
    Trial.objects.update(state="leased", lease_until=timezone.now() + timedelta(seconds=9))
    assert ask(measured) == trial, "nor while it is being measured"
    Trial.objects.update(state="waiting", lease_until=None)
    work_off()
    trial.refresh_from_db()
    assert (trial.state, trial.reason, trial.device) == (Trial.State.DONE, "", "CPU")
    assert trial.result["seconds"] == MEASURED["seconds"]
    again = ask(measured, "ada")
    assert (again.state, again.reason) == (Trial.State.DONE, MEASURED_BEFORE)
    assert again.result["rates"] == trial.result["rates"]


def test_more_images_at_the_same_rates_take_longer(measured: Pond) -> None:
    first = ask(measured, recipe="fine-tune")
    carry_out_trial(first.pk)
    few = ask(measured, recipe="fine-tune").result["seconds"]
    parts = {"train": 8000, "validation": 1000, "test": 1000}
    large = Snapshot.objects.create(project=measured.project, name="Large", digest="d" * 64, counts={"parts": parts})
    many = ask(measured, recipe="fine-tune", snapshot=large).result["seconds"]
    more_epochs = ask(measured, recipe="fine-tune", snapshot=large, config={"epochs": 40}).result["seconds"]
    assert few < many / 50 and more_epochs > 1.9 * many
    assert ask(measured, recipe="fine-tune", config={"batch_size": 4}).state == Trial.State.WAITING


@pytest.mark.parametrize("recipe", ["fine-tune", "two-stage", "sweep"])
def test_what_is_stored_of_the_training_images_is_not_computed_again(measured: Pond, recipe: str) -> None:
    trial = ask(measured, recipe=recipe)
    assert workload_of(trial).missing == PARTS.count("train")
    for image, part in zip(measured.images, PARTS, strict=True):
        SnapshotEntry.objects.create(snapshot=measured.snapshot, image=image, part=part)
        Embedding.objects.create(image=image, version=measured.version, space="colours", vector=b"\0\0")
    assert workload_of(trial).missing == 0
    folder = write_folder(measured.start(recipe=recipe))
    assert known_digests(folder / EMBEDDINGS) >= {image.file.sha256 for image in measured.images[:3]}


def test_what_a_run_took_says_more_than_a_few_steps_did(measured: Pond) -> None:
    carry_out_trial(ask(measured, recipe="fine-tune").pk)
    steps = ask(measured, recipe="fine-tune").result
    for rate, config in ((2.0, {"epochs": 3}), (90.0, {"batch_size": 4})):
        run = measured.start(recipe="fine-tune")
        RunEvent.objects.create(run=run, number=1, kind="epoch", detail={"images_per_second": rate})
        Run.objects.filter(pk=run.pk).update(state=Run.State.DONE, device="CPU", config=config)
    whole = ask(measured, recipe="fine-tune").result
    assert (steps["images_per_second"], whole["images_per_second"]) == (20.0, 2.0)


def test_a_trial_waits_for_the_device(measured: Pond) -> None:
    trial = ask(measured)
    with device_lock() as is_free:
        assert is_free
        assert carry_out_trial(trial.pk) is None
    trial.refresh_from_db()
    assert (trial.state, trial.attempts) == (Trial.State.WAITING, 0)


def test_a_trial_gives_way_to_a_run_and_comes_after_it(measured: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever presses the button while it is still measured does not wait for the rest of it."""
    trial, order = ask(measured), []
    asked: list[Callable[[], bool]] = []

    def try_it(pk: int, *, should_stop: Callable[[], bool]) -> None:
        order.append("trial")
        asked.append(should_stop)

    def train_it(pk: int, *, should_stop: Callable[[], bool]) -> None:
        order.append("run")

    monkeypatch.setattr(work_off_module, "carry_out_trial", try_it)
    monkeypatch.setattr(work_off_module, "carry_out", train_it)
    work_off()
    assert order == ["trial"] and not asked[0]()
    start_run(actor=measured.people["tess"], project=measured.project, snapshot=measured.snapshot)
    assert asked[0](), "the trial under way is told to stop"
    work_off()
    assert order == ["trial", "run"]
    assert trial.state == Trial.State.WAITING


def test_a_trial_that_fails_says_what_its_process_said(measured: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = ask(measured)
    words = (sys.executable, "-c", "import sys; sys.exit('There is no such network.')")
    monkeypatch.setattr(command, "TRAINING", words)
    failed = carry_out_trial(trial.pk)
    assert failed is not None
    assert (failed.state, failed.code, failed.reason) == ("failed", "trial-failed", "There is no such network.")
    assert ask(measured).state == Trial.State.WAITING, "a failure is not remembered"


def test_what_cannot_be_trained_is_not_tried(pond: Pond) -> None:
    with pytest.raises(Forbidden):
        ask(pond, "cora")
    with pytest.raises(Invalid):
        ask(pond, recipe="magic")
    with pytest.raises(Invalid):
        ask(pond, config={"epoch": 1})
    for number in range(MOST_WAITING):
        ask(pond, config={"batch_size": number + 1})
    with pytest.raises(Conflict):
        ask(pond, config={"batch_size": 99})


@pytest.mark.parametrize(
    ("seconds", "low", "high", "words"),
    [
        (12.4, 9, 18, "about 12 seconds (9 to 18)"),
        (80, 60, 120, "about 1.3 minutes (1 to 2)"),
        (240, 180, 360, "about 4 minutes (3 to 6)"),
        (60, 55, 110, "about 1 minute (0.9 to 1.8)"),
        (28000, 20000, 34000, "about 7.8 hours (5.6 to 9.4)"),
    ],
)
def test_an_estimate_is_said_as_people_would(seconds: float, low: float, high: float, words: str) -> None:
    assert in_words({"seconds": seconds, "low": low, "high": high}) == words


def test_the_page_shows_what_is_known_before_the_button(measured: Pond) -> None:
    page = reverse("runs", args=["pond"])
    shown = browser(measured, "tess").get(page).content.decode()
    assert 'id="estimate"' in shown and "on this machine" not in shown
    carry_out_trial(ask(measured).pk)
    shown = browser(measured, "tess").get(page).content.decode()
    assert "About" in shown and "on this machine" in shown
    assert shown.index('id="estimate"') < shown.index(">Train</button>")


@pytest.mark.django_db(transaction=True)
def test_over_rest_a_trial_is_asked_for_and_read(measured: Pond) -> None:
    ada, reader = caller(measured, "ada", Scope.TRAIN), caller(measured, "ada", Scope.READ)
    trials = "/api/v1/projects/pond/trials"
    assert reader.post(trials, {}).code == "forbidden"
    made = ada.post(trials, {"recipe": "head"})
    assert (made.status, made.json()["state"], made.json()["words"]) == (202, "waiting", "")
    carry_out_trial(Trial.objects.get().pk)
    read = reader.get(f"/api/v1/trials/{made.json()['id']}").json()
    assert (read["state"], read["seconds"], read["device"]) == ("done", MEASURED["seconds"], "CPU")
    assert read["words"].startswith("about")
    known = ada.post(trials, {"recipe": "head"})
    assert (known.status, known.json()["reason"]) == (201, MEASURED_BEFORE)
