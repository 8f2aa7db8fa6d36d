"""The whole network learns: the start's features, a new last layer, deeper layers more gently; and in two stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from classifier.card import Card
from training.contract import RunConfig, as_values, first_stage, second_stage
from training.learning.cache import Inputs, SmallCopies, fill, inputs_of, side_of
from training.learning.embeddings import embed
from training.learning.examples import Data, Examples, gather
from training.learning.freezing import trainable
from training.learning.head import Embeddings, fit_head
from training.learning.learner import Learner
from training.learning.loader import Loader
from training.learning.loop import Loop
from training.learning.losses import make_loss
from training.learning.machine import Machine, in_pieces, processors
from training.learning.samplers import exposure_words
from training.learning.schedules import Schedule
from training.learning.start import Built, Start, build_network
from training.learning.stopping import Stop
from training.run_folder import RunFolder, StageFolder

_EMBEDDING_BATCH = 64


@dataclass(frozen=True, slots=True)
class Task:
    """What a recipe is given. `start` is where it begins, `data` what it may look at."""

    config: RunConfig
    folder: RunFolder
    machine: Machine
    data: Data
    start: Start
    stop: Stop

    @property
    def workers(self) -> int:
        """Threads for pictures."""
        return self.config.workers or processors()


@dataclass(frozen=True, slots=True)
class Trained:
    """What a recipe hands over: a network (on the CPU, in service mode) with its card, and its validation answers."""

    network: nn.Module
    card: Card
    logits: NDArray[np.float32]
    watched: Examples
    words: str
    history: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything set up for the first step."""

    built: Built
    learner: Learner
    loader: Loader
    validation: Inputs
    watched: Examples


def learner_of(task: Task) -> Ready:
    """The network, its optimiser and its pictures, as the config says."""
    config, machine, folder = task.config, task.machine, task.folder
    built = build_network(task.start, task.data.labels, config)
    folder.log(f"starts from {task.start.words}: {built.words}")
    loader, validation, watched = _pictures(task, built.card)
    built = _with_warm_head(task, built, loader)
    schedule = Schedule(config, loader.epoch_steps * config.epochs, loader.epoch_steps)
    if config.sampler != "natural":
        folder.log(exposure_words(loader.examples.truth, config.sampler))
    loss = make_loss(config, loader.examples.counts(len(task.data.labels)), machine.device)
    learner = Learner(built.network, built.card, config, machine, schedule, loss)
    return Ready(built, learner, loader, validation, watched)


def fine_tune(task: Task) -> Trained:
    """Train the whole network, or what the config leaves free of it."""
    config, folder = task.config, task.folder
    ready = learner_of(task)
    learner, watched = ready.learner, ready.watched
    learning, whole = trainable(ready.built.network)
    folder.stage("training", f"{learning:,} of {whole:,} parameters learn, {task.machine.words}", of=config.epochs)
    identity = _identity(task, ready.loader.examples, ready.validation)
    loop = Loop(learner, ready.loader, ready.validation, watched.truth, config, folder, task.stop, identity)
    loop.run()
    logits = loop.predict_validation() if len(watched) else np.zeros((0, len(task.data.labels)), np.float32)
    network = learner.best_network.cpu().to(memory_format=torch.contiguous_format).eval()
    return Trained(network, ready.built.card, logits, watched, ready.built.words, loop.state.history)


def two_stage(task: Task) -> Trained:
    """Learn features on a balanced subset of the labels that have enough images, then all labels with a new last layer.

    The first stage is a run of its own in `first-stage`, with its own checkpoints.
    """
    config = task.config
    words, later = "first stage", config.epochs * len(task.data.train)
    folder = StageFolder(task.folder.root / "first-stage", task.folder.quiet, task.folder, words, later)
    folder.root.mkdir(exist_ok=True)
    first = first_stage(config)
    data = gather(task.folder.manifest, task.data.pictures, first)
    task.folder.stage(
        words, f"{len(data.labels)} labels with {first.min_images} or more images, {len(data.train)} images"
    )
    toy = fine_tune(replace(task, config=first, folder=folder, data=data))
    start = Start(
        f"the first stage of this run ({len(data.labels)} labels)",
        replace(toy.card, origin=task.start.card.origin),
        tensors=toy.network.state_dict(),
        parent=task.start.parent,
        new_head=True,
    )
    task.folder.stage("second stage", f"{len(task.data.labels)} labels, {len(task.data.train)} images")
    trained = fine_tune(replace(task, config=second_stage(config), start=start))
    return replace(trained, words=f"first stage: {toy.words}; second stage, which starts from it: {trained.words}")


