"""Lighter versions beside a published one, each measured against it on the same validation pictures."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier import backends
from classifier.calibration import log_loss
from classifier.card import ONNX, Card, folder_digest, read_card, seal_folder, write_card
from classifier.errors import ModelError
from classifier.scores import Scorer
from training.contract import VariantReport
from training.publishing.precision import alone
from training.publishing.quantise import to_f16, to_int8

FOLDER = "variants"
FULL = "f32"
CALIBRATING, MOST_MEASURED = 128, 500
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures as the network reads them: to measure ranges by, and with their truth to measure what was lost."""

    ranges: NDArray[np.uint8]
    inputs: NDArray[np.uint8]
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Answers:
    logits: NDArray[np.float32]
    milliseconds: float
    images_per_second: float


def make_variants(
    model: Path, out: Path, names: Sequence[str], samples: Samples, *, work: Path
) -> tuple[VariantReport, ...]:
    """Write `out`/NAME, a model folder each, by way of `work`, and measure it; the f32 form comes first."""
    if not len(samples.truth):
        raise ModelError("variants are measured on validation pictures, and there are none: freeze a validation part.")
    card = read_card(model)
    full = replace(card, precision={"openvino": FULL, "torch": FULL})
    before = _ask(model, full, samples.inputs)
    size = (model / ONNX).stat().st_size
    found = [_report(FULL, full, before, before, samples.truth, size)]
    for name in names:
        folder = out / name
        made, note = _written(model, card, name, samples, work)
        asked = read_card(made)
        answers = _ask(made, asked, samples.inputs)
        report = _report(name, asked, answers, before, samples.truth, (made / ONNX).stat().st_size)
        evidence = f"{note}; {_words(report, found[0])}"
        write_card(made, replace(asked, precision_evidence=evidence))
        shutil.rmtree(folder, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        found.append(replace(report, digest=seal_folder(made, folder)))
    return tuple(found)


def _written(model: Path, card: Card, name: str, samples: Samples, work: Path) -> tuple[Path, str]:
    """An unsealed folder with the lighter network: no weights for the GPU, where there are quicker ways."""
    made = work / f".variant-{name}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    if name == "int8":
        layers = to_int8(model / ONNX, made / ONNX, card, samples.ranges[:CALIBRATING])
        note = f"{layers} layers in 8-bit integers, ranges of {min(CALIBRATING, len(samples.ranges))} pictures"
    elif name == "f16":
        note = f"{to_f16(model / ONNX, made / ONNX)} weights in 16 bits, computed at f32"
    else:
        raise ModelError(f"there is no variant {name!r}: int8, f16")
    network = hashlib.sha256((made / ONNX).read_bytes()).hexdigest()
    write_card(
        made,
        replace(
            card,
            name=f"{card.name}, {name}",
            precision={"openvino": FULL},
            precision_evidence=note,
            parent_version=folder_digest(model),
            # What it sees differs a little, so that its embeddings are not those of the f32 form.
            embedding_space=network,
            files={},
        ),
    )
    return made, note


def _ask(folder: Path, card: Card, inputs: NDArray[np.uint8]) -> _Answers:
    network = backends.load(folder, card, outputs=(card.outputs.scores,), device="cpu", backend="openvino")
    batches = [np.ascontiguousarray(inputs[start : start + _BATCH]) for start in range(0, len(inputs), _BATCH)]
    network.run(batches[0])
    begun = time.perf_counter()
    logits = np.concatenate([network.run(batch)[card.outputs.scores] for batch in batches])
    seconds = time.perf_counter() - begun
    return _Answers(logits, alone(network, batches[0][:1]), len(inputs) / seconds)


def _report(
    name: str, card: Card, answers: _Answers, full: _Answers, truth: NDArray[np.int64], size: int
) -> VariantReport:
    said, wanted = (Scorer(card)(one.logits).argmax(axis=1) for one in (answers, full))
    return VariantReport(
        name=name,
        pictures=len(truth),
        accuracy=float((said == truth).mean()),
        log_loss=log_loss(answers.logits, truth, temperature=card.temperature),
        same=float((said == wanted).mean()),
        milliseconds=round(answers.milliseconds, 3),
        images_per_second=round(answers.images_per_second, 1),
        bytes=size,
    )


def _words(found: VariantReport, full: VariantReport) -> str:
    return (
        f"right on {found.accuracy:.1%} of {found.pictures} validation pictures, f32 on {full.accuracy:.1%}, the same "
        f"label on {found.same:.1%}; {found.milliseconds:.1f} ms for one, f32 {full.milliseconds:.1f}; "
        f"{found.bytes / 1e6:.1f} MB, f32 {full.bytes / 1e6:.1f}"
    )


def lines_of(table: Sequence[VariantReport]) -> list[Mapping[str, object]]:
    """For people on a terminal, one object each."""
    return [
        {name: getattr(one, name) for name in ("name", "accuracy", "same", "milliseconds", "bytes", "digest")}
        for one in table
    ]
