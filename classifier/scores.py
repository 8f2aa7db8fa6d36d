"""From logits to the scores a person sees: temperature, label groups, and the rule for "nothing we look for"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from classifier.calibration import softmax
from classifier.card import Card
from classifier.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The background's share of the winner's score where the rule puts it second: close, yet apart after rounding.
JUST_BELOW = 0.999


def settle_background(
    probabilities: NDArray[np.float64], *, background: int | None, threshold: float
) -> NDArray[np.float32]:
    """Scores (rows of labels) whose argmax is the answer and whose sum is 1.

    The background label sums many outputs and would outvote good but spread answers. So it is the answer only when it
    is above `threshold` and not below the best other label; else the best other label is, and the background is put
    just below it.
    """
    scores = np.array(probabilities, dtype=np.float64)
    if background is not None and scores.shape[1] > 1:
        others = np.delete(scores, background, axis=1).max(axis=1)
        own = scores[:, background]
        loses = (own >= others) & (own <= threshold)
        scores[:, background] = np.where(loses, others * JUST_BELOW, own)
    scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return scores.astype(np.float32)


def decision_margin(
    probabilities: NDArray[np.float64], *, background: int | None, threshold: float
) -> NDArray[np.float64]:
    """How far each row is from another answer: by the two best, and by the background's threshold where it decides."""
    if background is None:
        best_two = np.sort(probabilities, axis=1)[:, -2:]
        return np.asarray(best_two[:, 1] - best_two[:, 0])
    own = probabilities[:, background]
    others = np.sort(np.delete(probabilities, background, axis=1), axis=1)
    best, second = others[:, -1], others[:, -2]
    when_background = np.minimum(own - threshold, own - best)
    to_background = np.where(own >= best, threshold - own, np.maximum(best - own, threshold - own))
    when_other = np.minimum(best - second, to_background)
    return np.where((own > threshold) & (own >= best), when_background, when_other)


def group_probabilities(probabilities: NDArray[np.float64], groups: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Add up the outputs of each label. A label without outputs gets 0."""
    sums = np.zeros((len(probabilities), len(groups)))
    filled = [index for index, group in enumerate(groups) if group]
    if filled:
        outputs = np.concatenate([np.asarray(groups[index], dtype=np.intp) for index in filled])
        starts = np.cumsum([0, *(len(groups[index]) for index in filled[:-1])])
        sums[:, filled] = np.add.reduceat(probabilities[:, outputs], starts, axis=1)
    return sums


class Scorer:
    """The scoring rule of one card, ready to use on whole batches."""

    def __init__(self, card: Card, *, background_threshold: float | None = None) -> None:
        self._card = card
        self._identity = not card.label_groups
        self._groups = card.groups()
        self._width = card.output_count or len(card.labels)
        self._background = card.background_index()
        default = card.thresholds.background
        self._threshold = default if background_threshold is None else background_threshold

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities by label, before the background rule; rows that are not finite stay so."""
        if outputs.ndim != 2 or outputs.shape[1] != self._width:
            raise ModelError(
                f"{self._card.name}: the network gives {outputs.shape[1:]} scores a picture, its card speaks of "
                f"{self._width}. Correct labels, label_groups and output_count."
            )
        if self._card.outputs.scores_are == "logits":
            values = softmax(outputs, temperature=self._card.temperature)
        else:
            values = outputs.astype(np.float64)
        return values if self._identity else group_probabilities(values, self._groups)

    def __call__(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores by label: rows sum to 1 and their argmax is the answer."""
        return settle_background(self.probabilities(outputs), background=self._background, threshold=self._threshold)

    def margin(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Distance of each row from another answer."""
        return decision_margin(self.probabilities(outputs), background=self._background, threshold=self._threshold)
