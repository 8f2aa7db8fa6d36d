"""Whether a run learned anything at all; a version that did not is never published."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.learning.measures import measure

_DEVIATIONS = 2.0


def reason_of(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> str:
    """Why these answers show that nothing was learned; '' where something was.

    Accuracy below the commonest label alone is no proof: a run that favours rare labels gives it up for them. So the
    mean over labels must also be no better than chance, by two standard errors.
    """
    if not np.isfinite(logits).all():
        return "the network's answers are not numbers (NaN or infinite): lower learning_rate or use precision=f32"
    found = measure(logits, truth)
    counts = np.bincount(truth, minlength=logits.shape[1])
    if found.distinct == 1 and (counts > 0).sum() > 1:
        return "the network gives every picture the same label: raise learning_rate or epochs, or check the labels"
    majority, chance = counts.max() / counts.sum(), 1 / logits.shape[1]
    present = counts[counts > 0]
    error = float(np.sqrt((chance * (1 - chance) / present).sum())) / len(present)
    if found.accuracy <= majority and found.balanced_accuracy <= chance + _DEVIATIONS * error:
        return (
            f"{found.accuracy:.1%} of the validation part are right, where always answering the commonest label gets "
            f"{majority:.1%}, and the mean over labels is no better than chance: check the labels, or train longer"
        )
    return ""
