"""Temperature: one number, fitted on validation data, that makes a network's confidence mean what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST, HIGHEST = 0.05, 20.0
_GOLDEN = (5**0.5 - 1) / 2


def softmax(logits: NDArray[np.floating], *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of each row at a temperature, in float64 so that a thousand small ones still add up to 1."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    powers = np.exp(scaled)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(logits: NDArray[np.floating], truth: NDArray[np.integer], *, temperature: float) -> float:
    """Mean negative log-likelihood of the true outputs."""
    chosen = softmax(logits, temperature=temperature)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, 1e-300)).mean())


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.integer], *, tolerance: float = 1e-4) -> float:
    """The temperature with the lowest log-loss, by golden-section search on its logarithm (the loss has one valley)."""
    low, high = np.log(LOWEST), np.log(HIGHEST)
    while high - low > tolerance:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if log_loss(logits, truth, temperature=np.exp(left)) < log_loss(logits, truth, temperature=np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
