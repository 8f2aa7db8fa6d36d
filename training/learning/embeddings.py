"""What a network sees in each image, as the site stores it: from a file, the missing ones computed by the engine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.card import read_card
from classifier.engine import LoadedPipeline, Prepared, load_pipeline
from classifier.errors import ImageRejected
from classifier.images import decode
from classifier.types import Answer, PipelineSpec
from training.contract import ManifestLine, Progress
from training.learning.machine import processors
from training.pictures import Pictures
from training.run_folder import RunFolder

_BATCH = 32
Vectors = dict[str, NDArray[np.float16]]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors (n x d, of length 1) of the images at `positions` of what was asked for; the rest cannot be read."""

    vectors: NDArray[np.float32]
    positions: NDArray[np.intp]


def embed(lines: Sequence[ManifestLine], pictures: Pictures, model: Path, folder: RunFolder, device: str) -> Embedded:
    """Embeddings by a model folder. What had to be computed is kept in the run's cache."""
    space = read_card(model).embedding_space
    kept = folder.cache / "embeddings.npz"
    known: Vectors = {}
    for path in (folder.embeddings, kept):
        known.update(_read(path, space, folder))
    missing = [line for line in lines if line.sha256 not in known]
    if missing:
        computed = _compute(missing, pictures, model, folder, device)
        known.update(computed)
        _write(kept, {**_read(kept, space, folder), **computed}, space)
    positions = [number for number, line in enumerate(lines) if line.sha256 in known]
    size = next(iter(known.values())).shape[0] if known else 0
    vectors = np.empty((len(positions), size), dtype=np.float32)
    for row, number in enumerate(positions):
        vectors[row] = known[lines[number].sha256]
    return Embedded(vectors, np.array(positions, dtype=np.intp))


def known_digests(path: Path) -> frozenset[str]:
    """The images that a file of stored embeddings has."""
    if not path.exists():
        return frozenset()
    with np.load(path, allow_pickle=False) as data:
        return frozenset(data["sha256"].tolist())


def _read(path: Path, space: str, folder: RunFolder) -> Vectors:
    """Vectors by SHA-256; a file of another network is said and not used."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as data:
        if str(data["space"]) != space:
            folder.log(f"{path.name} holds embeddings of another network; they are computed anew")
            return {}
        return dict(zip(data["sha256"].tolist(), np.asarray(data["vectors"], dtype=np.float16), strict=True))


def _write(path: Path, vectors: Mapping[str, NDArray[np.float16]], space: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        names = np.array(list(vectors), dtype="U64")
        np.savez(file, sha256=names, vectors=np.stack(list(vectors.values())), space=np.array(space))
    beside.replace(path)


def _compute(lines: Sequence[ManifestLine], pictures: Pictures, model: Path, folder: RunFolder, device: str) -> Vectors:
    folder.stage("embedding", f"{len(lines)} images that have no stored embedding", of=len(lines))
    pipeline = load_pipeline(PipelineSpec(digest="training", classifier=model), device=device)
    found: Vectors = {}
    begun = said = time.monotonic()
    with ThreadPoolExecutor(processors()) as threads:
        jobs = threads.map(lambda line: _prepare(pipeline, pictures.path_of(line)), lines)
        waiting: list[tuple[ManifestLine, Prepared]] = []
        for number, (line, prepared) in enumerate(zip(lines, jobs, strict=True), start=1):
            if prepared is None:
                folder.log(f"{line.path or line.sha256} cannot be read and is left out")
            else:
                waiting.append((line, prepared))
            if len(waiting) == _BATCH or number == len(lines):
                found.update(_vectors(pipeline, waiting))
                waiting = []
            if time.monotonic() - said > 1:
                said = time.monotonic()
                _say(folder, number, len(lines), said - begun)
    return found


def _prepare(pipeline: LoadedPipeline, path: Path) -> Prepared | None:
    try:
        return pipeline.prepare(decode(path, at_least=pipeline.at_least))
    except (ImageRejected, OSError):
        return None


def _vectors(pipeline: LoadedPipeline, waiting: Sequence[tuple[ManifestLine, Prepared]]) -> Vectors:
    answers = pipeline.recognise_prepared([prepared for _, prepared in waiting])
    found: Vectors = {}
    for (line, _), answer in zip(waiting, answers, strict=True):
        if isinstance(answer, Answer) and answer.regions[0].embedding is not None:
            found[line.sha256] = answer.regions[0].embedding
    return found


def _say(folder: RunFolder, done: int, of: int, seconds: float) -> None:
    rate = done / seconds
    folder.say(
        Progress(
            kind="work",
            at=time.time(),
            stage="embedding",
            done=done,
            of=of,
            images_per_second=rate,
            seconds_left=(of - done) / rate,
        )
    )
