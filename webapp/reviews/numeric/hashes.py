"""Pairs of 64-bit hashes that differ in few bits, found without comparing each with each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]
"""Two columns of positions, the smaller first."""

BANDS = 4
BAND_BITS = 16
REACH = 2 * BANDS - 1
"""Any two hashes that differ in at most 7 bits differ in at most one bit of one of four bands."""
LONGEST_RUN = 2000
"""Of hashes that share a band, each is compared with so many that came before it."""
CHUNK = 1_000_000


def close_pairs(hashes: NDArray[np.int64], *, at_most: int = REACH, news: NDArray[np.bool_] | None = None) -> Pairs:
    """The pairs of `find_close`, each once."""
    return unique(np.concatenate(list(find_close(hashes, at_most=at_most, news=news))))


def find_close(
    hashes: NDArray[np.int64], *, at_most: int = REACH, news: NDArray[np.bool_] | None = None
) -> Iterator[Pairs]:
    """All pairs that differ in `at_most` (0..7) bits, in parts; with `news`, those in which one of the two is new.

    Equal hashes come as a chain and a star, each with the next and with the first of its kind. A pair comes once for
    each band that gives it.
    """
    if not 0 <= at_most <= REACH:
        raise ValueError(f"at_most is 0 to {REACH}, not {at_most}")
    distinct, first, kind = np.unique(hashes, return_index=True, return_inverse=True)
    yield _chains(kind)
    is_new = np.zeros(len(distinct), dtype=np.bool_)
    if news is not None:
        is_new = np.bincount(kind, weights=news, minlength=len(distinct)) > 0
    order = np.lexsort((first, is_new))  # new ones last, so that each pair has a new one that asks those before it
    values, first = distinct[order], first[order]
    askers = np.arange(len(values)) if news is None else np.flatnonzero(is_new[order])
    for pairs in _search(values, values[askers], askers, at_most):
        yield np.stack([first[pairs[:, 0]], first[askers[pairs[:, 1]]]], axis=1)


def find_across(hashes: NDArray[np.int64], others: NDArray[np.int64], *, at_most: int = REACH) -> Iterator[Pairs]:
    """Pairs of a place among the one and a place among the others, in parts; equal hashes are met by their first."""
    distinct, first = np.unique(hashes, return_index=True)
    order = np.argsort(first)
    values, first = distinct[order], first[order]
    for pairs in _search(values, others, None, at_most):
        yield np.stack([first[pairs[:, 0]], pairs[:, 1]], axis=1)


def _chains(kind: NDArray[np.intp]) -> Pairs:
    order = np.argsort(kind, kind="stable")
    ranked = kind[order]
    later = np.r_[False, ranked[1:] == ranked[:-1]] if len(ranked) else np.empty(0, dtype=np.bool_)
    first = order[np.searchsorted(ranked, ranked)]
    before = np.r_[order[:1], order[:-1]]
    both = np.stack([before[later], order[later]], axis=1), np.stack([first[later], order[later]], axis=1)
    return unique(np.concatenate(both).astype(np.int64))


def _search(
    values: NDArray[np.int64], asking: NDArray[np.int64], before: NDArray[np.int64] | None, at_most: int
) -> Iterator[Pairs]:
    """Places in `values` and in `asking` of pairs that are close; the n-th asks only the first `before[n]` values."""
    for band in range(BANDS):
        keys = _bits(values, band)
        order = np.argsort(keys, kind="stable")
        ranked = keys[order] * len(values) + order
        edges = np.searchsorted(keys[order], np.arange(2**BAND_BITS + 1))
        wanted = _bits(asking, band)
        by_key = np.argsort(wanted, kind="stable")  # neighbours look in one place
        for flip in (0, *(1 << bit for bit in range(BAND_BITS))):
            theirs = wanted[by_key] ^ flip
            stops = edges[theirs + 1]
            if before is not None:
                stops = np.searchsorted(ranked, theirs * len(values) + before[by_key])
            starts = np.maximum(edges[theirs], stops - LONGEST_RUN)
            for part in _portions(stops - starts):
                lengths = stops[part] - starts[part]
                asker = np.repeat(by_key[part], lengths)
                within = np.arange(len(asker)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
                found = order[np.repeat(starts[part], lengths) + within]
                close = np.bitwise_count((values[found] ^ asking[asker]).view(np.uint64)) <= at_most
                yield np.stack([found[close], asker[close]], axis=1)


def _bits(values: NDArray[np.int64], band: int) -> NDArray[np.int64]:
    return (values >> (band * BAND_BITS)) & 0xFFFF


def _portions(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Slices of which each is about a chunk of work."""
    ends = np.cumsum(lengths)
    begin = 0
    while begin < len(lengths):
        done = int(ends[begin - 1]) if begin else 0
        stop = max(begin + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        yield slice(begin, stop)
        begin = stop


def unique(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller position first."""
    if not len(pairs):
        return pairs.reshape(0, 2)
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    width = int(high.max()) + 1
    return np.stack(np.divmod(np.unique(low * width + high), width), axis=1)


def differing_bits(
    hashes: NDArray[np.int64], pairs: Pairs, others: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """How many bits the two of each pair differ in; with `others`, the second of each is looked up there."""
    second = hashes if others is None else others
    return np.asarray(np.bitwise_count(hashes[pairs[:, 0]].view(np.uint64) ^ second[pairs[:, 1]].view(np.uint64)))
