"""`python -m training sweep RUN_FOLDER [key=value ...]`: many settings on one snapshot, the best of them published.

The same as recipe=sweep. Each trial is a small run in `sweep/`; on each rung a third of them goes on with three times
the epochs. `sweep.json` keeps what is done, so that a sweep that was killed goes on. No trial looks at the test part:
only what is published is evaluated on it, once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.errors import ClassifierError, ModelError
from training.contract import ConfigError, Progress, TrialReport, as_values
from training.contract.space import rungs, survivors
from training.learning.measures import Measures, judged_by, measure
from training.learning.stopping import Cancelled, LearnedNothing
from training.learning.sweep_plan import Settings, config_of, draw, ranked, words_of
from training.run_folder import RunFolder, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from training.learning.examples import Examples
    from training.learning.fine_tune import Task, Trained
    from training.learning.recipes import Outcome

FOLDER, STATE = "sweep", "sweep.json"
DONE, NOTHING, FAILED, OUT_OF_TIME = "done", "learned-nothing", "failed", "out-of-time"
_IDLE: Mapping[str, Any] = {"device": "", "threads": 0, "workers": 0, "name": "", "minutes": 0.0}


@dataclass(frozen=True)
class _TrialFolder(RunFolder):
    """The folder of one trial, whose steps are heard in the sweep's own folder too."""

    above: RunFolder | None = None
    words: str = ""

    def say(self, said: Progress) -> None:
        RunFolder.say(self, said)
        if self.above is None:
            return
        if said.kind in ("step", "work"):
            self.above.say(replace(said, stage=f"{self.words}, {said.stage}"))
        elif said.kind == "epoch" and said.validation_loss is not None:
            self.above.log(f"{self.words}: epoch {said.epoch} of {said.epochs}, loss {said.validation_loss:.3f}")


class _OutOfTime(Exception):
    """The sweep's time was over before a trial was."""


@dataclass
class _Sweep:
    """A sweep: what is drawn, what came of each trial by number and epochs, and the `place` of the one under way."""

    task: Task
    drawn: list[Settings]
    results: dict[tuple[int, int], TrialReport] = field(default_factory=dict)
    place: str = ""

    @property
    def path(self) -> Path:
        return self.task.folder.root / STATE

    @property
    def identity(self) -> str:
        """Other settings or other images make it another sweep."""
        data = self.task.data
        settings = {**as_values(self.task.config), **_IDLE}
        seen = [[line.sha256 for line in part.lines] for part in (data.train, data.validation)]
        text = json.dumps([settings, data.labels.keys, seen, self.task.start.parent])
        return hashlib.sha256(text.encode()).hexdigest()

    def restore(self) -> None:
        if not self.path.exists():
            return
        saved = json.loads(self.path.read_text(encoding="utf-8"))
        if saved["identity"] != self.identity:
            self.task.folder.log("the trials here are of other settings or images: the sweep begins anew")
            shutil.rmtree(self.task.folder.root / FOLDER, ignore_errors=True)
            return
        for values in saved["trials"]:
            found = TrialReport(**values)
            self.results[found.number, found.epochs] = found
        self.task.folder.log(f"{len(self.results)} trials are done already")

    def keep(self, result: TrialReport) -> None:
        self.results[result.number, result.epochs] = result
        trials = [asdict(one) for one in self.results.values()]
        write_json(self.path, {"identity": self.identity, "drawn": self.drawn, "trials": trials})
        self._forget_all_but_the_best()

    @property
    def seconds_left(self) -> float:
        """Until the time is over; that of processes that were killed in mid-trial does not count.

        Without end where there is no limit, and until there is one trial that could be published.
        """
        limit = self.task.config.minutes
        if not limit or self.best() is None:
            return math.inf
        return max(0.0, 60 * limit - sum(one.seconds for one in self.results.values()))

    def is_done(self, number: int, epochs: int) -> bool:
        """One that ran out of time is tried again by a sweep that was given more."""
        found = self.results.get((number, epochs))
        return found is not None and found.state != OUT_OF_TIME

    def forget_what_is_not_due(self, epochs: int, numbers: Sequence[int]) -> None:
        """With more time others may come to this rung than those that ran out of time on it."""
        for number, reached in list(self.results):
            if reached == epochs and number not in numbers and not self.is_done(number, epochs):
                del self.results[number, epochs]

    def score(self, one: TrialReport) -> tuple[int, float, float]:
        measures = Measures(
            one.loss or 0.0, one.accuracy or 0.0, one.balanced_accuracy or 0.0, one.macro_f1 or 0.0, 0, 0
        )
        return one.number, measures.of(judged_by(self.task.config)), one.loss or 0.0

    def best_of(self, epochs: int) -> TrialReport | None:
        done = {one.number: one for one in self.results.values() if one.epochs == epochs and one.state == DONE}
        order = ranked([self.score(one) for one in done.values()])
        return done[order[0]] if order else None

    def best(self) -> TrialReport | None:
        """Of those that went furthest, and of the heads, which are whole from the start."""
        reached = max((one.epochs for one in self.results.values() if one.state == DONE), default=0)
        found = [one for one in (self.best_of(reached), self.best_of(0)) if one is not None]
        order = ranked([self.score(one) for one in found])
        return next((one for one in found if order and one.number == order[0]), None)

    def _forget_all_but_the_best(self) -> None:
        """A checkpoint is three networks large."""
        reached = max((one.epochs for one in self.results.values() if one.state == DONE), default=0)
        kept = self.best_of(reached)
        for one in self.results.values():
            if one is not kept:
                shutil.rmtree(self.folder_of(one.number, one.epochs).checkpoint, ignore_errors=True)

    def folder_of(self, number: int, epochs: int) -> RunFolder:
        words = f"trial {number + 1}" + (f" ({self.place})" if self.place else "")
        main = self.task.folder
        return _TrialFolder(main.root / FOLDER / f"{number + 1:02}-{epochs}", main.quiet, main, words)


