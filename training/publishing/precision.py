"""Whether a version may be served in bf16: it must be right as often on labelled pictures.."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import backends
from classifier.calibration import log_loss
from classifier.card import ONNX, Card
from classifier.scores import Scorer

FEWEST_PICTURES = 50
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision on this processor: right answers, log-loss, time for one picture alone, size of its file."""

    precision: str
    pictures: int
    right: int
    loss: float
    milliseconds: float
    images_per_second: float
    bytes: int

    def as_values(self) -> dict[str, Any]:
        return {**asdict(self), "accuracy": self.right / self.pictures}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the card shall say, and why."""

    precision: Mapping[str, str]
    evidence: str
    tried: tuple[Variant, ...]


def choose_precision(folder: Path, card: Card, inputs: NDArray[np.uint8], truth: NDArray[np.int64]) -> Chosen:
    """f32, or bf16 in OpenVINO if that answers no labelled picture worse on the whole."""
    full = _try(folder, card, "f32", inputs, truth)
    kept = {"openvino": "f32", "torch": "f32"}
    lower = _try(folder, card, "bf16", inputs, truth)
    if full is None or lower is None:
        return Chosen(kept, "f32: this processor has no bf16 to try", tuple(one for one in (full, lower) if one))
    words = f"bf16 in OpenVINO is right on {lower.right} of {lower.pictures} validation pictures, f32 on {full.right}"
    if len(truth) < FEWEST_PICTURES:
        return Chosen(kept, f"f32: {words}, too few to tell", (full, lower))
    if lower.right < full.right or lower.loss > full.loss * 1.01 + 0.001:
        return Chosen(kept, f"f32: {words}, log-loss {lower.loss:.4f} and {full.loss:.4f}", (full, lower))
    return Chosen({**kept, "openvino": "bf16"}, words, (full, lower))


def _try(
    folder: Path, card: Card, precision: str, inputs: NDArray[np.uint8], truth: NDArray[np.int64]
) -> Variant | None:
    """None where the processor would compute something else."""
    asked = replace(card, precision={"openvino": precision})
    network = backends.load(folder, asked, outputs=(card.outputs.scores,), device="cpu", backend="openvino")
    if f" {precision} " not in f" {network.words} ":
        return None
    batches = [np.ascontiguousarray(inputs[start : start + _BATCH]) for start in range(0, len(inputs), _BATCH)]
    network.run(batches[0])
    begun = time.perf_counter()
    logits = np.concatenate([network.run(batch)[card.outputs.scores] for batch in batches])
    seconds = time.perf_counter() - begun
    right = int((Scorer(card)(logits).argmax(axis=1) == truth).sum())
    return Variant(
        precision,
        len(truth),
        right,
        log_loss(logits, truth, temperature=card.temperature),
        alone(network, batches[0][:1]),
        len(inputs) / seconds,
        (folder / ONNX).stat().st_size,
    )


def alone(network: backends.Network, picture: NDArray[np.uint8]) -> float:
    """The median time of one picture by itself, in milliseconds."""
    times = []
    for _ in range(8):
        begun = time.perf_counter()
        network.run(picture)
        times.append(time.perf_counter() - begun)
    return 1000 * float(np.median(times[1:]))
