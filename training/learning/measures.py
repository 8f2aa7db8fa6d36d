"""The few numbers that a run watches on its validation part while it learns; reports are made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.calibration import log_loss
from training.contract import RunConfig


@dataclass(frozen=True, slots=True)
class Measures:
    """How well logits answer; `distinct` is how many labels were answered at all."""

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    distinct: int
    images: int

    def of(self, metric: str) -> float:
        """A metric of the config, such that more is better."""
        values = {
            "loss": -self.loss,
            "accuracy": self.accuracy,
            "balanced-accuracy": self.balanced_accuracy,
            "macro-f1": self.macro_f1,
        }
        return values[metric]


def measure(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> Measures:
    """Means over the labels that occur; a loss that is no number stays none."""
    answers = logits.argmax(axis=1)
    classes = logits.shape[1]
    seen = np.bincount(truth, minlength=classes)
    right = np.bincount(truth[answers == truth], minlength=classes)
    said = np.bincount(answers, minlength=classes)
    there = seen > 0
    finite = bool(np.isfinite(logits).all())
    return Measures(
        loss=log_loss(logits, truth, temperature=1.0) if finite else float("nan"),
        accuracy=float((answers == truth).mean()),
        balanced_accuracy=float((right[there] / seen[there]).mean()),
        macro_f1=float((2 * right[there] / (seen[there] + said[there])).mean()),
        distinct=int((said > 0).sum()),
        images=len(truth),
    )


def judged_by(config: RunConfig) -> str:
    """By what networks and ways with rare labels are chosen: the loss, which picks epochs, would never lift any."""
    return "balanced-accuracy" if config.metric == "loss" else config.metric


def is_better(metric: str, new: Measures | None, old: Measures | None) -> bool:
    """Whether a measurement beats the best so far; of equals the lower loss does. No number beats nothing."""
    if new is None or not np.isfinite(new.loss):
        return False
    return old is None or (new.of(metric), -new.loss) > (old.of(metric), -old.loss)
