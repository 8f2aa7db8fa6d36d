"""The images a run learns from and is watched on: chosen from the manifest, with their truth and weight."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.contract import TEST, TRAIN, VALIDATION, ConfigError, ManifestHead, ManifestLine, RunConfig, read_manifest
from training.labels import LabelSet, key_of, label_set
from training.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Examples:
    """Images with the output that is right for each, and how much each counts."""

    lines: tuple[ManifestLine, ...]
    truth: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.lines)

    def counts(self, classes: int) -> NDArray[np.int64]:
        """Images of each output."""
        return np.bincount(self.truth, minlength=classes)

    def only(self, chosen: Sequence[int] | NDArray[np.intp]) -> Examples:
        index = np.asarray(chosen, dtype=np.intp)
        return Examples(tuple(self.lines[one] for one in index), self.truth[index], self.weights[index])


@dataclass(frozen=True, slots=True)
class Data:
    """What a run may look at while it learns. Of the test part only whether there is one: evaluation reads it."""

    labels: LabelSet
    train: Examples
    validation: Examples
    pictures: Pictures
    has_test: bool = True


def gather(manifest: Path, pictures: Pictures, config: RunConfig) -> Data:
    """The training and validation images of a manifest, as the config asks for them."""
    head, lines = read_manifest(manifest)
    parts: dict[str, list[ManifestLine]] = {TRAIN: [], VALIDATION: []}
    has_test = False
    for line in lines:
        if line.part in parts:
            parts[line.part].append(line)
        has_test = has_test or line.part == TEST
    labels = label_set(head, parts[TRAIN], min_images=config.min_images)
    weights = read_weights(Path(config.image_weights)) if config.image_weights else {}
    if weights and not any(name in weights for line in parts[TRAIN] for name in _names(line)):
        raise ConfigError(f"image_weights: {config.image_weights} names none of the training images of this manifest")
    made = {part: _examples(head, chosen, labels, weights) for part, chosen in parts.items()}
    train = made[TRAIN]
    if config.per_class:
        train = train.only(_at_most(train.truth, config.per_class, config.seed))
    return Data(labels, train, made[VALIDATION], pictures, has_test)


def _examples(
    head: ManifestHead, lines: Sequence[ManifestLine], labels: LabelSet, weights: Mapping[str, float]
) -> Examples:
    index = labels.index
    kept = [(line, index[key]) for line in lines if (key := key_of(head, line)) in index]
    return Examples(
        tuple(line for line, _ in kept),
        np.array([output for _, output in kept], dtype=np.int64),
        np.array([_weight(line, weights) for line, _ in kept], dtype=np.float32),
    )


def _at_most(truth: NDArray[np.int64], most: int, seed: int) -> NDArray[np.intp]:
    """Positions of at most `most` images an output, drawn by seed, in their old order."""
    order = np.random.default_rng([seed, 1]).permutation(len(truth))
    chosen = [order[truth[order] == output][:most] for output in np.unique(truth)]
    return np.sort(np.concatenate(chosen))


_NAMING = ("sha256", "filepath", "path", "filename", "file", "image", "Image")


def read_weights(path: Path) -> dict[str, float]:
    """Weight by name, as `augment_data` writes them; a name is a SHA-256, a path, or a bare file name."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            mark = max(",;\t", key=file.readline().count)
            file.seek(0)
            rows = list(csv.DictReader(file, delimiter=mark))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"image_weights: {path} cannot be read as CSV: {error}") from error
    columns = set(rows[0]) if rows else set()
    naming = next((name for name in _NAMING if name in columns), "")
    if not naming or "weight" not in columns:
        raise ConfigError(f"image_weights: {path} needs a column weight and one of {', '.join(_NAMING)}")
    found: dict[str, float] = {}
    for number, row in enumerate(rows, start=2):
        try:
            weight = float(row["weight"])
        except (TypeError, ValueError):
            weight = -1.0
        if not 0 <= weight < float("inf"):
            raise ConfigError(f"image_weights: line {number} of {path} has the weight {row['weight']!r}, not 0 or more")
        found[row[naming]] = weight
    return found


def _weight(line: ManifestLine, weights: Mapping[str, float]) -> float:
    return next((weights[name] for name in _names(line) if name in weights), 1.0) if weights else 1.0


def _names(line: ManifestLine) -> tuple[str, ...]:
    """What a file of weights may call an image, the surest first."""
    return line.sha256, line.path, Path(line.path).name, str(line.image)
