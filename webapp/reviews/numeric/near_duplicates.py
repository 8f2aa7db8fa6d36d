"""Which pictures are near-duplicates: the rule, over hashes, grey copies and embeddings.

Candidates are pairs whose perceptual hashes differ in at most 7 of 64 bits, where either may be seen in a mirror or
through one of a few windows (its middle, or all but its foot), and pairs whose hashes differ in at most 20 bits while
their embeddings are nearly the same. Two candidates are near-duplicates when they agree tile by tile, so that scenes of
a still camera with the animal elsewhere are none (`numeric.windows`). Where a thumbnail is missing, embeddings that do
not contradict are enough for plain pairs. docs/measured.md says what edits and distinct pictures give. A featureless
picture is like any other of its kind, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.fingerprint import mirrored
from webapp.reviews.numeric import spaces, windows
from webapp.reviews.numeric.forest import Forest
from webapp.reviews.numeric.hashes import Pairs, differing_bits, find_across, find_close
from webapp.reviews.numeric.stored import Stored

CONTRADICTS = 0.6
FAR_BITS = 20
NEARLY_THE_SAME = 0.92
CLEARLY_APART = 28
ABOVE_CHANCE = 0.02
SAMPLE = 200_000
BLOCK = 20_000


@dataclass(frozen=True)
class Hashes:
    """The measured images of a project, in the order of their ids; `clusters` are the names they have (0: none yet)."""

    ids: NDArray[np.int64]
    hashes: NDArray[np.int64]
    news: NDArray[np.bool_] | None
    clusters: NDArray[np.int64]


def pairs_of(known: Hashes, embedded: Stored | None, small: Stored) -> tuple[Pairs, NDArray[np.bool_]]:
    """Pairs of positions that join all there is to join, no more than that takes, and which of them the hashes gave."""
    seen = small.find(known.ids)
    rows = np.full(len(known.ids), -1) if embedded is None else embedded.find(known.ids)
    forest = Forest(known.clusters, lambda pairs: _agree(pairs, seen, small))
    for near in find_close(known.hashes, news=known.news):
        pairs = forest.apart(_with_news(known, near))
        forest.offer(pairs if embedded is None else _not_contradicted(pairs, seen, rows, embedded))
    for copies in _copies(known, seen, small):
        forest.offer(copies)
    by_hash = forest.links()
    if embedded is not None:
        for far in _alike(known, rows, embedded, forest):
            forest.offer(far)
    both = np.concatenate([by_hash, forest.links()])
    return both, np.arange(len(both)) < len(by_hash)


def _with_news(known: Hashes, pairs: Pairs) -> Pairs:
    return pairs if known.news is None else pairs[known.news[pairs].any(axis=1)]


def _copies(known: Hashes, seen: NDArray[np.int64], small: Stored) -> Iterator[Pairs]:
    """Pairs of which one is like the other in a mirror, or like a part of it."""
    there = np.flatnonzero(seen >= 0)
    plain, turned = known.hashes[there], mirrored(known.hashes[there])
    yield from _across(known, there, plain, turned)
    for hashes in windows.bank(small.matrix, seen[there]):
        yield from _across(known, there, np.concatenate([plain, turned]), hashes)


def _across(
    known: Hashes, there: NDArray[np.int64], whole: NDArray[np.int64], parts: NDArray[np.int64]
) -> Iterator[Pairs]:
    """Pairs of a hash of a whole picture (one or two for each) and one of a part of another; 0 is no hash."""
    new = np.ones(len(there), dtype=np.bool_) if known.news is None else known.news[there]
    first, some = np.arange(len(whole)) % max(1, len(there)), parts != 0
    everything = np.arange(len(whole))
    for wholes, asking in ((everything, some & new), (np.flatnonzero(new[first]), some & ~new)):
        askers = np.flatnonzero(asking)
        if len(wholes) and len(askers):
            for pairs in find_across(whole[wholes], parts[askers]):
                both = np.stack([first[wholes[pairs[:, 0]]], askers[pairs[:, 1]]], axis=1)
                yield there[both[both[:, 0] != both[:, 1]]]


def _have(seen: NDArray[np.int64], pairs: Pairs) -> NDArray[np.bool_]:
    return np.asarray((seen[pairs] >= 0).all(axis=1))


def _agree(pairs: Pairs, seen: NDArray[np.int64], small: Stored) -> NDArray[np.bool_]:
    """Whether the pictures agree; pairs of which one cannot be looked at are taken as they are."""
    true, looked = np.ones(len(pairs), dtype=np.bool_), np.flatnonzero(_have(seen, pairs))
    true[looked] = windows.agree(small.matrix, seen[pairs[looked]])
    return true


def _not_contradicted(pairs: Pairs, seen: NDArray[np.int64], rows: NDArray[np.int64], embedded: Stored) -> Pairs:
    """Without those that cannot be looked at and whose embeddings differ."""
    good = _have(seen, pairs)
    good[~good] = _likeness(pairs[~good], rows, embedded) >= CONTRADICTS
    return pairs[good]


def _likeness(pairs: Pairs, rows: NDArray[np.int64], embedded: Stored) -> NDArray[np.float32]:
    """Cosines of pairs; a pair without embeddings is not contradicted."""
    found = np.ones(len(pairs), dtype=np.float32)
    have = np.flatnonzero((rows[pairs] >= 0).all(axis=1))
    for part in spaces.blocks(len(have), BLOCK):
        there, ends = np.unique(rows[pairs[have[part]]], return_inverse=True)
        vectors = np.asarray(embedded.matrix[there], dtype=np.float32)  # once each, in file order
        one, other = ends.reshape(-1, 2).T
        found[have[part]] = np.einsum("ij,ij->i", vectors[one], vectors[other])
    return found


def _alike(known: Hashes, rows: NDArray[np.int64], embedded: Stored, forest: Forest) -> Iterator[Pairs]:
    """Pairs that the embedding finds: crops, captions, frames of one burst. The hash still has to be related."""
    there = np.flatnonzero(rows >= 0)
    if len(there) < 2 or (known.news is not None and not known.news[there].any()):
        return
    limit = _limit(known, there, rows, embedded)
    if limit >= 1.0:
        return
    small = spaces.reduced(embedded.matrix[rows[there]] if len(there) < BLOCK else _rows(embedded, rows[there]))
    turned = mirrored(known.hashes)
    for alike in spaces.alike_pairs(small, at_least=limit - 0.02):
        pairs = forest.apart(_with_news(known, there[alike]))
        bits = np.minimum(differing_bits(known.hashes, pairs), differing_bits(known.hashes, pairs, turned))
        pairs = pairs[bits <= FAR_BITS]
        yield pairs[_likeness(pairs, rows, embedded) >= limit]


def _rows(embedded: Stored, rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """All rows in file order are the map itself; else they are copied."""
    if len(rows) == len(embedded.matrix) and (np.diff(rows) == 1).all():
        return embedded.matrix
    return np.asarray(embedded.matrix[rows])


def _limit(known: Hashes, there: NDArray[np.int64], rows: NDArray[np.int64], embedded: Stored) -> float:
    """How alike embeddings must be: beyond what pictures reach that are surely distinct.

    A network trained to the labels of the project draws all pictures of one label together; there the hash decides.
    """
    random = np.random.default_rng(0)
    pairs = there[random.integers(0, len(there), (min(SAMPLE, len(there) * 50), 2))]
    pairs = pairs[differing_bits(known.hashes, pairs) >= CLEARLY_APART]
    if not len(pairs):
        return NEARLY_THE_SAME
    by_chance = float(np.quantile(_likeness(pairs, rows, embedded), 0.9999))
    return max(NEARLY_THE_SAME, by_chance + ABOVE_CHANCE)
