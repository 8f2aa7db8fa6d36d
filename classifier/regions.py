"""Which parts of a picture are asked about: the whole, or every box a detector found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classifier import detection
from classifier.card import Card, Label
from classifier.preprocessing import window
from classifier.scores import settle_background
from classifier.types import Box, Decoded, Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What a detector alone may say of a label it did not report, so that "nothing" stays ahead.
MOST_DOUBT = 0.499


@dataclass(frozen=True, slots=True)
class Part:
    """The whole picture (`box` None) or one found box; `scores` are set where no classifier is to be asked."""

    picture: int
    box: Box | None = None
    detection: Detection | None = None
    scores: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """How a detector's answers become parts.

    `labels` are those of the pipeline. Without a classifier (`alone`) the detector's word is the answer. `whole` says
    to ask the classifier about the whole picture when nothing was found.
    """

    card: Card
    labels: Sequence[Label]
    background: int | None
    threshold: float
    alone: bool
    whole: bool

    def parts(self, tensors: Mapping[str, NDArray[np.float32]], index: int, decoded: Decoded) -> list[Part]:
        """The parts of picture `index` of a batch: boxes of labels of the kind normal, or the one whole picture."""
        height, width = decoded.pixels.shape[:2]
        candidates = detection.decode(self.card, tensors, index)
        view = window(self.card, width, height)
        known = [label for label in self.card.labels if label.kind != "background"]
        parts = []
        for found in detection.find(self.card, candidates, view, width=width, height=height, threshold=self.threshold):
            label = known[found.label]
            if label.kind == "normal":
                scores = self._only(label.key, found.score) if self.alone else None
                parts.append(Part(index, found.box, Detection(label.key, found.score), scores))
        if parts:
            return parts
        if self.whole and not self.alone:
            return [Part(index)]
        return [Part(index, scores=self._nothing(candidates, [label.key for label in known]))]

    def _only(self, key: str, score: float) -> NDArray[np.float32]:
        """Its label wins; the rest of 1 says "nothing"."""
        row = self._row(key, score)
        return np.asarray(settle_background(row[None], background=self.background, threshold=1.0)[0])

    def _nothing(self, candidates: detection.Candidates, known: Sequence[str]) -> NDArray[np.float32]:
        """ "Nothing", with the doubt a candidate just under the threshold leaves."""
        if not self.alone or not candidates.scores.size:
            return self._row("", 0.0).astype(np.float32)
        label = int(candidates.scores.max(axis=0).argmax())
        return self._row(known[label], min(MOST_DOUBT, float(candidates.scores.max()))).astype(np.float32)

    def _row(self, key: str, score: float) -> NDArray[np.float64]:
        return np.array(
            [
                score if label.key == key else 1 - score if index == self.background else 0.0
                for index, label in enumerate(self.labels)
            ]
        )
