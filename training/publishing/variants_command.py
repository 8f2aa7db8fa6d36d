"""Variants of any model folder, measured on the pictures of a run folder whose labels it knows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from classifier.card import read_card
from classifier.errors import ModelError
from training.contract import TRAIN, VALIDATION, ManifestLine
from training.evaluation.samples import sample_of
from training.learning.cache import inputs_of
from training.learning.machine import processors
from training.pictures import Pictures
from training.publishing.variants import CALIBRATING, MOST_MEASURED, Samples, lines_of, make_variants
from training.run_folder import RunFolder


def lighter(model: Path, run: Path, out: Path, names: Sequence[str]) -> list[Mapping[str, object]]:
    """Make them in `out` and return their table."""
    for name in names:
        if (out / name).exists():
            raise ModelError(f"{out / name} is there already, and versions never change: choose another folder")
    card, manifest, pictures = read_card(model), RunFolder(run).manifest, Pictures.read(run)
    places = {label.key: place for place, label in enumerate(card.labels)}
    judged = sample_of(manifest, VALIDATION)
    known = [(line, places[key]) for line, key in zip(judged.lines, judged.truth, strict=True) if key in places]
    watched = [known[place] for place in _spread(len(known), MOST_MEASURED)]
    learned = sample_of(manifest, TRAIN).lines
    with tempfile.TemporaryDirectory(prefix="osprey-variants-") as beside:
        folder = RunFolder(Path(beside))

        def read(lines: Sequence[ManifestLine]) -> tuple[np.ndarray, np.ndarray]:
            found = inputs_of(lines, pictures, card, folder, processors())
            return np.array(found.pixels), found.positions

        inputs, positions = read([line for line, _ in watched])
        ranges, _ = read([learned[place] for place in _spread(len(learned), CALIBRATING)])
        truth = np.array([place for _, place in watched], dtype=np.int64)[positions]
        return lines_of(make_variants(model, out, names, Samples(ranges, inputs, truth), work=Path(beside)))


def _spread(count: int, most: int) -> list[int]:
    """At most so many places, spread over all."""
    return np.linspace(0, count - 1, min(count, most)).astype(int).tolist() if count else []
