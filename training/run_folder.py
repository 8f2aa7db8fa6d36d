"""The folder of a run: its files by name, written so that a reader sees a whole file or none."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.contract import EXIT_STATUS, Ended, Progress, ended_text, progress_text


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run. `quiet` is for the helpers of a run on many devices: one of them speaks."""

    root: Path
    quiet: bool = False

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def manifest(self) -> Path:
        """The manifest, gzipped or plain."""
        plain = self.root / "manifest.jsonl"
        return plain if plain.exists() else self.root / "manifest.jsonl.gz"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures.json"

    @property
    def embeddings(self) -> Path:
        return self.root / "embeddings.npz"

    @property
    def progress(self) -> Path:
        return self.root / "progress.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def ended(self) -> Path:
        return self.root / "ended.json"

    def say(self, said: Progress) -> None:
        """Append one line of progress, at once visible to whoever follows; what people want to read goes to stderr."""
        if self.quiet:
            return
        with self.progress.open("a", encoding="utf-8") as file:
            file.write(progress_text(said))
        if words := _words(said):
            sys.stderr.write(f"{words}\n")

    def log(self, text: str) -> None:
        self.say(Progress(kind="log", at=time.time(), text=text))

    def stage(self, stage: str, text: str = "", *, of: int = 0) -> None:
        """A new part of the work begins."""
        self.say(Progress(kind="stage", at=time.time(), stage=stage, text=text, of=of))

    def mend_progress(self) -> None:
        """Drop the half line that a kill may have left, so that the next one begins a line."""
        if self.progress.exists():
            data = self.progress.read_bytes()
            if data and not data.endswith(b"\n"):
                write_bytes(self.progress, data[: data.rfind(b"\n") + 1])

    def end(self, state: str, reason: str) -> int:
        """Write how the run ended; returns the exit status that says the same."""
        ended = Ended(state, reason, EXIT_STATUS[state])  # type: ignore[arg-type]
        if not self.quiet:
            write_text(self.ended, ended_text(ended))
        return ended.exit


@dataclass(frozen=True)
class StageFolder(RunFolder):
    """The folder of one stage of a run, which is heard in the run's own; `later`: images to learn from after it."""

    above: RunFolder | None = None
    words: str = ""
    later: int = 0

    def say(self, said: Progress) -> None:
        if self.above is None:
            return
        left = said.seconds_left
        if left is not None and said.images_per_second:
            left += self.later / said.images_per_second
        stage = f"{self.words}, {said.stage}" if said.stage else ""
        self.above.say(replace(said, stage=stage, seconds_left=left))


def borrowed(folder: RunFolder, beside: Path, *, is_fresh: bool = False) -> RunFolder:
    """A folder with words of its own over the same images; `is_fresh`: without what is already made of them."""
    made = [] if is_fresh else [path for path in (folder.embeddings,) if path.exists()]
    for path in (folder.manifest, folder.pictures, *made):
        (beside / path.name).symlink_to(path.resolve())
    if not is_fresh:
        folder.cache.mkdir(exist_ok=True)
        (beside / "cache").symlink_to(folder.cache.resolve())
    return RunFolder(beside)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Write beside, make durable, then replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _words(said: Progress) -> str:
    if said.kind == "epoch":
        parts = [f"epoch {said.epoch} of {said.epochs}"]
        parts += [f"train loss {said.train_loss:.3f}"] if said.train_loss is not None else []
        parts += [f"validation loss {said.validation_loss:.3f}"] if said.validation_loss is not None else []
        parts += [f"accuracy {said.accuracy:.3f}"] if said.accuracy is not None else []
        parts += [f"{said.images_per_second:.0f} images/s"] if said.images_per_second else []
        parts += ["best so far"] if said.best else []
        return ", ".join(parts)
    if said.kind == "stage":
        return f"{said.stage}: {said.text}" if said.text else said.stage
    return said.text
