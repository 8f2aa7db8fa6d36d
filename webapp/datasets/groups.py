"""Which images hang together: connected components of what they share. No Django here."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

ALWAYS = ("cluster", "sequence")
"""Near-duplicates and bursts never straddle, whatever else is asked."""

CHOICES = ("site", "visit", "individual", "author", "camera", "source")
"""What else may bind images: each a field of a manifest's line."""


class Groups:
    """Union-find over images that are numbered in the order they are added."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._first: dict[Hashable, int] = {}

    def add(self, keys: Iterable[Hashable]) -> int:
        """One more image, bound to every earlier one that has one of these keys; returns its number."""
        number = len(self._parent)
        self._parent.append(number)
        for key in keys:
            other = self._first.setdefault(key, number)
            if other != number:
                self._join(number, other)
        return number

    def root(self, number: int) -> int:
        """The smallest number of the group that an image is in."""
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def _join(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        if one != other:
            self._parent[max(one, other)] = min(one, other)

    def __len__(self) -> int:
        return len(self._parent)
