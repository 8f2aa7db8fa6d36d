"""What a run makes smaller: cross-entropy or focal loss, with what helps rare labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.contract import RunConfig


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean loss over images. `targets` are rows of label shares, so mixed pictures and smoothing need no second way."""

    classes: int
    smoothing: float
    gamma: float
    class_weights: torch.Tensor
    adjustment: torch.Tensor

    def targets(self, truth: torch.Tensor) -> torch.Tensor:
        """One row for each image: 1 at the truth."""
        return torch.nn.functional.one_hot(truth, self.classes).float()

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Mean over images, each counted by its own weight and that of its labels.

        Class weights average to 1 over the training images and the mean is over images, so that a rate found without
        them stays right.
        """
        smooth = targets * (1 - self.smoothing) + self.smoothing / self.classes
        logs = torch.log_softmax(logits.float() + self.adjustment, dim=1)
        terms = smooth * self.class_weights * -logs
        if self.gamma:
            terms = terms * (1 - logs.exp()) ** self.gamma
        return (terms.sum(dim=1) * weights).sum() / len(weights)


def make_loss(config: RunConfig, counts: NDArray[np.int64], device: torch.device | str = "cpu") -> Loss:
    """The loss of a config for labels with so many training images each."""
    shares = counts / counts.sum()
    adjustment = config.logit_adjustment * np.log(np.maximum(shares, 1e-12))
    return Loss(
        classes=len(counts),
        smoothing=config.label_smoothing,
        gamma=config.focal_gamma if config.loss == "focal" else 0.0,
        class_weights=torch.tensor(class_weights(config, counts), dtype=torch.float32, device=device),
        adjustment=torch.tensor(adjustment, dtype=torch.float32, device=device),
    )


def class_weights(config: RunConfig, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight of each label; the mean over all training images is 1."""
    if config.class_weights == "none":
        return np.ones(len(counts))
    present = np.maximum(counts, 1)
    if config.class_weights == "effective":
        present = (1 - config.effective_beta**present) / (1 - config.effective_beta)
    weights = 1 / present
    return np.asarray(weights * counts.sum() / (weights * counts).sum())
