"""`classify --csv`: one table for a folder of pictures, in the two forms that competitions ask for."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence

from classifier.card import Label

RANKS, SCORES = "ranks", "scores"
MOST_RANKS = 5


class TableError(ValueError):
    """The pictures or labels at hand cannot stand in such a table; says why."""


class Table:
    """Lines on standard output, one for each picture, also for one that could not be read: its cells stay empty.

    `ranks` is `Image,Id` with up to five labels, best first, apart by one space; a space in a name becomes `_`.
    `scores` is `image` and a column for each label, in the order of the version; each line sums to 1.
    """

    def __init__(self, style: str, labels: Sequence[Label], pictures: Sequence[str]) -> None:
        _refuse_twins("pictures", pictures, "name the folder above them")
        names = [label.name for label in labels]
        self._style = style
        self._words = {name: "_".join(name.split()) for name in names} if style == RANKS else {}
        _refuse_twins("labels", list(self._words.values()) or names, "give them names that differ")
        self._names = names
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        self._rows.writerow(["Image", "Id"] if style == RANKS else ["image", *names])

    def write(self, picture: str, ranked: Sequence[tuple[str, float]]) -> None:
        """`ranked`: every label with its score, best first; nothing where the picture could not be read."""
        if self._style == RANKS:
            cells = [" ".join(self._words[name] for name, _ in ranked[:MOST_RANKS])]
        else:
            scores = dict(ranked)
            cells = [f"{scores[name]:.7f}" if scores else "" for name in self._names]
        self._rows.writerow([picture, *cells])


def _refuse_twins(what: str, names: Sequence[str], remedy: str) -> None:
    twins = [name for name, times in Counter(names).items() if times > 1]
    if twins:
        raise TableError(f"two {what} would be called {twins[0]!r} in the table: {remedy}")
