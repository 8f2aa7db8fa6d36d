"""The rate finder: what a curve says, and a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.training.conftest import TINY_WORDS
from training import lr_find
from training.__main__ import main
from training.lr_find import _runs_away, plot, suggest


def test_the_suggestion_lies_where_the_loss_falls_and_well_below_where_it_runs_away() -> None:
    rates = np.geomspace(1e-6, 1, 100)
    losses = 2 / (1 + (rates / 1e-3) ** 1.5) + (rates / 0.3) ** 2
    found = suggest(rates.tolist(), losses.tolist())
    assert 2e-4 < found.steepest < 1e-2 and found.suggested <= found.steepest
    assert len(found.losses) == 100


@pytest.mark.parametrize("seed", range(5))
def test_what_the_first_steps_happen_to_do_is_no_fall(seed: int) -> None:
    rates = np.geomspace(1e-6, 1, 40)
    losses = 2 / (1 + (rates / 1e-2) ** 1.5) + (rates / 0.3) ** 2 + np.random.default_rng(seed).normal(0, 0.1, 40)
    assert 1e-4 < suggest(rates.tolist(), losses.tolist()).suggested < 3e-2


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_that_only_rises_gives_a_rate_below_where_it_begins_to(seed: int) -> None:
    """As of a network that knows its images already."""
    rates = np.geomspace(1e-6, 1, 60)
    losses = 0.3 + (rates / 1e-2) ** 2 + np.random.default_rng(seed).normal(0, 0.1, 60)
    assert 1e-5 < suggest(rates.tolist(), losses.tolist()).suggested < 3e-3


def test_one_easy_batch_does_not_end_the_search() -> None:
    assert not _runs_away([2.0, 2.1, 0.4, 1.9, 2.2]) and _runs_away([2.0] * 20 + [50.0] * 10)


def test_fewer_rates_than_make_a_curve_are_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", str(run_folder), *TINY_WORDS, "--steps", "0"]) == 2
    assert "no curve" in capsys.readouterr().err


def test_it_tries_rates_and_draws_what_it_found(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", str(run_folder), *TINY_WORDS, "--steps", "12"]) == 0
    said = json.loads(capsys.readouterr().out)
    kept = json.loads((run_folder / "lr-find.json").read_text())
    assert said["suggested"] == kept["suggested"] and len(kept["rates"]) == len(kept["losses"]) <= 12
    drawn = ElementTree.fromstring((run_folder / "lr-find.svg").read_text())
    assert drawn.tag.endswith("svg") and "suggested" in plot(suggest(kept["rates"], kept["losses"]))
    assert not (run_folder / "checkpoint").exists() and not (run_folder / "progress.jsonl").exists()
    assert not list(run_folder.glob(".*"))


def test_it_reads_as_many_pictures_as_it_draws_and_none_of_the_others(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lr_find, "_FEWEST_IMAGES", 10)
    few = [*TINY_WORDS, "batch_size=2"]
    assert main(["lr-find", str(run_folder), *few, "--steps", "10"]) == 0
    assert len(list((run_folder / "cache").rglob("*.jpg"))) == 20
    kept = [np.load(path, allow_pickle=False) for path in (run_folder / "cache").glob("inputs-*-positions.npy")]
    assert [len(positions) for positions in kept] == [0]
