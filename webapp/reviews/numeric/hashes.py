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
CHUNK = 2_000_000


def close_pairs(hashes: NDArray[np.int64], *, at_most: int = REACH, news: NDArray[np.bool_] | None = None) -> Pairs:
    """All pairs that differ in `at_most` (0..7) bits; with `news`, only those in which one of the two is new.

    Equal hashes come as a chain and a star, each with the next and with the first of its kind.
    About a kilobyte of memory for each 10 hashes.
    """
    if not 0 <= at_most <= REACH:
        raise ValueError(f"at_most is 0 to {REACH}, not {at_most}")
    distinct, first, kind = np.unique(hashes, return_index=True, return_inverse=True)
    found = [_chains(kind)]
    is_new = None if news is None else np.bincount(kind, weights=news, minlength=len(distinct)) > 0
    values = distinct.view(np.uint64)
    for band in range(BANDS):
        for pairs in _in_band(values, band, at_most, is_new):
            found.append(first[pairs])
    return unique(np.concatenate(found))


def _chains(kind: NDArray[np.intp]) -> Pairs:
    order = np.argsort(kind, kind="stable")
    ranked = kind[order]
    later = np.r_[False, ranked[1:] == ranked[:-1]] if len(ranked) else np.empty(0, dtype=np.bool_)
    first = order[np.searchsorted(ranked, ranked)]
    before = np.r_[order[:1], order[:-1]]
    both = np.stack([before[later], order[later]], axis=1), np.stack([first[later], order[later]], axis=1)
    return unique(np.concatenate(both).astype(np.int64))


def _in_band(values: NDArray[np.uint64], band: int, at_most: int, is_new: NDArray[np.bool_] | None) -> Iterator[Pairs]:
    """Pairs of values whose bits in this band are equal or differ in one."""
    keys = ((values >> np.uint64(band * BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    starts = np.searchsorted(keys[order], np.arange(2**BAND_BITS + 1))
    askers = np.arange(len(values)) if is_new is None else np.flatnonzero(is_new)
    for flip in (0, *(1 << bit for bit in range(BAND_BITS))):
        theirs = keys[askers] ^ flip
        lengths = np.minimum(starts[theirs + 1] - starts[theirs], LONGEST_RUN)
        ends = np.cumsum(lengths)
        begin = 0
        while begin < len(askers):
            base = ends[begin - 1] if begin else 0
            stop = max(begin + 1, int(np.searchsorted(ends, base + CHUNK, side="right")))
            part = lengths[begin:stop]
            left = np.repeat(askers[begin:stop], part)
            within = np.arange(len(left)) - np.repeat(np.cumsum(part) - part, part)
            right = order[np.repeat(starts[theirs[begin:stop]], part) + within]
            bits = np.bitwise_count(values[left] ^ values[right])
            close = (bits <= at_most) & (left != right)
            yield np.stack([left[close], right[close]], axis=1)
            begin = stop


def unique(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller position first."""
    if not len(pairs):
        return pairs.reshape(0, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def differing_bits(
    hashes: NDArray[np.int64], pairs: Pairs, others: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """How many bits the two of each pair differ in; with `others`, the second of each is looked up there."""
    second = hashes if others is None else others
    return np.asarray(np.bitwise_count(hashes[pairs[:, 0]].view(np.uint64) ^ second[pairs[:, 1]].view(np.uint64)))
