"""`python -m training trial RUN_FOLDER [key=value ...]`: how long this run will take here, from a few real steps.

Takes some seconds and at most about twenty, whatever the network: fewer images and smaller batches are tried where each
takes long. Writes nothing into the run folder; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.errors import ClassifierError
from training.augmentation.augment import AugmentationError, settled
from training.config import read_config
from training.contract import (
    TEST,
    ConfigError,
    ManifestError,
    Rates,
    RunConfig,
    Workload,
    estimate,
    estimate_values,
    first_stage,
    read_manifest,
    whole_trainings,
)
from training.labels import LabelsError
from training.learning.embeddings import embed, known_digests
from training.learning.examples import Data, Examples, gather
from training.pictures import Pictures, PicturesError
from training.run_folder import RunFolder, borrowed

if TYPE_CHECKING:
    from classifier.card import Card
    from training.learning.learner import Learner
    from training.learning.loader import Loader
    from training.learning.machine import Machine
    from training.learning.start import Start

_SAID = (AugmentationError, ClassifierError, ConfigError, LabelsError, ManifestError, PicturesError, OSError)
_FIRST_IMAGES, _MOST_IMAGES = 8, 160
_COPY_SECONDS, _LEARN_SECONDS, _STEP_SECONDS = 4.0, 6.0, 3.0
_MOST_STEPS = 16
_LEAST_BATCH, _SLOW_PAIR = 8, 8.0
"""A step has costs of its own, so that a smaller batch tells too little of a whole one; seconds where 2 have to do."""
_PROVEN = 8


@dataclass(frozen=True, slots=True)
class _Tried:
    """One folder with a few of its images, and what the whole of it would be."""

    folder: RunFolder
    config: RunConfig
    data: Data


def try_out(folder: RunFolder, config: RunConfig, *, begun: float) -> Rates:
    """Measure; `begun` is when the process started (of `time.monotonic`)."""
    from training.learning.machine import machine_of
    from training.learning.start import find_start

    data = gather(folder.manifest, Pictures.read(folder.pictures), config)
    tried = _Tried(folder, config, data)
    with machine_of(config) as machine:
        start = find_start(config)
        begin = time.monotonic() - begun
        few = _some(data.train, _MOST_IMAGES, config.seed)
        one, loading = (0.0, 0.0) if start.folder is None else _embedding(tried, few, start.folder, str(machine.device))
        size = start.card.embedding_size or 1000
        solve = _solving(tried, size)
        prove = _proving(start)
        if config.recipe == "head":
            return Rates(machine.words, begin + loading, embed=one, prove=prove, solve=solve, spread=0.1)
        copy, kept = _copying(tried, few, start.card)
        prepare, learn, watch, spread = _learning(tried, kept, machine, start)
    return Rates(machine.words, begin, copy, prepare, one, learn, watch, prove, solve, spread)


def _some(examples: Examples, most: int, seed: int) -> Examples:
    order = np.random.default_rng([seed, 7]).permutation(len(examples))
    return examples.only(order[:most])


def _embedding(tried: _Tried, few: Examples, model: Path, device: str) -> tuple[float, float]:
    """Seconds an image by the engine, and once to load it: from a small and a larger number of images."""
    lines = few.lines
    first, rest = lines[:_FIRST_IMAGES], lines[_FIRST_IMAGES : _FIRST_IMAGES + 40]
    short = _timed(lambda: embed(first, tried.data.pictures, model, tried.folder, device))
    if not rest:
        return short / max(1, len(first)), 0.0
    long = _timed(lambda: embed(rest, tried.data.pictures, model, tried.folder, device))
    more = len(rest) - len(first)
    if more <= 0 or long <= short:
        return long / len(rest), 0.0
    one = (long - short) / more
    return one, max(0.0, short - len(first) * one)


def _proving(start: Start) -> float:
    """Seconds a picture by the trained form at f32 on the processor, on noise; 0 for a folder that has no weights."""
    from classifier import backends
    from classifier.card import WEIGHTS

    card = start.card
    if start.folder is None or WEIGHTS not in card.files:
        return 0.0
    exact = replace(card, precision={"torch": "f32"})
    network = backends.load(start.folder, exact, outputs=(card.outputs.scores,), device="cpu", backend="torch")
    noise = np.random.default_rng(0).integers(0, 256, (_PROVEN, *card.input_size, 3), dtype=np.uint8)
    network.run(noise[:2])
    return _timed(lambda: network.run(noise)) / len(noise)


def _solving(tried: _Tried, size: int) -> float:
    """Seconds for one weight decay and a thousand images, on made-up vectors of the size that it will be."""
    import torch

    from training.learning.head import Embeddings, fit_head

    examples = _some(tried.data.train, 1000, tried.config.seed)
    random = np.random.default_rng(tried.config.seed)
    vectors = random.normal(size=(len(examples), size)).astype(np.float32) / size**0.5
    classes = len(tried.data.labels)
    # What an image shows moves its vector, so that the problem has an end as a real one has.
    vectors[:, : min(classes, size)] += np.eye(classes, size, dtype=np.float32)[examples.truth][:, : min(classes, size)]
    config = replace(tried.config, recipe="head", head_decay=1e-4)
    nothing = Embeddings(examples.only([]), np.zeros((0, size), np.float32))
    took = _timed(
        lambda: fit_head(Embeddings(examples, vectors), nothing, config, classes=classes, device=torch.device("cpu"))
    )
    return took * 1000 / max(1, len(examples))


def _copying(tried: _Tried, few: Examples, card: Card) -> tuple[float, Examples]:
    """Seconds for one small copy, and the images that there are copies of."""
    from training.learning.cache import SmallCopies, fill, side_of

    copies = SmallCopies(tried.folder.cache / "copies", side_of(tried.config, card), tried.data.pictures)
    workers = _workers(tried.config)
    first = few.only(range(min(_FIRST_IMAGES, len(few))))
    took = _timed(lambda: fill(copies, first.lines, tried.folder, workers))
    one = took / max(1, len(first))
    more = few.only(range(len(first), min(len(few), len(first) + int(_COPY_SECONDS / max(one, 1e-4)))))
    if len(more):
        took += _timed(lambda: fill(copies, more.lines, tried.folder, workers))
    count = len(first) + len(more)
    return took / max(1, count), few.only(range(count))


def _learning(tried: _Tried, few: Examples, machine: Machine, start: Start) -> tuple[float, float, float, float]:
    """Seconds an image to prepare, to learn, to watch; and the spread of the steps."""
    from training.learning.cache import inputs_of
    from training.learning.fine_tune import Task, learner_of
    from training.learning.start import card_for
    from training.learning.stopping import Stop

    watched = _some(tried.data.validation, 16, tried.config.seed)
    # Of a head of its own nothing is known yet, and it is measured beside.
    config = replace(tried.config, recipe="fine-tune", warm_head=False, batch_size=2, accumulate=1)
    data = replace(tried.data, train=few, validation=watched)
    card = card_for(start, data.labels, config)
    workers = _workers(config)
    prepare = _timed(lambda: inputs_of(watched.lines, data.pictures, card, tried.folder, workers)) / max(
        1, len(watched)
    )
    made = learner_of(Task(config, tried.folder, machine, data, start, Stop()))
    batches = iter(made.loader.epoch(0))
    made.learner.step(next(batches), 0)
    probe = _timed(lambda: float(made.learner.step(next(batches), 1)))
    least = _LEAST_BATCH if probe < _SLOW_PAIR else 2
    wanted = max(least, int(_STEP_SECONDS / max(probe / 2, 1e-4)))
    batch = max(2, min(tried.config.batch_size, len(few) // 2, wanted))
    loader = replace(made.loader, config=replace(config, batch_size=batch))
    times = _steps(made.learner, loader)
    inputs = np.asarray(made.validation.pixels)
    watch = 0.0
    if len(inputs):
        made.learner.predict(inputs[:2])
        watch = _timed(lambda: made.learner.predict(inputs)) / len(inputs)
    learn = an_image(probe, statistics.fmean(times), batch, tried.config.batch_size)
    spread = statistics.stdev(times) / statistics.fmean(times) if len(times) > 2 else 0.3
    return prepare, learn, watch, spread


def an_image(pair: float, step: float, batch: int, whole: int) -> float:
    """Seconds an image in steps of `whole` images, where one of 2 takes `pair` seconds and one of `batch` takes `step`.

    What a step costs whatever its size is at most half of what was measured: a pair may have been slow by chance.
    """
    if not 2 < batch < whole:
        return step / batch
    one = min(step / batch, max(0.5 * step / batch, (step - pair) / (batch - 2)))
    return one + (step - batch * one) / whole


def _steps(learner: Learner, loader: Loader) -> list[float]:
    """Seconds of each step, decoding and all, as a run does them; the first ones only warm up."""
    times: list[float] = []
    until, step, last = time.monotonic() + _LEARN_SECONDS, 2, time.monotonic()
    for epoch in range(1, _MOST_STEPS):
        for batch in loader.epoch(epoch):
            float(learner.step(batch, step))
            now = time.monotonic()
            times.append(now - last)
            step, last = step + 1, now
            if now > until or len(times) > _MOST_STEPS:
                return times[1:] or times
    return times[1:] or times


def _workers(config: RunConfig) -> int:
    from training.learning.machine import processors

    return config.workers or processors()


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def workload_of(folder: RunFolder, config: RunConfig) -> Workload:
    """What the run of this folder has to do; of the test part only the number is looked at."""
    data = gather(folder.manifest, Pictures.read(folder.pictures), config)
    _, lines = read_manifest(folder.manifest)
    test = sum(line.part == TEST for line in lines)
    known = known_digests(folder.embeddings)
    wanted = [*data.train.lines, *(data.validation.lines if config.recipe == "head" else ())]
    first = gather(folder.manifest, data.pictures, first_stage(config)) if config.recipe == "two-stage" else None
    return Workload(
        recipe=config.recipe,
        train=len(data.train),
        validation=len(data.validation),
        test=test,
        missing=sum(line.sha256 not in known for line in wanted),
        epochs=config.epochs,
        first_train=len(first.train) if first else 0,
        tries=whole_trainings(config.sweep, config.trials, config.epochs) if config.recipe == "sweep" else 1.0,
        most_seconds=60 * config.minutes if config.recipe == "sweep" else 0.0,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a run folder, with manifest and pictures.json")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that go before those of the file")


def run(arguments: argparse.Namespace) -> int:
    root: Path = arguments.folder
    try:
        config = settled(read_config(root / "config.yaml", arguments.settings))
        with tempfile.TemporaryDirectory(prefix="osprey-trial-") as beside:
            # Its own copies and words: what is measured shall not be there already, nor be taken for a run's.
            folder = borrowed(RunFolder(root), Path(beside), is_fresh=True)
            rates = try_out(folder, config, begun=_process_began())
        found = estimate(rates, workload_of(RunFolder(root), config))
    except _SAID as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(estimate_values(found, rates)) + "\n")
    return 0


def _process_began() -> float:
    """On the clock of `time.monotonic`: importing the libraries is a part of every run."""
    import psutil

    return time.monotonic() - (time.time() - psutil.Process().create_time())
