"""Joins pictures pair by pair, and looks at as few pairs as it takes.

A pair whose ends are joined already proves nothing: of a thousand copies of one picture, 999 pairs are looked at, not
half a million. Only pictures that are like each other to a hash, but not to the eye, are all compared.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from webapp.reviews.numeric.hashes import Pairs, unique

Ints = NDArray[np.int64]
Look = Callable[[Pairs], NDArray[np.bool_]]
"""Which of these pairs are to be joined."""

WAITING = 500_000
MOST_LOOKS = 2000
"""A picture is compared with so many before it; a still camera may have taken a hundred thousand that nearly agree."""


class Forest:
    """Pictures by their positions; `names` says what is joined already: equal ones, but for 0, which are alone."""

    def __init__(self, names: Ints, look: Look) -> None:
        self._look = look
        self._above = np.arange(len(names))
        named = np.flatnonzero(names)
        _, first, which = np.unique(names[named], return_index=True, return_inverse=True)
        self._above[named] = named[first][which]
        self._looks = np.zeros(len(names), dtype=np.int32)
        self._links: list[Pairs] = []
        self._waiting: list[Pairs] = []
        self._waits = 0

    def apart(self, pairs: Pairs) -> Pairs:
        """Those whose ends are not joined yet."""
        ends = self._roots(pairs)
        return np.asarray(pairs[ends[:, 0] != ends[:, 1]])

    def offer(self, pairs: Pairs) -> None:
        """Have these pairs looked at, soon: the same pair often comes several times."""
        pairs = self.apart(pairs)
        self._waiting.append(pairs)
        self._waits += len(pairs)
        if self._waits >= WAITING:
            self._settle()

    def links(self) -> Pairs:
        """The pairs that were joined since this was asked last."""
        self._settle()
        found, self._links = self._links, []
        return np.concatenate([*found, np.empty((0, 2), dtype=np.int64)])

    def _settle(self) -> None:
        """Each picture is looked at beside the last before it, then beside two more, four more, until all is known.

        The first round is a forest already, and usually the last.
        """
        pairs = np.concatenate([*self._waiting, np.empty((0, 2), dtype=np.int64)])
        self._waiting, self._waits = [], 0
        pairs = unique(self.apart(pairs))
        pairs = pairs[np.lexsort((-pairs[:, 0], pairs[:, 1]))]
        share = 1
        while len(pairs):
            turn = (_rank(pairs[:, 1]) < share) & (self._looks[pairs[:, 1]] < MOST_LOOKS)
            looked = pairs[turn]
            if not len(looked):
                return
            np.add.at(self._looks, looked[:, 1], 1)
            true = looked[self._look(looked)]
            self._links.append(true)
            self._join(true)
            pairs = self.apart(pairs[~turn])
            share *= 2

    def _roots(self, places: Ints) -> Ints:
        found: Ints = self._above[places]
        while True:
            above = self._above[found]
            if (above == found).all():
                break
            found = above
        self._above[places] = found
        return found

    def _join(self, pairs: Pairs) -> None:
        """The smaller root of each pair becomes the other's; a root in several pairs takes a few rounds."""
        while len(pairs):
            ends = np.sort(self._roots(pairs), axis=1)
            open_ = ends[:, 0] != ends[:, 1]
            pairs, ends = pairs[open_], ends[open_]
            np.minimum.at(self._above, ends[:, 1], ends[:, 0])


def _rank(sorted_ends: Ints) -> Ints:
    """The how many-th of its kind each is, from 0."""
    starts = np.flatnonzero(np.r_[True, sorted_ends[1:] != sorted_ends[:-1]])
    return np.arange(len(sorted_ends)) - np.repeat(starts, np.diff(np.r_[starts, len(sorted_ends)]))
