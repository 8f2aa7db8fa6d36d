"""From what was learned to a model folder: weights, ONNX proven equal, temperature, precision, card, digests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import backends
from classifier.backends import Network
from classifier.card import ONNX, WEIGHTS, Card, seal_folder, write_card
from classifier.errors import ModelError
from training.contract import RunConfig, VariantReport, as_values, digest_of
from training.evaluation.calibrate import CONSERVATIVE, TYPICAL, calibrate
from training.learning.cache import Inputs, inputs_of
from training.learning.examples import Examples
from training.learning.fine_tune import Task, Trained
from training.learning.head import Head
from training.learning.head_onnx import with_new_head
from training.learning.start import Start, card_for
from training.publishing.precision import choose_precision
from training.publishing.variants import CALIBRATING, Samples, make_variants
from training.publishing.variants import FOLDER as VARIANTS
from training.run_folder import write_json

EQUAL_WITHIN = 1e-3
_MOST_PROOFS = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """A model folder that is not sealed yet, so that a report can still be laid into it."""

    folder: Path
    final: Path
    card: Card

    def seal(self) -> str:
        """Put the folder in place, read-only, in one step; returns its digest."""
        write_card(self.folder, self.card)
        if self.final.exists():
            # A run that was killed after publishing publishes again; the folder is its own.
            shutil.rmtree(self.final)
        return seal_folder(self.folder, self.final)


def draft_network(task: Task, trained: Trained) -> Draft:
    """A model folder of a whole network that learned."""
    from classifier.network import embedding_space, export_onnx, write_weights

    task.folder.stage("publishing", "writing and proving the exported network")
    made = _empty(task)
    network: Any = trained.network
    card = _described(trained.card, task)
    write_weights(made / WEIGHTS, network)
    export_onnx(network, card, made / ONNX)
    size = int(getattr(network, "head_hidden_size", 0) or getattr(network, "num_features", 0))
    card = replace(card, embedding_space=embedding_space(network, card), embedding_size=size)
    return _finished(task, made, card, trained.logits, trained.watched)


def draft_head(task: Task, head: Head, logits: NDArray[np.float32], watched: Examples) -> Draft:
    """A model folder of the start's network with another last layer: nothing is exported anew."""
    start = task.start
    if start.folder is None:
        raise ModelError("a head needs the model folder whose embeddings it was learned on")
    task.folder.stage("publishing", "a new last layer for the network there is")
    made = _empty(task)
    card = replace(_described(card_for(start, task.data.labels, task.config), task), normalised_head=True)
    with_new_head(start.folder / ONNX, made / ONNX, card, weight=head.weight, bias=head.bias)
    if (start.folder / WEIGHTS).is_file():
        write_head_weights(start, made, card, head)
    size = head.weight.shape[1]
    return _finished(task, made, replace(card, embedding_size=size), logits, watched)


def write_head_weights(start: Start, made: Path, card: Card, head: Head) -> None:
    """The start's weights with another last layer."""
    import torch
    from safetensors.torch import save_file

    from classifier.network import build, read_weights
    from training.learning.start import head_prefixes

    if start.folder is None:
        return
    [prefix] = head_prefixes(build(card))
    tensors = dict(read_weights(start.folder / WEIGHTS))
    tensors[f"{prefix}weight"] = torch.from_numpy(head.weight.copy())
    tensors[f"{prefix}bias"] = torch.from_numpy(head.bias.copy())
    save_file(tensors, made / WEIGHTS)


def _empty(task: Task) -> Path:
    made = task.folder.root / ".model-making"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made


def _described(card: Card, task: Task) -> Card:
    config = task.config
    return replace(
        card,
        name=config.name or f"{card.architecture}, {config.recipe}",
        snapshot=digest_of(task.folder.manifest),
        parent_version=task.start.parent,
        training_config=_portable(config, task.start),
        seed=config.seed,
        libraries={package: version(package) for package in ("torch", "timm", "onnx", "openvino")},
    )


def _portable(config: RunConfig, start: Start) -> Mapping[str, Any]:
    """The settings without this machine's paths: a parent is known by its digest, a file by its name."""
    values = as_values(config)
    values["start_from"] = start.parent or Path(config.start_from).name
    values["image_weights"] = Path(config.image_weights).name if config.image_weights else ""
    return values


def _finished(task: Task, made: Path, card: Card, logits: NDArray[np.float32], watched: Examples) -> Draft:
    if len(watched):
        card = _calibrated(card, logits, watched)
    card = write_card(made, card)
    inputs, known = _proof_inputs(task, card)
    proofs = inputs[: max(1, task.config.proof_images)]
    worst = prove_equal(made, card, proofs)
    task.folder.log(f"the exported form differs by {worst:.1g} at most on {len(proofs)} pictures")
    if task.config.lower_precision and len(known):
        chosen = choose_precision(made, card, inputs[: len(known)], known)
        write_json(task.folder.root / "variants.json", {"variants": [variant.as_values() for variant in chosen.tried]})
        card = write_card(made, replace(card, precision=chosen.precision, precision_evidence=chosen.evidence))
        task.folder.log(chosen.evidence)
    return Draft(made, task.folder.model, card)


