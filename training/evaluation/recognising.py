"""Pictures of a manifest through the serving engine, with what it keeps to itself: outputs before the temperature."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classifier.card import Card, folder_digest, read_card
from classifier.engine import LoadedPipeline, Prepared, load_pipeline
from classifier.errors import ImageRejected, ModelError
from classifier.images import decode
from classifier.scores import Scorer
from classifier.types import Decoded, Failure, PipelineSpec
from training.contract import ManifestLine
from training.pictures import Pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

MISSING = "original missing"
Change = Callable[[Decoded, ManifestLine], Decoded]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a version said of one picture: scores by label of its card, or why there are none."""

    line: ManifestLine
    scores: Rows | None = None
    outputs: Rows | None = None
    raw_score: float | None = None
    failure: str = ""


class _Recording(Scorer):
    """The card's scorer, which also remembers the last batch of outputs."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.last: Rows = np.zeros((0, 0), np.float32)

    def __call__(self, outputs: Rows) -> Rows:
        self.last = outputs
        return super().__call__(outputs)


class Recogniser:
    """One classifier's folder, loaded as the site loads it.

    `network_seconds` is the engine's time for an image in the quickest batch, since other work on the machine only adds
    to it; 0 before the first.
    """

    def __init__(
        self, model: Path, *, device: str = "auto", backend: str | None = None, threads: int | None = None
    ) -> None:
        read_card(model)
        spec = PipelineSpec(digest=folder_digest(model), classifier=model)
        pipeline = load_pipeline(spec, device=device, backend=backend, threads=threads, embeddings=False)
        self.card = pipeline.stages["classifier"].card
        self._scorer = _Recording(self.card)
        self._raw = Scorer(replace(self.card, temperature=1.0)) if self.card.outputs.scores_are == "logits" else None
        self._pipeline: LoadedPipeline = replace(pipeline, scorer=self._scorer)
        self.device, self.backend = pipeline.device, pipeline.backend
        self.network_seconds = 0.0

    def recognise(
        self, lines: Sequence[ManifestLine], pictures: Pictures, *, batch: int = 32, change: Change | None = None
    ) -> Iterator[Recognised]:
        """In the order of the lines; pictures are read in threads, two batches ahead. `change` damages a picture."""
        if batch < 1:
            raise ModelError(f"A batch of {batch} pictures is none: use 1 or more.")
        waiting: deque[list[tuple[ManifestLine, Future[Prepared | str]]]] = deque()
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(lines), batch):
                part = lines[start : start + batch]
                waiting.append([(line, pool.submit(self._ready, line, pictures, change)) for line in part])
                if len(waiting) > 2:
                    yield from self._batch([(line, ready.result()) for line, ready in waiting.popleft()])
            while waiting:
                yield from self._batch([(line, ready.result()) for line, ready in waiting.popleft()])

    def _ready(self, line: ManifestLine, pictures: Pictures, change: Change | None) -> Prepared | str:
        """A picture ready for the network, or the code of what is wrong with it."""
        try:
            decoded = decode(pictures.path_of(line), at_least=self._pipeline.at_least)
            return self._pipeline.prepare(decoded if change is None else change(decoded, line))
        except FileNotFoundError:
            return MISSING
        except ImageRejected as error:
            return error.code

    def _batch(self, pictures: Sequence[tuple[ManifestLine, Prepared | str]]) -> Iterator[Recognised]:
        ready = [one for _, one in pictures if not isinstance(one, str)]
        begun = time.perf_counter()
        answers = iter(enumerate(self._pipeline.recognise_prepared(ready, embeddings=False)))
        if ready:
            seconds = (time.perf_counter() - begun) / len(ready)
            self.network_seconds = min(self.network_seconds or seconds, seconds)
        outputs = self._scorer.last
        raw = self._raw(outputs).max(axis=1) if self._raw is not None and len(outputs) == len(ready) > 0 else None
        for line, one in pictures:
            if isinstance(one, str):
                yield Recognised(line, failure=one)
                continue
            row, answer = next(answers)
            if isinstance(answer, Failure):
                yield Recognised(line, failure=answer.code)
            else:
                scores = answer.regions[0].scores
                yield Recognised(line, scores, outputs[row], None if raw is None else float(raw[row]))
