"""The sweep: what it draws, that it never reads the test part, how it ends and how it goes on after a kill."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import ARCHITECTURE, TINY, TINY_WORDS
from training.__main__ import main
from training.contract import ConfigError, RunConfig, TrialReport, parse_config, read_manifest, read_report
from training.contract.space import rungs, survivors, whole_trainings
from training.learning import sweep as sweeping
from training.learning.stopping import Cancelled, Stop
from training.learning.sweep_plan import config_of, draw
from training.pictures import Pictures

SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "imbalance": ["plain", "square-root"]}
QUICK = ["batch_size=4", "ema_decay=0", "epochs=9", "lower_precision=false"]
WORDS = [*TINY_WORDS, *QUICK, "trials=3", f"sweep={json.dumps(SPACE)}"]


def config(space: Any = SPACE, **more: Any) -> RunConfig:
    return replace(TINY, recipe="sweep", sweep=json.dumps(space) if space else "", **more)


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def test_a_small_grid_is_tried_whole_after_the_settings_as_they_stand() -> None:
    drawn = draw(config({"sampler": ["natural", "balanced"], "dropout": [0.0, 0.2]}, trials=12))
    assert len(drawn) == 5 and drawn[0] == {}
    assert {(one["sampler"], one["dropout"]) for one in drawn[1:]} == {
        (sampler, dropout) for sampler in ("natural", "balanced") for dropout in (0.0, 0.2)
    }


def test_a_dozen_draws_see_the_whole_of_a_range_and_every_choice() -> None:
    drawn = draw(config(trials=12))[1:]
    rates = sorted(one["learning_rate"] for one in drawn)
    assert rates[0] < 1.5e-3 and rates[-1] > 6.5e-3 and 2.5e-3 < rates[len(rates) // 2] < 4.5e-3
    assert min(Counter(one["imbalance"] for one in drawn).values()) >= 5
    assert draw(config(trials=12))[1:] == drawn, "the same seed draws the same"
    assert draw(config(trials=12, seed=1))[1:] != drawn


def test_without_a_space_networks_rates_and_ways_with_rare_labels_are_tried() -> None:
    drawn = draw(config(None, trials=12))[1:]
    assert {one.get("architecture", "") for one in drawn} == {"", "convnextv2_atto", "resnet18"}
    assert all(3e-4 <= one["learning_rate"] <= 3e-3 for one in drawn)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "is no object"),
        ({"learning_rat": [1]}, "'learning_rat' is no setting"),
        ({"seed": [1, 2]}, "'seed' is no setting that may differ"),
        ({"sampler": ["sometimes"]}, "natural"),
        ({"sampler": {"low": 1, "high": 2}}, "needs a list"),
        ({"dropout": {"low": 2, "high": 1}}, "low is below high"),
        ({"dropout": []}, "a list of values"),
        ({"recipe": ["sweep"]}, "within a sweep"),
    ],
)
def test_a_space_that_cannot_be_meant_is_refused_before_anything_runs(space: Any, words: str) -> None:
    text = space if isinstance(space, str) else json.dumps(space)
    with pytest.raises(ConfigError, match=words):
        parse_config({"recipe": "sweep", "start": "nothing", "architecture": "resnet18", "sweep": text})


def test_a_space_may_be_written_as_yaml_has_it() -> None:
    found = parse_config({"recipe": "sweep", "start": "nothing", "architecture": "resnet18", "sweep": SPACE})
    assert json.loads(found.sweep) == SPACE


def test_a_third_goes_on_with_three_times_the_epochs() -> None:
    assert rungs(20, 12) == [2, 6, 20]
    assert rungs(20, 3) == [6, 20]
    assert rungs(4, 12) == [4]
    assert [survivors(count) for count in (12, 4, 2, 1)] == [4, 2, 1, 1]
    assert whole_trainings(json.dumps(SPACE), 12, 18) == pytest.approx((12 * 2 + 4 * 6 + 2 * 18) / 18)


def test_another_network_begins_from_pretrained_weights_and_the_same_one_from_the_start() -> None:
    start = replace(config(), start="version", start_from="/m", architecture="")
    other = config_of(start, {"architecture": "resnet18"}, 3, start_architecture=ARCHITECTURE)
    chosen = {"architecture": ARCHITECTURE, "imbalance": "square-root"}
    head = config_of(replace(start, input_size=64), {"recipe": "head"}, 1, start_architecture=ARCHITECTURE)
    assert head.input_size == 0, "its embeddings are of the size that the start reads"
    same = config_of(start, chosen, 3, start_architecture=ARCHITECTURE)
    assert (other.start, other.start_from, other.recipe, other.epochs) == ("pretrained", "", "fine-tune", 3)
    assert (same.start, same.start_from, same.architecture, same.sampler) == ("version", "/m", "", "square-root")


# ---- run -------------------------------------------------------------------------------------------------------------

SPY = """
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from training.__main__ import main
status = main(sys.argv[2:])
open(sys.argv[1], "w").write("\\n".join(opened))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def swept(colour_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole sweep in a process of its own that wrote down each file it opened; not written to afterwards."""
    root = Path(shutil.copytree(colour_run, tmp_path_factory.mktemp("sweep") / "run"))
    command = [sys.executable, "-c", SPY, str(root / "opened.txt"), "sweep", str(root), *WORDS]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.long
def test_no_byte_of_the_test_part_is_read_before_the_best_is_published(swept: Path) -> None:
    _, lines = read_manifest(swept / "manifest.jsonl.gz")
    pictures = Pictures.read(swept)
    parts: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        parts[line.part].add(str(pictures.path_of(line)))
    opened = (swept / "opened.txt").read_text().splitlines()
    published = max(place for place, name in enumerate(opened) if ".learned.json" in name)
    assert parts["train"] <= set(opened[:published]) and parts["validation"] <= set(opened[:published])
    assert not parts["test"] & set(opened[:published]), "a trial looked at the test part"
    assert parts["test"] <= set(opened[published:]), "what was published is evaluated on it"


@pytest.mark.long
def test_the_best_by_validation_is_published_once_with_a_table_of_all(swept: Path) -> None:
    report = read_report(swept / "report.json")
    assert [one.epochs for one in report.trials] == [9, 3, 3, 3]
    chosen = [one for one in report.trials if one.was_chosen]
    assert [one.epochs for one in chosen] == [9]
    first = [one for one in report.trials if one.epochs == 3]
    assert chosen[0].number == max(first, key=lambda one: (one.balanced_accuracy or 0, -(one.loss or 0))).number
    assert report.configuration["recipe"] == "fine-tune" and report.configuration["epochs"] == 9
    assert any("the best of 3 settings by balanced-accuracy" in note for note in report.notes)
    assert (swept / "model" / "card.json").exists()
    kept = [path for path in (swept / "sweep").glob("*/checkpoint") if path.exists()]
    assert len(kept) == 1, "a checkpoint is large, and only that of the best is of use"
    progress = [json.loads(line) for line in (swept / "progress.jsonl").read_text().splitlines()]
    assert [one["epoch"] for one in progress if one["kind"] == "epoch"] == [1, 2, 3, 4]
    under_way = {one["stage"].partition(",")[0] for one in progress if one["kind"] == "step"}
    assert under_way and all(one.endswith(" of 4)") for one in under_way), "how far the whole sweep is"


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[TrialReport]:
    """What would be published; exporting it is the longest part of a sweep and not what these tests are about."""
    found: list[TrialReport] = []

    def stop(state: Any, best: TrialReport) -> None:
        found.append(best)
        raise Cancelled("enough")

    monkeypatch.setattr(sweeping, "_published", stop)
    return found


def trials_of(run_folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((run_folder / "sweep.json").read_text())["trials"])


@pytest.mark.long
def test_a_sweep_that_was_stopped_goes_on_where_it_was(
    run_folder: Path, chosen: list[TrialReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[int, int]] = []
    real = sweeping._measured

    def stops_at_the_third(state: Any, number: int, epochs: int) -> Any:
        tried.append((number, epochs))
        if len(tried) == 3:
            raise Cancelled("it was asked to stop")
        return real(state, number, epochs)

    monkeypatch.setattr(sweeping, "_measured", stops_at_the_third)
    assert main(["sweep", str(run_folder), *WORDS]) == 5
    assert not chosen
    assert main(["sweep", str(run_folder), *WORDS]) == 5
    assert tried[:4] == [(0, 3), (1, 3), (2, 3), (2, 3)], "what was done is not done again"
    assert len(tried) == 5 and len(trials_of(run_folder)) == 4 and chosen[0].epochs == 9


@pytest.mark.long
def test_a_trial_that_cannot_be_carried_out_is_its_own_affair(run_folder: Path, chosen: list[TrialReport]) -> None:
    space = json.dumps({"architecture": ["", "no_such_network"]})
    main(["sweep", str(run_folder), *WORDS, f"sweep={space}", "epochs=5"])
    states = {one["settings"].get("architecture", ""): one for one in trials_of(run_folder)}
    assert states["no_such_network"]["state"] == "failed" and "no_such_network" in states["no_such_network"]["reason"]
    assert chosen[0].settings == {}


def test_a_sweep_ends_at_its_time_with_the_best_so_far(run_folder: Path, chosen: list[TrialReport]) -> None:
    main(["sweep", str(run_folder), *WORDS, "minutes=0.0001"])
    assert len(trials_of(run_folder)) == 1
    assert chosen[0].epochs == 3


@pytest.mark.long
def test_a_trial_under_way_ends_with_the_time_of_the_sweep_and_is_tried_again_with_more(
    run_folder: Path, chosen: list[TrialReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Stop.within
    times: list[float] = []

    def over_at_once_from_the_second_on(self: Stop, seconds: float) -> Stop:
        times.append(seconds)
        return real(self, seconds if len(times) == 1 else 0.0)

    with monkeypatch.context() as patched:
        patched.setattr(Stop, "within", over_at_once_from_the_second_on)
        main(["sweep", str(run_folder), *WORDS, "minutes=5"])
    assert times[0] == math.inf and 0 < times[1] < 300, "one is always carried to its end"
    states = [(one["state"], one["reason"]) for one in trials_of(run_folder)]
    assert states[0] == ("done", "")
    assert set(states[1:]) == {("out-of-time", "the sweep's 5 minutes were over in the middle of it")}
    main(["sweep", str(run_folder), *WORDS, "minutes=60"])
    assert {one["state"] for one in trials_of(run_folder)} == {"done"}
    assert [one.epochs for one in chosen] == [3, 9]


def test_a_head_is_tried_too_where_there_is_one_to_begin_from(run_folder: Path, colour_model: Path) -> None:
    space = 'sweep={"recipe": ["head"], "imbalance": ["plain", "balanced"]}'
    assert (
        main(
            [
                "sweep",
                str(run_folder),
                f"start_from={colour_model}",
                space,
                "trials=4",
                "device=cpu",
                "threads=1",
                "workers=1",
            ]
        )
        == 0
    )
    trials = read_report(run_folder / "report.json").trials
    heads = [one for one in trials if one.settings.get("recipe") == "head" and one.state == "done"]
    assert len(heads) == 3 and sum(one.was_chosen for one in heads) == 1
    assert any(one.state == "failed" for one in trials), "that folder has no weights to fine-tune"
