"""Joins pairs into clusters whose names last: the smallest id that was ever in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Clusters:
    """A forest of ids; the root of each tree is the name of its cluster."""

    def __init__(self, known: Mapping[int, int]) -> None:
        self._parent: dict[int, int] = {}
        for member, name in known.items():
            self.join(member, name)

    def name_of(self, member: int) -> int:
        """The name of the cluster; an id that was never joined names itself."""
        root = member
        while (above := self._parent.get(root, root)) != root:
            root = above
        while (above := self._parent.get(member, member)) != root:
            self._parent[member] = root
            member = above
        return root

    def join(self, one: int, other: int) -> None:
        """The smaller name wins, whatever the sizes: names must not move while clusters grow."""
        first, second = sorted((self.name_of(one), self.name_of(other)))
        self._parent[first] = first
        self._parent[second] = first

    def join_all(self, pairs: Iterable[tuple[int, int]]) -> None:
        for one, other in pairs:
            self.join(one, other)

    def names(self) -> dict[int, int]:
        """By id, for all ids that were ever joined."""
        return {member: self.name_of(member) for member in list(self._parent)}
