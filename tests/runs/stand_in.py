"""Stands in for training where a test is about the site around it: the same folder, progress, signals and endings.

Its behaviour is the `name` of the config: `nothing`, `crash`, `killed`, `wait`, or any other: it learns three epochs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from training.contract import (
    CANCELLED,
    DONE,
    EXIT_STATUS,
    LEARNED_NOTHING,
    Ended,
    Measured,
    Outcome,
    Progress,
    Report,
    digest_of,
    ended_text,
    progress_text,
    report_values,
    write_outcomes,
)

EPOCHS = 3


class Asked(Exception):
    """SIGTERM."""


def main(root: Path) -> int:
    signal.signal(signal.SIGTERM, _ask)
    wish = yaml.safe_load((root / "config.yaml").read_text())["name"]
    try:
        return learn(root, wish)
    except Asked:
        return end(root, CANCELLED, "asked to stop")


def learn(root: Path, wish: str) -> int:
    mark = root / "checkpoint" / "last.json"
    mark.parent.mkdir(exist_ok=True)
    begin = json.loads(mark.read_text())["epoch"] if mark.exists() else 0
    say(root, kind="stage", stage="reading", text=f"from epoch {begin}")
    for epoch in range(begin + 1, EPOCHS + 1):
        say(root, kind="step", stage="training", epoch=epoch, epochs=EPOCHS, step=epoch * 10, steps=30, train_loss=1.0)
        if wish == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if wish == "crash":
            sys.stderr.write("RuntimeError: out of luck\n")
            return 1
        say(
            root,
            kind="epoch",
            stage="training",
            epoch=epoch,
            epochs=EPOCHS,
            train_loss=1 / epoch,
            accuracy=0.5,
            device="CPU",
        )
        mark.write_text(json.dumps({"epoch": epoch}))
        if wish == "wait" and not (root / "go").exists():
            (root / "waiting").write_text(str(os.getpid()))
            while not (root / "go").exists():
                time.sleep(0.02)
    if wish == "nothing":
        return end(root, LEARNED_NOTHING, "It always answers cod, which a coin would do as well.")
    publish(root)
    return end(root, DONE, "published")


def publish(root: Path) -> None:
    shutil.copytree(os.environ["STAND_IN_MODEL"], root / "model", dirs_exist_ok=True)
    metrics = {"accuracy": Measured(0.9, (0.8, 0.97), 12)}
    snapshot = digest_of(root / "manifest.jsonl.gz")
    report = Report("f" * 64, "stand-in", snapshot, "test", images=4, groups=4, labels=("cod", "hake"), metrics=metrics)
    (root / "report.json").write_text(json.dumps(report_values(report)))
    outcome = Outcome(1, "0" * 64, "g", "cod", "cod", score=0.9, truth_score=0.9, truth_rank=1)
    write_outcomes(root / "outcomes-test.jsonl.gz", [outcome])


def say(root: Path, **said: Any) -> None:
    with (root / "progress.jsonl").open("a") as file:
        file.write(progress_text(Progress(at=time.time(), **said)))
    sys.stderr.write(f"{said}\n")


def end(root: Path, state: Any, reason: str) -> int:
    (root / "ended.json").write_text(ended_text(Ended(state, reason, EXIT_STATUS[state])))
    return EXIT_STATUS[state]


def _ask(number: int, frame: object) -> None:
    raise Asked


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[2])))