def sweep(task: Task) -> Outcome:
    """Try, choose by validation, and make the draft of the best."""
    if task.machine.world > 1:
        raise ModelError("recipe=sweep runs in one process: start it without torchrun.")
    if not len(task.data.validation):
        raise ModelError("recipe=sweep chooses by the validation part, and this snapshot has none.")
    state = _Sweep(task, [*draw(task.config), *_head_trial(task)])
    state.restore()
    _try_all(state)
    best = state.best()
    if best is None:
        raise _no_trial_was_good(state)
    task.folder.log(f"the best by validation is trial {best.number + 1}: {words_of(best.settings)}")
    return _published(state, best)


def _head_trial(task: Task) -> list[Settings]:
    """A last layer alone costs seconds, and is often hard to beat with few images."""
    return [{"recipe": "head"}] if task.start.folder is not None else []


def _try_all(state: _Sweep) -> None:
    task, drawn = state.task, state.drawn
    numbers = [number for number, settings in enumerate(drawn) if settings.get("recipe") != "head"]
    heads = [number for number in range(len(drawn)) if number not in numbers]
    steps = rungs(task.config.epochs, max(1, len(numbers)))
    of, done = len(heads) + _count(len(numbers), len(steps)), 0
    words = f"{len(drawn)} settings, judged by {judged_by(task.config)} on the validation part, {task.machine.words}"
    task.folder.stage("trying", words, of=of)
    for number in heads:
        done = _one(state, number, 0, done, of)
    for epochs in steps:
        state.forget_what_is_not_due(epochs, numbers)
        for number in numbers:
            if not state.seconds_left:
                task.folder.log(f"the time of {task.config.minutes:g} minutes is over: nothing more is tried")
                return
            done = _one(state, number, epochs, done, of)
        there = [state.results[number, epochs] for number in numbers]
        good = ranked([state.score(one) for one in there if one.state == DONE])
        numbers = good[: survivors(len(there))]


def _count(trials: int, steps: int) -> int:
    total = 0
    for _ in range(steps):
        total += trials
        trials = survivors(trials)
    return total


def _one(state: _Sweep, number: int, epochs: int, done: int, of: int) -> int:
    """One trial, unless it is done already; what goes wrong in it is its own."""
    state.task.stop.check()
    state.place = f"{done + 1} of {of}"
    if not state.is_done(number, epochs):
        settings, begun = state.drawn[number], time.monotonic()
        state.task.folder.log(f"trial {number + 1}, {epochs or 'no'} epochs: {words_of(settings)}")
        plain = TrialReport(number, settings, epochs, FAILED)
        try:
            found = _measured(state, number, epochs)
            result = replace(
                plain,
                state=DONE,
                loss=found.loss,
                accuracy=found.accuracy,
                balanced_accuracy=found.balanced_accuracy,
                macro_f1=found.macro_f1,
            )
        except LearnedNothing as error:
            result = replace(plain, state=NOTHING, reason=str(error))
        except _OutOfTime:
            reason = f"the sweep's {state.task.config.minutes:g} minutes were over in the middle of it"
            result = replace(plain, state=OUT_OF_TIME, reason=reason)
        except (ClassifierError, ConfigError, RuntimeError) as error:  # the last one is torch's: no memory, odd shapes
            result = replace(plain, reason=str(error).partition("\n")[0][:400])
        state.keep(replace(result, seconds=math.ceil(10 * (time.monotonic() - begun)) / 10))
    _say(state, state.results[number, epochs], done + 1, of)
    return done + 1


def _task_of(state: _Sweep, number: int, epochs: int) -> Task:
    from training.learning.start import find_start

    task = state.task
    architecture = task.start.card.architecture
    config = config_of(task.config, state.drawn[number], max(1, epochs), start_architecture=architecture)
    is_same = (config.start, config.start_from, config.architecture) == (
        task.config.start,
        task.config.start_from,
        task.config.architecture,
    )
    folder = state.folder_of(number, epochs)
    _make_ready(task.folder, folder)
    return replace(task, config=config, folder=folder, start=task.start if is_same else find_start(config))


