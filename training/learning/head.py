"""The last layer alone, learned on embeddings: a convex problem, solved to its end with L-BFGS in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.contract import IMBALANCE, RunConfig, with_imbalance
from training.learning.examples import Examples
from training.learning.losses import Loss, make_loss
from training.learning.measures import Measures, is_better, judged_by, measure
from training.learning.samplers import exposure

# From strong to weak: each begins where the one before ended. On vectors of length 1 the best lies among these.
DECAYS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
DEFAULT_DECAY = 1e-4
TRIED_WAYS = ("plain", "square-root", "logit-adjustment")
BY_LABEL = ("balanced-accuracy", "macro-f1")
_EVEN = 1.5  # labels whose numbers differ by less are alike
_MOST_STEPS = 100
_SMALL = 10**8  # multiplications a step below which more threads only wait for each other


@dataclass(frozen=True, slots=True)
class Tried:
    """One weight decay and what came of it."""

    decay: float
    train_loss: float
    validation: Measures | None


@dataclass(frozen=True, slots=True)
class Head:
    """A last layer for embeddings of length 1: logits = vectors @ weight.T + bias."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    best: Tried
    tried: tuple[Tried, ...]

    def logits(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors @ self.weight.T + self.bias


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Images with their vectors, row by row."""

    examples: Examples
    vectors: NDArray[np.float32]


def fit_head(
    train: Embeddings, validation: Embeddings, config: RunConfig, *, classes: int, device: torch.device
) -> Head:
    """The head whose weight decay does best on validation (without validation: a middling decay)."""
    problem = _Problem.of(train, config, classes, device)
    has_validation = len(validation.examples) > 0
    decays = [config.head_decay] if config.head_decay else list(DECAYS) if has_validation else [DEFAULT_DECAY]
    heads: list[Head] = []
    state = torch.zeros(classes, train.vectors.shape[1] + 1, device=device)
    for decay in decays:
        state, train_loss = problem.solve(state, decay)
        weight, bias = problem.unscaled(state)
        logits = validation.vectors @ weight.T + bias
        found = measure(logits, validation.examples.truth) if has_validation else None
        heads.append(Head(weight, bias, Tried(decay, train_loss, found), ()))
    best = _best(heads, config.metric)
    return Head(best.weight, best.bias, best.best, tuple(head.best for head in heads))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The head by the way with rare labels that validation prefers, and what was tried, in words."""

    head: Head
    way: str
    tried: Mapping[str, Head]
    words: str = ""


def fit_best_head(
    train: Embeddings, validation: Embeddings, config: RunConfig, *, classes: int, device: torch.device
) -> Chosen:
    """One head by the settings, or, where they leave it to validation, one for each way with rare labels.

    Another way than plain must be better by more than one standard error of its lead: on a few images any is, by luck.
    """
    ways = _ways(train, validation, config, classes)
    heads = {
        way: fit_head(train, validation, with_imbalance(config, way), classes=classes, device=device) for way in ways
    }
    best, metric = ways[0], judged_by(config)
    for way in ways[1:]:
        if _leads(heads[way], heads[best], validation, metric):
            best = way
    found = {way: head.best.validation for way, head in heads.items()}
    scores = ", ".join(f"{way} {measures.of(metric):.3f}" for way, measures in found.items() if measures is not None)
    words = f"rare labels: {best}, by {metric} on validation ({scores})" if len(ways) > 1 else ""
    return Chosen(heads[best], best, heads, words)


def _ways(train: Embeddings, validation: Embeddings, config: RunConfig, classes: int) -> tuple[str, ...]:
    """Several only where labels differ in number, validation can tell, and nothing was asked for by name."""
    if config.imbalance != "auto":
        return (config.imbalance,)
    is_asked = any(getattr(config, key) != value for key, value in IMBALANCE["plain"].items())
    counts = train.examples.counts(classes)
    if is_asked or not len(validation.examples) or counts.max() <= _EVEN * max(1, counts.min()):
        return ("as-set",)
    return TRIED_WAYS


def _leads(one: Head, other: Head, validation: Embeddings, metric: str) -> bool:
    mine, theirs = one.best.validation, other.best.validation
    if mine is None or theirs is None or mine.of(metric) <= theirs.of(metric):
        return False
    truth = validation.examples.truth
    seen = np.bincount(truth)
    # What each image adds to the lead in balanced accuracy.
    right = [(head.logits(validation.vectors).argmax(axis=1) == truth).astype(float) for head in (one, other)]
    adds = (right[0] - right[1]) / (seen[truth] * (seen > 0).sum())
    return float(adds.sum()) > float(np.sqrt((adds**2).sum())) or metric not in BY_LABEL


def _best(heads: Sequence[Head], metric: str) -> Head:
    best = heads[0]
    for head in heads[1:]:
        if is_better(metric, head.best.validation, best.best.validation):
            best = head
    return best


@contextmanager
def _few_threads(work: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < _SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class _Problem:
    """The loss over all training vectors, centred and scaled so that one range of decays fits every network."""

    vectors: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    centre: torch.Tensor
    scale: float
    loss: Loss

    @classmethod
    def of(cls, train: Embeddings, config: RunConfig, classes: int, device: torch.device) -> _Problem:
        raw = torch.from_numpy(np.ascontiguousarray(train.vectors, dtype=np.float32)).to(device)
        centre = raw.mean(dim=0)
        centred = raw - centre
        scale = float(centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-6))
        examples = train.examples
        loss = make_loss(config, examples.counts(classes), device)
        # Drawing an image more often is counting it more, when all images are seen at once.
        weights = examples.weights * exposure(examples.truth, config.sampler) * len(examples)
        targets = loss.targets(torch.from_numpy(examples.truth).to(device))
        counted = torch.tensor(weights, dtype=torch.float32, device=device)
        return cls(centred / scale, targets, counted, centre, scale, loss)

    def solve(self, start: torch.Tensor, decay: float) -> tuple[torch.Tensor, float]:
        """The weights (one row a label, the bias last) with the lowest loss, from `start`; and that loss."""
        state = start.clone().requires_grad_(True)
        solver = torch.optim.LBFGS(
            [state], max_iter=_MOST_STEPS, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-7
        )

        def closure() -> torch.Tensor:
            solver.zero_grad()
            logits = self.vectors @ state[:, :-1].T + state[:, -1]
            value = self.loss(logits, self.targets, self.weights) + decay / 2 * state[:, :-1].square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with _few_threads(self.vectors.numel() * state.shape[0]):
            solver.step(closure)  # type: ignore[no-untyped-call]
            return state.detach(), float(closure().detach())

    def unscaled(self, state: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same head for vectors as they come."""
        weight = state[:, :-1] / self.scale
        bias = state[:, -1] - weight @ self.centre
        return weight.cpu().numpy(), bias.cpu().numpy()
