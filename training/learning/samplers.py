"""In which order images are seen, and how often those of rare labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.contract import RunConfig

# How the number of images of a label turns into how often it is drawn: n^1, n^0.5, n^0.
_POWER = {"natural": 1.0, "square-root": 0.5, "balanced": 0.0}


def exposure(truth: NDArray[np.int64], sampler: str) -> NDArray[np.float64]:
    """The share of all draws that each image has; adds up to 1."""
    counts = np.bincount(truth)
    shares = np.zeros(len(counts))
    seen = counts > 0
    shares[seen] = counts[seen] ** (_POWER[sampler] - 1)
    drawn = shares[truth]
    return np.asarray(drawn / drawn.sum())


def exposure_words(truth: NDArray[np.int64], sampler: str) -> str:
    """What a sampler makes of the labels, for the log: how many images each counts as, where there are how many."""
    there = np.bincount(truth)
    drawn = np.bincount(truth, weights=exposure(truth, sampler) * len(truth))[there > 0]
    there = there[there > 0]
    return (
        f"{sampler} sampling: in an epoch each label is seen {drawn.min():.1f} to {drawn.max():.1f} times, "
        f"where it has {there.min()} to {there.max()} images"
    )


def epoch_order(truth: NDArray[np.int64], config: RunConfig, epoch: int) -> NDArray[np.intp]:
    """The images of an epoch in order, as many as there are; the same for the same seed and epoch.

    Natural order sees each image once. The others draw each image its whole number of times and by lot for the rest, so
    that labels are seen equally often to the last draw, not only on average.
    """
    random = np.random.default_rng([config.seed, 2, epoch])
    if config.sampler == "natural":
        return random.permutation(len(truth))
    expected = exposure(truth, config.sampler) * len(truth)
    times = np.floor(expected).astype(np.int64)
    left = len(truth) - int(times.sum())
    rest = expected - times
    if left > 0:
        # Systematic sampling: one random offset, then even steps along the remainders, label by label.
        shuffled = random.permutation(len(truth))
        shuffled = shuffled[np.argsort(truth[shuffled], kind="stable")]
        ends = np.cumsum(rest[shuffled])
        marks = (random.random() + np.arange(left)) * ends[-1] / left
        picked = np.minimum(np.searchsorted(ends, marks, side="right"), len(truth) - 1)
        np.add.at(times, shuffled[picked], 1)
    return random.permutation(np.repeat(np.arange(len(truth)), times))


def batches_of(order: NDArray[np.intp], *, batch: int, rank: int = 0, world: int = 1) -> tuple[NDArray[np.intp], ...]:
    """The steps of an epoch; with several devices, each one's equal slice of every step.

    What does not fill a last step is left for the next epoch, whose order is another: BatchNorm needs full batches.
    """
    if len(order) < batch and world == 1:
        return (order,)
    steps, own = max(1, len(order) // batch), batch // world
    whole = np.resize(order, steps * batch).reshape(steps, batch)
    return tuple(whole[:, rank * own : (rank + 1) * own])
