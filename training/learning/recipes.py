"""The recipes by name: each turns a task into a draft of a model folder, or raises that nothing was learned."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ModelError
from training.contract import Progress, with_imbalance
from training.learning.embeddings import embed
from training.learning.examples import Examples
from training.learning.fine_tune import Task, Trained, fine_tune, two_stage
from training.learning.head import Chosen, Embeddings, fit_best_head
from training.learning.learned_nothing import reason_of
from training.learning.samplers import exposure_words
from training.learning.stopping import LearnedNothing
from training.learning.sweep import sweep
from training.publishing.publish import Draft, draft_head, draft_network


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recipe made: a draft, and facts for the run's own record."""

    draft: Draft
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LearnedHead:
    """A last layer with its validation answers, before anything is made of it."""

    chosen: Chosen
    logits: NDArray[np.float32]
    watched: Examples


def learned_head(task: Task) -> LearnedHead:
    """The last layer on embeddings; raises that nothing was learned."""
    if task.start.folder is None:
        raise ModelError("recipe=head needs start=version or start=run")
    train = _embedded(task, "train")
    validation = _embedded(task, "validation")
    task.stop.check()
    task.folder.stage("training", f"the last layer on {len(train.examples)} embeddings, {task.machine.words}")
    if task.config.sampler != "natural":
        task.folder.log(exposure_words(train.examples.truth, task.config.sampler))
    begun = time.monotonic()
    chosen = fit_best_head(train, validation, task.config, classes=len(task.data.labels), device=task.machine.device)
    made, seconds = chosen.head, time.monotonic() - begun
    _say(task, chosen, len(train.examples) * len(made.tried) * len(chosen.tried) / seconds)
    logits, watched = made.logits(validation.vectors), validation.examples
    _refuse_nothing(logits, watched.truth, made.logits(train.vectors), train.examples.truth)
    return LearnedHead(chosen, logits, watched)


def head(task: Task) -> Outcome:
    """Only the last layer, on embeddings."""
    return made_of(task, learned_head(task))


def made_of(task: Task, learned: LearnedHead) -> Outcome:
    """The draft with that last layer."""
    chosen = learned.chosen
    history = [
        {"way": way, "decay": one.decay, "train_loss": one.train_loss, **_plain(one.validation)}
        for way, head in chosen.tried.items()
        for one in head.tried
    ]
    words = "the network before the last layer is that of the start, the last layer is new"
    facts = {"start": words, "history": history, "notes": [chosen.words] if chosen.words else []}
    settled = replace(task, config=with_imbalance(task.config, chosen.way))
    return Outcome(draft_head(settled, chosen.head, learned.logits, learned.watched), facts)


def whole(learn: Callable[[Task], Trained]) -> Callable[[Task], Outcome | None]:
    """A recipe that trains the network itself; of several processes only the leading one makes the draft."""

    def recipe(task: Task) -> Outcome | None:
        trained = learn(task)
        _refuse_nothing(trained.logits, trained.watched.truth, None, None)
        if not task.machine.leads:
            return None
        facts = {"start": trained.words, "history": trained.history}
        return Outcome(draft_network(task, trained), facts)

    return recipe


RECIPES: Mapping[str, Callable[[Task], Outcome | None]] = {
    "head": head,
    "fine-tune": whole(fine_tune),
    "two-stage": whole(two_stage),
    "sweep": sweep,
}


def _embedded(task: Task, part: str) -> Embeddings:
    examples = task.data.train if part == "train" else task.data.validation
    folder = task.start.folder
    if not len(examples) or folder is None:
        return Embeddings(examples, np.zeros((0, task.start.card.embedding_size), np.float32))
    found = embed(examples.lines, task.data.pictures, folder, task.folder, str(task.machine.device))
    return Embeddings(examples.only(found.positions), found.vectors)


def _refuse_nothing(
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    train_logits: NDArray[np.float32] | None,
    train_truth: NDArray[np.int64] | None,
) -> None:
    """By the validation part; where there is none, by the training part if its answers are known."""
    if len(truth):
        reason = reason_of(logits, truth)
    elif train_logits is not None and train_truth is not None:
        reason = reason_of(train_logits, train_truth)
    else:
        reason = ""
    if reason:
        raise LearnedNothing(reason)


def _say(task: Task, chosen: Chosen, rate: float) -> None:
    every = [(way, one) for way, head in chosen.tried.items() for one in head.tried]
    for number, (way, one) in enumerate(every, start=1):
        found = one.validation
        said = replace(
            Progress(kind="epoch", at=time.time(), stage="training", images_per_second=rate),
            epoch=number,
            epochs=len(every),
            train_loss=one.train_loss,
            validation_loss=found.loss if found else None,
            accuracy=found.accuracy if found else None,
            balanced_accuracy=found.balanced_accuracy if found else None,
            macro_f1=found.macro_f1 if found else None,
            best=one is chosen.head.best,
            device=task.machine.words,
            text=f"weight decay {one.decay:g}" + (f", {way}" if len(chosen.tried) > 1 else ""),
        )
        task.folder.say(said)
    if chosen.words:
        task.folder.log(chosen.words)


def _plain(measures: Any) -> dict[str, Any]:
    return asdict(measures) if measures is not None else {}
