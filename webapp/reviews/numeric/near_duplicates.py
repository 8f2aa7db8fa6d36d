"""Which pictures are near-duplicates: the rule, over hashes, grey copies and embeddings.

Candidates are pairs whose perceptual hashes differ in at most 7 of 64 bits, where either may be seen in a mirror or
through one of a few windows (its middle, or all but its foot), and pairs whose hashes differ in at most 20 bits while
their embeddings are nearly the same. Two candidates are near-duplicates when they agree tile by tile, so that scenes of
a still camera with the animal elsewhere are none (`numeric.windows`). Where a thumbnail is missing, embeddings that do
not contradict are enough for plain pairs. docs/measured.md says what edits and distinct pictures give. A featureless
picture is like any other of its kind, and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.fingerprint import mirrored
from webapp.reviews.numeric import spaces, windows
from webapp.reviews.numeric.hashes import REACH, Pairs, close_pairs, differing_bits, unique
from webapp.reviews.numeric.stored import Stored

CONTRADICTS = 0.6
FAR_BITS = 20
NEARLY_THE_SAME = 0.92
CLEARLY_APART = 28
ABOVE_CHANCE = 0.02
SAMPLE = 200_000
BLOCK = 50_000


@dataclass(frozen=True)
class Hashes:
    """The measured images of a project, in the order of their ids."""

    ids: NDArray[np.int64]
    hashes: NDArray[np.int64]
    news: NDArray[np.bool_] | None


def pairs_of(known: Hashes, embedded: Stored | None, small: Stored) -> tuple[Pairs, NDArray[np.bool_]]:
    """Pairs of positions, and which of them the hashes gave."""
    seen = small.find(known.ids)
    near = close_pairs(known.hashes, at_most=REACH, news=known.news)
    copies = _copies(known, seen, small)
    far = np.empty((0, 2), dtype=np.int64)
    if embedded is not None:
        rows = embedded.find(known.ids)
        near = near[(_likeness(near, rows, embedded) >= CONTRADICTS) | _have(seen, near)]
        far = _alike(known, rows, embedded)
    by_hash = unique(np.concatenate([near, copies]))
    both, first = np.unique(np.concatenate([by_hash, far]), axis=0, return_index=True)
    true = _agree(both, seen, small)
    return both[true], (first < len(by_hash))[true]


def _copies(known: Hashes, seen: NDArray[np.int64], small: Stored) -> Pairs:
    """Pairs of which one is like the other in a mirror, or like a part of it."""
    there = np.flatnonzero(seen >= 0)
    whole = np.concatenate([known.hashes[there], mirrored(known.hashes[there])])
    found = [_across(known, there, whole[: len(there)], mirrored(known.hashes[there]))]
    for hashes in windows.bank(small.matrix, seen[there]):
        found.append(_across(known, there, whole, hashes))
    return unique(np.concatenate(found))


def _across(known: Hashes, there: NDArray[np.int64], whole: NDArray[np.int64], parts: NDArray[np.int64]) -> Pairs:
    """Pairs of a hash of a whole picture (a row or several for each) and one of a part of another."""
    some = np.flatnonzero(parts)
    owners = np.concatenate([*[there] * (len(whole) // max(1, len(there))), there[some]])
    news = None if known.news is None else known.news[owners]
    pairs = close_pairs(np.concatenate([whole, parts[some]]), news=news)
    pairs = pairs[(pairs[:, 0] < len(whole)) & (pairs[:, 1] >= len(whole))]
    both = owners[pairs]
    return np.asarray(both[both[:, 0] != both[:, 1]])


def _have(seen: NDArray[np.int64], pairs: Pairs) -> NDArray[np.bool_]:
    return np.asarray((seen[pairs] >= 0).all(axis=1))


def _agree(pairs: Pairs, seen: NDArray[np.int64], small: Stored) -> NDArray[np.bool_]:
    """Whether the pictures agree; pairs of which one cannot be looked at are taken as they are."""
    true, looked = np.ones(len(pairs), dtype=np.bool_), np.flatnonzero(_have(seen, pairs))
    true[looked] = windows.agree(small.matrix, seen[pairs[looked]])
    return true


def _likeness(pairs: Pairs, rows: NDArray[np.int64], embedded: Stored) -> NDArray[np.float32]:
    """Cosines of pairs; a pair without embeddings is not contradicted."""
    found = np.ones(len(pairs), dtype=np.float32)
    have = np.flatnonzero((rows[pairs] >= 0).all(axis=1))
    for part in spaces.blocks(len(have), BLOCK):
        one, other = rows[pairs[have[part]]].T
        first = np.asarray(embedded.matrix[one], dtype=np.float32)
        found[have[part]] = np.einsum("ij,ij->i", first, np.asarray(embedded.matrix[other], dtype=np.float32))
    return found


def _alike(known: Hashes, rows: NDArray[np.int64], embedded: Stored) -> Pairs:
    """Pairs that the embedding finds: crops, captions, frames of one burst. The hash still has to be related."""
    there = np.flatnonzero(rows >= 0)
    if len(there) < 2 or (known.news is not None and not known.news[there].any()):
        return np.empty((0, 2), dtype=np.int64)
    limit = _limit(known, there, rows, embedded)
    if limit >= 1.0:
        return np.empty((0, 2), dtype=np.int64)
    small = spaces.reduced(embedded.matrix[rows[there]] if len(there) < BLOCK else _rows(embedded, rows[there]))
    pairs = there[spaces.alike_pairs(small, at_least=limit - 0.02)]
    if known.news is not None:
        pairs = pairs[known.news[pairs].any(axis=1)]
    bits = np.minimum(differing_bits(known.hashes, pairs), differing_bits(known.hashes, pairs, mirrored(known.hashes)))
    pairs = pairs[bits <= FAR_BITS]
    return pairs[_likeness(pairs, rows, embedded) >= limit]


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