def _calibrated(card: Card, logits: NDArray[np.float32], watched: Examples) -> Card:
    """Temperature and thresholds by the validation part."""
    groups = [line.group for line in watched.lines]
    found = calibrate(card, logits, watched.truth, groups)
    # Without one wrong answer the fit would run to absolute certainty, which nothing shows.
    is_perfect = bool((logits.argmax(axis=1) == watched.truth).all())
    temperature = max(1.0, found.temperature) if is_perfect else found.temperature
    thresholds = replace(card.thresholds, typical=found.threshold(TYPICAL), conservative=found.threshold(CONSERVATIVE))
    return replace(card, temperature=temperature, thresholds=thresholds)


def lighter_forms(task: Task, card: Card, names: tuple[str, ...]) -> tuple[VariantReport, ...]:
    """The variants of the model that was just published, beside it in `variants/`."""
    task.folder.stage("publishing", f"lighter forms: {', '.join(names)}")
    data = task.data
    watched, learned = _some(data.validation, _MOST_PROOFS), _some(data.train, CALIBRATING)
    inputs = inputs_of(watched.lines, data.pictures, card, task.folder, task.workers)
    # Ranges come of training pictures, so that validation stays a judge of them.
    ranges = inputs_of(learned.lines, data.pictures, card, task.folder, task.workers)
    samples = Samples(ranges.pixels, inputs.pixels, watched.truth[inputs.positions])
    found = make_variants(task.folder.model, task.folder.root / VARIANTS, names, samples, work=task.folder.root)
    for one in found[1:]:
        task.folder.log(f"{one.name}: {one.accuracy:.1%} right, {one.milliseconds:.1f} ms, {one.bytes / 1e6:.1f} MB")
    return found


def _proof_inputs(task: Task, card: Card) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """At least `proof_images` pictures as the network reads them; the first ones are validation's, with their truth."""
    data, wanted = task.data, task.config.proof_images
    # Of fewer than that the fine-tuning loop has made the very same file.
    watched = _some(data.validation, _MOST_PROOFS)
    more = _some(data.train, max(0, wanted - len(watched)))
    first = inputs_of(watched.lines, data.pictures, card, task.folder, task.workers)
    second = inputs_of(more.lines, data.pictures, card, task.folder, task.workers)
    truth = watched.truth[first.positions]
    return _topped_up(first, second, wanted), truth


def _some(examples: Examples, most: int) -> Examples:
    """At most so many images, spread over all of them."""
    if len(examples) <= most:
        return examples
    return examples.only(np.linspace(0, len(examples) - 1, most).astype(np.intp))


_TURNS: tuple[Callable[[NDArray[np.uint8]], NDArray[np.uint8]], ...] = (
    lambda one: one[:, ::-1],
    lambda one: one[::-1],
    lambda one: 255 - one,
)


def _topped_up(first: Inputs, second: Inputs, wanted: int) -> NDArray[np.uint8]:
    """All the pictures, and where they are too few, turned and mirrored copies that are other inputs to a network."""
    pixels = np.concatenate([first.pixels, second.pixels])
    if not len(pixels):
        raise ModelError("not one picture of this snapshot can be read, so that nothing can be proven")
    copies = [pixels]
    for turn in _TURNS:
        if sum(len(copy) for copy in copies) < wanted:
            copies.append(np.stack([turn(one) for one in np.concatenate(copies)]))
    return np.concatenate(copies)


def prove_equal(folder: Path, card: Card, inputs: NDArray[np.uint8]) -> float:
    """The largest difference of ONNX from the trained weights at f32 on real pictures, over 1 + size; too much raises.

    A folder without weights has nothing to be held against: its last layer was written by us, the rest is the parent's.
    """
    if WEIGHTS not in card.files:
        return 0.0
    exact = replace(card, precision={"openvino": "f32", "torch": "f32"})
    names = (card.outputs.scores, card.outputs.embedding)
    trained: Network = backends.load(folder, exact, outputs=names, device="cpu", backend="torch")
    exported: Network = backends.load(folder, exact, outputs=names, device="cpu", backend="openvino")
    worst = 0.0
    for start in range(0, len(inputs), 16):
        batch = np.ascontiguousarray(inputs[start : start + 16])
        wanted, found = trained.run(batch), exported.run(batch)
        for name in names:
            worst = max(worst, float((np.abs(found[name] - wanted[name]) / (1 + np.abs(wanted[name]))).max()))
    if not worst <= EQUAL_WITHIN:
        raise ModelError(f"the exported network differs from the trained one by {worst:.2g}, more than {EQUAL_WITHIN}")
    return worst
