"""What a run says while it works, one line each, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from training.contract.manifest import dump, plain

DONE, FAILED, LEARNED_NOTHING, CANCELLED = "done", "failed", "learned-nothing", "cancelled"
EXIT_STATUS = {DONE: 0, FAILED: 1, LEARNED_NOTHING: 4, CANCELLED: 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing a run says.

    `stage`: a new part of the work begins; `work`: `done` of `of` things of the stage; `step`: training goes on;
    `epoch`: an epoch ended, with what validation says; `log`: words. `at` is in seconds since 1970; `epoch` counts from
    1; rates are images per second; `seconds_left` is of the stage. None and 0 mean that nothing is known.
    """

    kind: Literal["stage", "work", "step", "epoch", "log"]
    at: float
    stage: str = ""
    text: str = ""
    done: int = 0
    of: int = 0
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    device: str = ""
    learning_rate: float | None = None
    train_loss: float | None = None
    validation_loss: float | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word of a run."""

    state: Literal["done", "failed", "learned-nothing", "cancelled"]
    reason: str
    exit: int


def progress_text(said: Progress) -> str:
    return dump(plain(said))


def read_progress(text: str) -> Progress:
    """One line of progress.jsonl; raises ValueError for what is none."""
    return Progress(**_known(Progress, text))


def ended_text(ended: Ended) -> str:
    return dump(plain(ended))


def read_ended(text: str) -> Ended:
    """The content of ended.json; raises ValueError for what is none."""
    return Ended(**_known(Ended, text))


def follow(path: Path, *, after: int = 0) -> Iterator[tuple[int, Progress]]:
    """What was said from byte `after` on, each with the byte where the next line begins; a half-written line waits."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(after)
        for line in file:
            if not line.endswith(b"\n"):
                return
            after += len(line)
            yield after, read_progress(line.decode())


def _known(kind: type, text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"no object: {text[:80]}")
    unknown = sorted(values.keys() - {one.name for one in fields(kind)})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {text[:80]}")
    return values