def _make_ready(main: RunFolder, folder: RunFolder) -> None:
    """A folder over the same images; all trials share what is made of them."""
    folder.root.mkdir(parents=True, exist_ok=True)
    main.cache.mkdir(exist_ok=True)
    there = [path for path in (main.manifest, main.pictures, main.embeddings, main.cache) if path.exists()]
    for path in there:
        link = folder.root / path.name
        if not link.is_symlink():
            link.symlink_to(path.resolve(), target_is_directory=path.is_dir())


def _measured(state: _Sweep, number: int, epochs: int) -> Measures:
    from training.learning.learned_nothing import reason_of

    task = _task_of(state, number, epochs)
    stop = task.stop.within(state.seconds_left)
    try:
        logits, watched = _learned(replace(task, stop=stop))
    except Cancelled as stopped:
        if task.stop.asked or not stop.is_late:
            raise
        raise _OutOfTime from stopped
    # On a low rung a network may not have come far yet, which is no reason to give it up before others.
    reason = reason_of(logits, watched.truth) if epochs in (0, state.task.config.epochs) else ""
    if reason:
        raise LearnedNothing(reason)
    return measure(logits, watched.truth)


def _learned(task: Task) -> tuple[NDArray[np.float32], Examples]:
    """What the trial's network says of the pictures that are watched."""
    if task.config.recipe == "head":
        from training.learning.recipes import learned_head

        learned = learned_head(task)
        return learned.logits, learned.watched
    trained = _trained(task)
    return trained.logits, trained.watched


def _trained(task: Task) -> Trained:
    from training.learning.fine_tune import fine_tune, two_stage

    return two_stage(task) if task.config.recipe == "two-stage" else fine_tune(task)


def _published(state: _Sweep, best: TrialReport) -> Outcome:
    """The draft of the best; its network is in its checkpoint, so that nothing is learned again."""
    from training.learning.learned_nothing import reason_of
    from training.learning.recipes import Outcome, learned_head, made_of
    from training.publishing.publish import draft_network

    task = _task_of(state, best.number, best.epochs)
    into = replace(task, folder=state.task.folder)
    judged = judged_by(state.task.config)
    note = f"the best of {len(state.drawn)} settings by {judged} on the validation part: {words_of(best.settings)}"
    table = [replace(one, was_chosen=one is best) for one in _in_order(state)]
    if task.config.recipe == "head":
        # Learned in the trial's own folder: in the sweep's, an epoch is a trial.
        made = made_of(into, learned_head(task))
        facts = {**made.facts, "notes": [note, *made.facts.get("notes", ())], "trials": table}
        return Outcome(made.draft, facts)
    trained = _trained(task)
    reason = reason_of(trained.logits, trained.watched.truth)
    if reason:
        raise LearnedNothing(reason)
    facts = {"start": trained.words, "history": trained.history, "notes": [note], "trials": table}
    return Outcome(draft_network(into, trained), facts)


def _in_order(state: _Sweep) -> Iterator[TrialReport]:
    """Those that went furthest first, each by its score."""
    for epochs in sorted({one.epochs for one in state.results.values()}, key=lambda epochs: -(epochs or 10**9)):
        there = {one.number: one for one in state.results.values() if one.epochs == epochs}
        good = ranked([state.score(one) for one in there.values() if one.state == DONE])
        yield from (there[number] for number in good)
        yield from (one for one in there.values() if one.state != DONE)


def _no_trial_was_good(state: _Sweep) -> Exception:
    reasons = "; ".join(dict.fromkeys(one.reason for one in state.results.values()))
    if any(one.state == NOTHING for one in state.results.values()):
        return LearnedNothing(f"not one of {len(state.results)} trials learned anything: {reasons}")
    return ModelError(f"not one of {len(state.results)} trials could be carried out: {reasons}")


def _say(state: _Sweep, one: TrialReport, done: int, of: int) -> None:
    """An epoch of the sweep is a trial, so that its curve shows what each was worth."""
    best = state.best()
    words = words_of(one.settings) + (f": {one.state}, {one.reason}" if one.state != DONE else "")
    state.task.folder.say(
        Progress(
            kind="epoch",
            at=time.time(),
            stage="trying",
            text=f"trial {one.number + 1}, {one.epochs} epochs, {words}",
            epoch=done,
            epochs=of,
            device=state.task.machine.words,
            validation_loss=one.loss,
            accuracy=one.accuracy,
            balanced_accuracy=one.balanced_accuracy,
            macro_f1=one.macro_f1,
            best=best is not None and (best.number, best.epochs) == (one.number, one.epochs),
        )
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a run folder, with manifest and pictures.json")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="such as trials=9 minutes=60 sweep=JSON")


def run(arguments: argparse.Namespace) -> int:
    from training.train import train

    return train(arguments.folder, [*arguments.settings, "recipe=sweep"])
