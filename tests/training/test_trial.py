"""How long a run takes: the arithmetic of an estimate, and real trials of tiny networks."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.conftest import TINY_WORDS
from training.__main__ import main
from training.contract import Rates, Workload, estimate, read_rates
from training.trial import an_image

RATES = Rates("CPU", begin=2.0, copy=0.01, prepare=0.02, embed=0.03, learn=0.1, watch=0.04, solve=0.5, spread=0.05)
TUNE = Workload("fine-tune", train=1000, validation=100, test=100, missing=0, epochs=10)


def test_an_estimate_adds_up_what_a_run_does() -> None:
    found = estimate(RATES, TUNE)
    # Copies, inputs, epochs of learning and watching, the warm head, and both reports with the proofs.
    once = 2.0 + 14.0 + 1000 * 0.01 + 100 * 0.02 + 0.5 + (200 + 300) * 0.03 + 100 * 0.04
    assert found.seconds == pytest.approx(once + 10 * (1000 * 0.1 + 100 * 0.04), abs=0.1)
    assert found.low < found.seconds < found.high
    assert (found.images_per_second, found.device) == (10.0, "CPU")


@pytest.mark.parametrize("change", [{"epochs": 20}, {"train": 2000}, {"missing": 500}, {"first_train": 500}])
def test_more_work_takes_longer(change: dict[str, int]) -> None:
    assert estimate(RATES, replace(TUNE, **change)).seconds > estimate(RATES, TUNE).seconds  # type: ignore[arg-type]


def test_stored_embeddings_make_a_head_a_matter_of_seconds() -> None:
    stored = Workload("head", train=1000, validation=100, test=100, missing=0)
    assert estimate(RATES, replace(stored, missing=1100)).seconds - estimate(RATES, stored).seconds == pytest.approx(33)


def test_a_sweep_ends_at_its_time() -> None:
    found = estimate(RATES, replace(TUNE, recipe="sweep", tries=50, most_seconds=600))
    assert (found.seconds, found.high) == (600, 720)


def test_an_unsteady_machine_gets_a_wider_answer() -> None:
    steady, unsteady = estimate(RATES, TUNE), estimate(replace(RATES, spread=0.4), TUNE)
    assert unsteady.high - unsteady.low > 1.5 * (steady.high - steady.low)


def test_a_small_step_tells_what_an_image_costs_in_a_whole_one() -> None:
    def step(images: int) -> float:
        return 0.4 + 0.1 * images

    assert an_image(step(2), step(8), 8, 32) == pytest.approx(step(32) / 32)
    assert an_image(step(2), step(32), 32, 32) == pytest.approx(step(32) / 32)
    assert an_image(9.0, step(8), 8, 32) >= step(8) / 8 / 2, "a pair that was slow by chance is not believed"
    assert an_image(0.0, step(8), 8, 32) == pytest.approx(step(8) / 8)


def test_a_trial_measures_real_steps_and_leaves_no_trace(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name for path in run_folder.iterdir()}
    begun = time.monotonic()
    assert main(["trial", str(run_folder), *TINY_WORDS]) == 0
    assert time.monotonic() - begun < 20
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    rates = read_rates(said)
    assert rates is not None and min(rates.copy, rates.prepare, rates.learn, rates.watch) > 0
    assert 0 < said["low"] < said["seconds"] < said["high"] and said["images_per_second"] > 1
    assert {path.name for path in run_folder.iterdir()} == before


def test_a_trial_of_a_head_measures_the_engine(
    run_folder: Path, colour_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["recipe=head", f"start_from={colour_model}", "device=cpu"]
    assert main(["trial", str(run_folder), *words]) == 0
    rates = read_rates(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert rates is not None and rates.embed > 0 and rates.solve > 0 and rates.learn == 0


def test_a_trial_that_cannot_begin_says_why(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trial", str(run_folder), "start=nothing", "architecture=resnet_18"]) == 1
    assert "resnet_18" in capsys.readouterr().err
