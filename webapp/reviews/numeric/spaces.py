"""Vectors by the million: fewer dimensions, cells of near ones, nearest neighbours. In blocks, so memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BLOCK = 8192
DIMENSIONS = 128
ROUNDS = 12
LEARNT_FROM = 50_000
COMPARED = 4096


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def reduced(matrix: NDArray[np.floating], dimensions: int = DIMENSIONS) -> Floats:
    """Unit vectors along the directions in which the rows are longest (an SVD without centring)."""
    width = matrix.shape[1]
    if width <= dimensions:
        return unit(np.asarray(matrix, dtype=np.float32))
    moments = np.zeros((width, width))
    sample = np.arange(0, len(matrix), max(1, len(matrix) // LEARNT_FROM))
    for part in blocks(len(sample)):
        rows = np.asarray(matrix[sample[part]], dtype=np.float32)
        moments += rows.T @ rows
    axes = np.linalg.eigh(moments)[1][:, ::-1][:, :dimensions].astype(np.float32)
    made = np.empty((len(matrix), dimensions), dtype=np.float32)
    for part in blocks(len(matrix)):
        made[part] = unit(np.asarray(matrix[part], dtype=np.float32) @ axes)
    return made


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def cells(vectors: Floats, count: int, *, seed: int = 0) -> tuple[Ints, Floats]:
    """Spherical k-means: the cell of each vector, and how near it is to its cell's centre (a cosine)."""
    random = np.random.default_rng(seed)
    count = min(count, len(vectors))
    sample = vectors[random.permutation(len(vectors))[: max(LEARNT_FROM, count)]]
    centres = sample[_spread(sample, count, random)]
    for _ in range(ROUNDS):
        cell, near = nearest(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, sample)
        empty = np.bincount(cell, minlength=count) == 0
        sums[empty] = sample[np.argsort(near)[: int(empty.sum())]]
        centres = unit(sums)
    return nearest(vectors, centres)


def _spread(sample: Floats, count: int, random: np.random.Generator) -> Ints:
    """Starting points far from each other, chosen as k-means++ does, from a part of the sample when it is large."""
    if count > 512:
        return np.asarray(random.permutation(len(sample))[:count])
    chosen = [int(random.integers(len(sample)))]
    gap = 1.0 - sample @ sample[chosen[0]]
    for _ in range(count - 1):
        weights = np.maximum(gap, 0.0) ** 2
        total = float(weights.sum())
        chosen.append(int(random.choice(len(sample), p=weights / total)) if total > 0 else len(chosen) % len(sample))
        gap = np.minimum(gap, 1.0 - sample @ sample[chosen[-1]])
    return np.array(chosen)


def nearest(vectors: Floats, references: Floats) -> tuple[Ints, Floats]:
    """For each vector the nearest reference and the cosine between the two."""
    where = np.empty(len(vectors), dtype=np.int64)
    near = np.empty(len(vectors), dtype=np.float32)
    for part in blocks(len(vectors), max(64, 40_000_000 // max(1, len(references)))):
        likeness = vectors[part] @ references.T
        where[part] = likeness.argmax(axis=1)
        near[part] = np.take_along_axis(likeness, where[part, None], axis=1)[:, 0]
    return where, near


def nearest_other(vectors: Floats, references: Floats, own: Ints) -> tuple[Ints, Floats]:
    """The same for vectors that are references themselves: `own` says where each must not look (-1: nowhere)."""
    where = np.empty(len(vectors), dtype=np.int64)
    near = np.empty(len(vectors), dtype=np.float32)
    for part in blocks(len(vectors), max(64, 40_000_000 // max(1, len(references)))):
        likeness = vectors[part] @ references.T
        mine = own[part]
        rows = np.flatnonzero(mine >= 0)
        likeness[rows, mine[rows]] = -2.0
        where[part] = likeness.argmax(axis=1)
        near[part] = np.take_along_axis(likeness, where[part, None], axis=1)[:, 0]
    return where, near


def alike_pairs(vectors: Floats, *, at_least: float, cell_size: int = 1000) -> Iterator[Ints]:
    """Pairs of positions whose cosine is at least that, the smaller first, in parts.

    Beyond some thousand vectors, only pairs that share a cell; in a crowded one each meets some thousand after it.
    """
    count = max(1, round(len(vectors) / cell_size))
    cell = cells(vectors, count)[0] if count > 3 else np.zeros(len(vectors), dtype=np.int64)
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(cell.max(initial=0) + 2))
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        members = order[start:stop]
        for part in blocks(len(members), COMPARED // 4):
            others = members[part.start : part.stop + COMPARED]
            likeness = vectors[members[part]] @ vectors[others].T
            left, right = np.nonzero(likeness >= at_least)
            later = right > left
            yield np.stack([members[part][left[later]], others[right[later]]], axis=1)
