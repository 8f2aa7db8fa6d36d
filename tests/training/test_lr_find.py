"""The rate finder: what a curve says, and a run of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.training.conftest import TINY_WORDS
from training.__main__ import main
from training.lr_find import plot, suggest


def test_the_suggestion_lies_where_the_loss_falls_and_well_below_where_it_runs_away() -> None:
    rates = np.geomspace(1e-6, 1, 100)
    losses = 2 / (1 + (rates / 1e-3) ** 1.5) + (rates / 0.3) ** 2
    found = suggest(rates.tolist(), losses.tolist())
    assert 2e-4 < found.steepest < 1e-2 and found.suggested <= found.steepest
    assert len(found.losses) == 100


def test_it_tries_rates_and_draws_what_it_found(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find", str(run_folder), *TINY_WORDS, "--steps", "8"]) == 0
    said = json.loads(capsys.readouterr().out)
    kept = json.loads((run_folder / "lr-find.json").read_text())
    assert said["suggested"] == kept["suggested"] and len(kept["rates"]) == len(kept["losses"]) <= 8
    drawn = ElementTree.fromstring((run_folder / "lr-find.svg").read_text())
    assert drawn.tag.endswith("svg") and "suggested" in plot(suggest(kept["rates"], kept["losses"]))
    assert not (run_folder / "checkpoint").exists() and not (run_folder / "progress.jsonl").exists()
    assert not list(run_folder.glob(".lr-find-*"))
