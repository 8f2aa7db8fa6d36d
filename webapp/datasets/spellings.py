"""Finds labels that may be one word spelled differently. It only ever offers: people merge."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webapp.projects.names import fold

MOST = 50
SHORTEST = 5
"""Words with fewer letters differ by one letter too often: cat, rat, bat."""


@dataclass(frozen=True)
class Alike:
    """Two names that may mean one label, and how they differ."""

    first: str
    second: str
    how: str


def alike(names: Sequence[str], among: Iterable[str]) -> list[Alike]:
    """Pairs of a name of `names` and another of `among` (or of `names`), each pair once, the likest first."""
    everything = list(dict.fromkeys([*names, *among]))
    wanted = set(names)
    found: dict[frozenset[str], Alike] = {}
    for how, groups in (
        ("plural, case or underscore", _by(everything, _bare)),
        ("one letter", _by_deletion(everything)),
        ("a longer form", _by_tail(everything)),
    ):
        for group in groups:
            for place, first in enumerate(group):
                for second in group[place + 1 :]:
                    key = frozenset((first, second))
                    if len(key) == 2 and (first in wanted or second in wanted):
                        found.setdefault(key, Alike(first, second, how))
    return list(found.values())[:MOST]


def _bare(name: str) -> str:
    """Folded, one blank between words, each word in the singular."""
    return " ".join(_singular(word) for word in re.split(r"[\W_]+", fold(name)) if word)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("ses", "xes", "shes", "ches")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _by(names: Iterable[str], key: object) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found = key(name)  # type: ignore[operator]
        if found:
            groups[found].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _by_deletion(names: Iterable[str]) -> list[list[str]]:
    """Names that become the same when at most one letter of each goes: one letter more, less or other."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        bare = _bare(name)
        if len(bare) < SHORTEST or any(letter.isdigit() for letter in bare):
            continue
        for shorter in {bare, *(bare[:at] + bare[at + 1 :] for at in range(len(bare)))}:
            groups[shorter].append(name)
    return [group for group in groups.values() if 1 < len(group) <= MOST]


def _by_tail(names: Iterable[str]) -> list[list[str]]:
    """`plains zebra` beside `zebra`: a name that is the end of a longer one."""
    bare = {name: _bare(name) for name in names}
    whole: dict[str, list[str]] = defaultdict(list)
    for name, words in bare.items():
        whole[words].append(name)
    pairs = []
    for name, words in bare.items():
        parts = words.split(" ")
        for start in range(1, len(parts)):
            for shorter in whole.get(" ".join(parts[start:]), []):
                if not any(letter.isdigit() for letter in bare[shorter]):
                    pairs.append([shorter, name])
    return pairs
