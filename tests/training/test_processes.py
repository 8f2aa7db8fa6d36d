"""Real training processes: killed, asked to stop, and two of them together."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from classifier.card import WEIGHTS, file_digest
from tests.training.conftest import TINY_WORDS

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
WORDS = [*TINY_WORDS, "epochs=6", "learning_rate=0.01"]
GENTLE = [*WORDS, "batch_size=16", "learning_rate=0.003", "epochs=10"]
"""Half a batch for each of two processes: on 4 images BatchNorm's statistics at that rate sometimes learn nothing."""


def start(folder: Path, *, words: Sequence[str] = WORDS) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training", "train", str(folder), *words]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what it says until these words."""
    said = []
    for line in process.stderr or ():
        said.append(line)
        if words in line:
            return
    raise AssertionError("".join(said))


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def facts(folder: Path) -> dict[str, Any]:
    """The report, without how quick this machine was and the digest that dates from that."""
    report = json.loads((folder / "report.json").read_text())
    return {key: value for key, value in report.items() if key not in ("speed", "version")}


def test_killed_and_asked_to_stop_a_run_still_ends_in_the_same_report(run_folder: Path) -> None:
    whole = Path(shutil.copytree(run_folder, run_folder.with_name("whole")))
    assert finish(start(whole)) == 0
    killed = start(run_folder)
    until(killed, "epoch 1 of 6")
    killed.kill()
    assert finish(killed) == -signal.SIGKILL and not (run_folder / "ended.json").exists()
    asked = start(run_folder)
    until(asked, "epoch 3 of 6")
    asked.send_signal(signal.SIGTERM)
    assert finish(asked) == 5
    assert json.loads((run_folder / "ended.json").read_text())["state"] == "cancelled"
    assert finish(start(run_folder)) == 0
    assert (run_folder / "progress.jsonl").read_text().count("resumed at step") == 2
    assert file_digest(run_folder / "model" / WEIGHTS) == file_digest(whole / "model" / WEIGHTS)
    assert facts(run_folder) == facts(whole)


def test_two_processes_learn_what_one_learns(run_folder: Path) -> None:
    alone = Path(shutil.copytree(run_folder, run_folder.with_name("alone")))
    assert finish(start(alone, words=GENTLE)) == 0
    together = start(run_folder, words=[*GENTLE, "--processes", "2"])
    assert finish(together) == 0
    assert "2 processes" in (run_folder / "progress.jsonl").read_text()
    one, two = (json.loads((folder / "report.json").read_text())["metrics"] for folder in (alone, run_folder))
    # Each process has BatchNorm statistics of its own half batches, so equal is not to be expected.
    assert abs(one["accuracy"]["value"] - two["accuracy"]["value"]) <= 0.25
    assert abs(one["log_loss"]["value"] - two["log_loss"]["value"]) <= 0.5


def test_two_processes_end_with_the_status_of_the_run(run_folder: Path) -> None:
    together = start(run_folder, words=[*WORDS, "epochs=1", "learning_rate=1000", "--processes", "2"])
    assert finish(together) == 4, "torchrun itself says 1 for whatever a process says"
    assert json.loads((run_folder / "ended.json").read_text())["state"] == "learned-nothing"