def _pictures(task: Task, card: Card) -> tuple[Loader, Inputs, Examples]:
    """Training and validation pictures, made ready by the leading process and read by all."""
    config, folder, machine, data = task.config, task.folder, task.machine, task.data
    copies = SmallCopies(folder.cache / "copies", side_of(config, card), data.pictures)
    if not machine.leads:
        machine.wait()
    kept = fill(copies, data.train.lines, folder, task.workers)
    validation = inputs_of(data.validation.lines, data.pictures, card, folder, task.workers)
    if machine.leads:
        machine.wait()
    task.stop.check()
    train = data.train.only(kept)
    loader = Loader(train, copies, card, config, task.workers, machine.rank, machine.world)
    return loader, validation, data.validation.only(validation.positions)


def _with_warm_head(task: Task, built: Built, loader: Loader) -> Built:
    """A new last layer begins as recipe head leaves it, so that a random one does not spoil the features."""
    if built.head != "new" or not task.config.warm_head or task.config.start == "nothing":
        return built
    last: Any = built.network.get_classifier()  # type: ignore[operator]
    if not isinstance(last, nn.Linear):
        return built
    vectors = _vectors(task, built, loader)
    if vectors.vectors.shape[1] != last.in_features:
        return built
    nothing = Embeddings(vectors.examples.only([]), np.zeros((0, last.in_features), np.float32))
    config = replace(task.config, head_decay=task.config.head_decay or 1e-4)
    head = fit_head(vectors, nothing, config, classes=len(task.data.labels), device=task.machine.device)
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(head.weight))
        last.bias.copy_(torch.from_numpy(head.bias))
    return replace(built, card=replace(built.card, normalised_head=True), head="new, begun on the embeddings")


def _vectors(task: Task, built: Built, loader: Loader) -> Embeddings:
    """Embeddings of the training pictures: the stored ones if the start is a model folder, else by the network."""
    if task.start.folder is not None and not task.config.input_size and task.machine.world == 1:
        embedded = embed(
            loader.examples.lines, task.data.pictures, task.start.folder, task.folder, str(task.machine.device)
        )
        return Embeddings(loader.examples.only(embedded.positions), embedded.vectors)
    return Embeddings(loader.examples, _by_network(built, loader, task.machine))


@torch.inference_mode()
def _by_network(built: Built, loader: Loader, machine: Machine) -> NDArray[np.float32]:
    from classifier.network import ServedNetwork
    from classifier.preprocessing import normalisation

    served = ServedNetwork(built.network, built.card).to(machine.device).eval()
    mean, std = (torch.tensor(values, device=machine.device).view(1, 3, 1, 1) for values in normalisation(built.card))

    def vectors(chosen: slice) -> NDArray[np.float32]:
        pixels = torch.from_numpy(loader.plain(range(chosen.start, chosen.stop))).to(machine.device)
        with machine.autocast():
            found = served((pixels.permute(0, 3, 1, 2).float() - mean) / std)[1]
        return np.asarray(nn.functional.normalize(found.float().flatten(1), dim=1).cpu().numpy())

    return np.concatenate(in_pieces(len(loader.examples), _EMBEDDING_BATCH, vectors))


# Settings that may differ between a run and its resumption without making it another run.
_FREE: Mapping[str, Any] = {
    "device": "",
    "threads": 0,
    "workers": 0,
    "name": "",
    "checkpoint_steps": 0,
    "profile_steps": 0,
}


def _identity(task: Task, train: Examples, validation: Inputs) -> str:
    """Names what a checkpoint belongs to: settings, labels and images."""
    settings = {**as_values(task.config), **_FREE}
    images = [line.sha256 for line in train.lines]
    text = json.dumps([settings, task.data.labels.keys, images, train.truth.tolist(), len(validation.positions)])
    return hashlib.sha256(text.encode()).hexdigest()
