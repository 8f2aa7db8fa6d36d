"""Whether a lower precision may be used: it must give f32's label wherever f32 is not in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier import backends
from classifier.card import read_card
from classifier.preprocessing import to_input
from classifier.scores import Scorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Without labels, pictures that f32 itself can hardly decide prove nothing; those beyond this margin must agree.
SURE_MARGIN = 0.1
FEWEST_PICTURES = 200
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of `pictures`, f32 was sure of `sure`; the lower precision gave the same label on `same` of those."""

    precision: str
    pictures: int
    sure: int
    same: int

    @property
    def proven(self) -> bool:
        """Whether the lower precision may be written into the card."""
        return self.sure >= FEWEST_PICTURES and self.same == self.sure

    def __str__(self) -> str:
        return (
            f"{self.precision} gave f32's label on {self.same} of the {self.sure} of {self.pictures} pictures "
            f"whose f32 margin exceeded {SURE_MARGIN}"
        )


def compare_precision(
    folder: Path, pictures: Sequence[NDArray[np.uint8]], *, precision: str = "bf16", backend: str = "openvino"
) -> Agreement:
    """Run the same unlabelled pictures (height x width x 3) at f32 and at a lower precision on this processor."""
    card = read_card(folder)
    inputs = [to_input(card, picture) for picture in pictures]
    rows = {}
    for tried in ("f32", precision):
        network = backends.load(
            folder,
            replace(card, precision={backend: tried}),
            outputs=(card.outputs.scores,),
            device="cpu",
            backend=backend,
        )
        if f" {tried} " not in f" {network.words} ":
            # A processor without this precision would compute f32 twice and prove nothing.
            return Agreement(precision, len(inputs), 0, 0)
        batches = (np.stack(inputs[start : start + _BATCH]) for start in range(0, len(inputs), _BATCH))
        rows[tried] = np.concatenate([network.run(batch)[card.outputs.scores] for batch in batches])
    scorer = Scorer(card)
    sure = scorer.margin(rows["f32"]) > SURE_MARGIN
    same = scorer(rows["f32"]).argmax(axis=1) == scorer(rows[precision]).argmax(axis=1)
    return Agreement(precision, len(inputs), int(sure.sum()), int((same & sure).sum()))
