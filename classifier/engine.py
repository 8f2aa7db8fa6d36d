"""The one place where model folders meet pictures: load a pipeline, prepare pictures in threads, recognise batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier import backends, detection
from classifier.backends import Network, OutOfMemory
from classifier.card import Card, Label, read_card
from classifier.crops import with_margin
from classifier.errors import ImageRejected, ModelError
from classifier.preprocessing import cut, decode_side, to_input
from classifier.regions import Detector, Part
from classifier.scores import Scorer
from classifier.types import Answer, Decoded, Failure, PipelineSpec, RegionAnswer

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_BATCH = 64
# A crop is enlarged to the network's input, so pictures for a detector are decoded larger.
DETECTOR_DECODE_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture made ready in a thread: one input for each network that sees it whole, pixels only if crops follow."""

    decoded: Decoded | None
    width: int
    height: int
    inputs: Mapping[str, NDArray[np.uint8]]


@dataclass(slots=True)
class Stage:
    """One model folder of a pipeline, loaded. `batch_limit` shrinks for good when the device ran out of memory."""

    role: str
    card: Card
    network: Network
    batch_limit: int = LARGEST_BATCH

    def run(self, inputs: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """Named outputs for all inputs, in as many batches as the device needs."""
        parts: list[Mapping[str, NDArray[np.float32]]] = []
        start = 0
        while start < len(inputs):
            size = min(self.batch_limit, len(inputs) - start)
            try:
                parts.append(self.network.run(np.stack(inputs[start : start + size])))
            except OutOfMemory:
                if size == 1:
                    raise
                self.batch_limit = size // 2
                continue
            start += size
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline in memory. `prepare` may run in many threads at once, `recognise_prepared` in one at a time.

    `at_least` is the short side to decode to. `labels` are in the order of every region's scores.
    """

    spec: PipelineSpec
    labels: tuple[Label, ...]
    at_least: int
    stages: Mapping[str, Stage]
    scorer: Scorer | None
    _background: int | None = field(repr=False)
    _detector: Detector | None = field(repr=False)

    @property
    def backend(self) -> str:
        """Words for people, such as `openvino bf16 CPU`."""
        return ", ".join(dict.fromkeys(stage.network.words for stage in self.stages.values()))

    @property
    def device(self) -> str:
        """`cpu`, `cuda` or `cuda:1`."""
        return next(iter(self.stages.values())).network.device

    @property
    def batch_limit(self) -> int:
        """The most pictures the device has taken at once so far."""
        return min(stage.batch_limit for stage in self.stages.values())

    def prepare(self, decoded: Decoded) -> Prepared:
        """Resize for the networks that see the whole picture. Safe in any thread."""
        crops = "detector" in self.stages
        first = ["detector"] if crops else list(self.stages)
        return Prepared(
            decoded=decoded if crops else None,
            width=decoded.width,
            height=decoded.height,
            inputs={role: to_input(self.stages[role].card, decoded.pixels) for role in first},
        )

    def recognise(self, images: Sequence[Decoded], *, embeddings: bool = True) -> list[Answer | Failure]:
        """Answers in the order of the pictures; a picture that cannot be prepared fails alone."""
        results: dict[int, Answer | Failure] = {}
        ready: dict[int, Prepared] = {}
        for index, decoded in enumerate(images):
            try:
                ready[index] = self.prepare(decoded)
            except ImageRejected as error:
                results[index] = Failure(error.code, error.reason)
        answers = self.recognise_prepared(list(ready.values()), embeddings=embeddings)
        results.update(zip(ready, answers, strict=True))
        return [results[index] for index in range(len(images))]

    def recognise_prepared(self, batch: Sequence[Prepared], *, embeddings: bool = True) -> list[Answer | Failure]:
        """Answers in the order of the batch. Call from one thread at a time."""
        if not batch:
            return []
        try:
            parts = self._parts(batch)
            regions = self._regions(batch, parts, embeddings=embeddings)
        except OutOfMemory as error:
            return [Failure("out-of-memory", f"{error}. Use a smaller model or a device with more memory.")] * len(
                batch
            )
        grouped: list[list[RegionAnswer]] = [[] for _ in batch]
        bad: set[int] = set()
        for part, region in zip(parts, regions, strict=True):
            if region is None:
                bad.add(part.picture)
            else:
                grouped[part.picture].append(region)
        return [_not_finite() if index in bad else self._answer(regions) for index, regions in enumerate(grouped)]

    def recognise_embedded(self, outputs: NDArray[np.float32]) -> list[Answer | Failure]:
        """Answers from rows that the last layer of this pipeline's one classifier gives (`classifier.last_layer`)."""
        if self.scorer is None or len(self.stages) > 1:
            raise ModelError("only a classifier without detector and identifier answers from embeddings")
        parts = [self._region(Part(index), row, None, None) for index, row in enumerate(self.scorer(outputs))]
        return [_not_finite() if region is None else self._answer([region]) for region in parts]

    def _parts(self, batch: Sequence[Prepared]) -> list[Part]:
        if self._detector is None:
            return [Part(index) for index in range(len(batch))]
        tensors = self.stages["detector"].run([prepared.inputs["detector"] for prepared in batch])
        return [
            part
            for index, prepared in enumerate(batch)
            for part in self._detector.parts(tensors, index, _pixels(prepared))
        ]

    def _regions(
        self, batch: Sequence[Prepared], parts: Sequence[Part], *, embeddings: bool
    ) -> list[RegionAnswer | None]:
        scores: list[NDArray[np.float32] | None] = [part.scores for part in parts]
        asked = [index for index, part in enumerate(parts) if part.scores is None]
        found: dict[str, list[NDArray[np.float16] | None]] = {}
        for role in ("classifier", "identifier"):
            found[role] = [None] * len(parts)
            wanted = asked if role == "classifier" else range(len(parts))
            stage = self.stages.get(role)
            if stage is None or not wanted or (role == "identifier" and not embeddings):
                continue
            outputs = stage.run([self._input(stage, batch, parts[index]) for index in wanted])
            if role == "classifier" and self.scorer is not None:
                for index, row in zip(wanted, self.scorer(outputs[stage.card.outputs.scores]), strict=True):
                    scores[index] = row
            if embeddings and stage.card.outputs.embedding in outputs:
                for index, vector in zip(wanted, _unit(outputs[stage.card.outputs.embedding]), strict=True):
                    found[role][index] = vector
        rows = zip(parts, scores, found["classifier"], found["identifier"], strict=True)
        return [self._region(part, row, embedding, identity) for part, row, embedding, identity in rows]

    def _input(self, stage: Stage, batch: Sequence[Prepared], part: Part) -> NDArray[np.uint8]:
        prepared = batch[part.picture]
        if stage.role in prepared.inputs:
            return prepared.inputs[stage.role]
        decoded = _pixels(prepared)
        pixels = decoded.pixels if part.box is None else cut(decoded, with_margin(part.box, self.spec.crop_margin))
        return to_input(stage.card, pixels)

    def _region(
        self,
        part: Part,
        scores: NDArray[np.float32] | None,
        embedding: NDArray[np.float16] | None,
        identity: NDArray[np.float16] | None,
    ) -> RegionAnswer | None:
        if scores is None:
            scores = np.ones(1, dtype=np.float32)
        if not np.isfinite(scores).all():
            return None
        best = int(scores.argmax())
        return RegionAnswer(
            box=part.box,
            detection=part.detection,
            label=self.labels[best].key,
            score=float(scores[best]),
            scores=scores,
            embedding=embedding,
            identity_embedding=identity,
        )

    def _answer(self, regions: Sequence[RegionAnswer]) -> Answer:
        """The region with the highest score speaks, one that is no background before one that is."""
        nothing = "" if self._background is None else self.labels[self._background].key
        best = max(regions, key=lambda region: (region.label != nothing, region.score))
        counts = Counter(region.label for region in regions if region.label != nothing)
        return Answer(label=best.label, score=best.score, regions=tuple(regions), counts=dict(counts))


def _pixels(prepared: Prepared) -> Decoded:
    if prepared.decoded is None:
        raise ModelError("a picture was prepared for another pipeline: it holds no pixels to crop from")
    return prepared.decoded


def _not_finite() -> Failure:
    return Failure("no-answer", "the network gave numbers that are not finite for this picture; try another version")


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    """L2-normalised rows, small enough to store by the million."""
    flat = vectors.reshape(len(vectors), -1)
    lengths = np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return np.asarray(flat / lengths, dtype=np.float16)


def load_pipeline(
    spec: PipelineSpec,
    *,
    device: str = "auto",
    threads: int | None = None,
    backend: str | None = None,
    cache: Path | None = None,
    embeddings: bool = True,
) -> LoadedPipeline:
    """Verify and load every model folder of a pipeline.

    `cache` is a folder where a compiled form may be kept between starts; without `embeddings` they are not computed.
    """
    folders = {"detector": spec.detector, "classifier": spec.classifier, "identifier": spec.identifier}
    chosen = {role: folder for role, folder in folders.items() if folder is not None}
    cards = {role: _card_for(role, folder) for role, folder in chosen.items()}
    if not cards:
        raise ModelError(f"the pipeline {spec.digest} names no model folder")
    labels = _labels(cards)
    background = next((index for index, label in enumerate(labels) if label.kind == "background"), None)
    detector = _detector(spec, cards, labels, background)
    stages = {}
    for role, card in cards.items():
        outputs = _outputs(role, card, embeddings=embeddings)
        network = backends.load(
            chosen[role], card, outputs=outputs, device=device, backend=backend, threads=threads, cache=cache
        )
        stages[role] = Stage(role, card, network)
    side = max(decode_side(card) for card in cards.values())
    return LoadedPipeline(
        spec=spec,
        labels=labels,
        at_least=max(side, DETECTOR_DECODE_SIDE) if detector else side,
        stages=stages,
        scorer=_scorer(cards.get("classifier"), spec),
        _background=background,
        _detector=detector,
    )


def _detector(
    spec: PipelineSpec, cards: Mapping[str, Card], labels: tuple[Label, ...], background: int | None
) -> Detector | None:
    card = cards.get("detector")
    if card is None or card.detector is None:
        return None
    alone, whole = "classifier" not in cards, spec.whole_image_when_nothing_found
    if background is None and (alone or not whole):
        raise ModelError(
            "this pipeline may find nothing in a picture, and its labels have none of the kind background to say so. "
            "Recognise the whole picture when nothing is found, or add such a label."
        )
    threshold = spec.thresholds.get("detection", card.detector.score_threshold)
    return Detector(card, labels, background, threshold, alone=alone, whole=whole)


def _card_for(role: str, folder: Path) -> Card:
    card = read_card(folder)
    if card.role != role:
        raise ModelError(f"{folder} is a {card.role}, it cannot be the {role} of a pipeline")
    return card


def _labels(cards: Mapping[str, Card]) -> tuple[Label, ...]:
    for role in ("classifier", "detector"):
        if role in cards:
            return cards[role].labels
    return (Label("animal", "animal"),)


def _outputs(role: str, card: Card, *, embeddings: bool) -> tuple[str, ...]:
    if role == "detector" and card.detector is not None:
        return detection.wanted_outputs(card.detector)
    names = [card.outputs.scores] if role == "classifier" else []
    if embeddings or role == "identifier":
        names.append(card.outputs.embedding)
    return tuple(name for name in names if name)


def _scorer(card: Card | None, spec: PipelineSpec) -> Scorer | None:
    if card is None:
        return None
    return Scorer(card, background_threshold=spec.thresholds.get("background"))
