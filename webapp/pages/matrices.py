"""Confusion matrices as pages draw them: which label is answered as which, each cell with its shade and its words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webapp.runs.comparing.gallery import CHANGED, NO_ANSWER, A, B

MATRIX_LABELS = 14


@dataclass(frozen=True)
class MatrixCell:
    """One cell of a matrix; `level` is how strongly it is shaded, `is_good` whether more of it is."""

    truth: str
    answer: str
    images: int
    level: int
    is_good: bool
    shown: str
    words: str


def matrices(
    cells: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    around: str = "",
    *,
    kinds: Sequence[str] = (CHANGED, A, B),
) -> dict[str, Any]:
    """Over the labels where most happens, or over one label and its neighbours. Cells have the images of `a` and `b`.

    `kinds`: the difference and both versions' own, or one version's alone.
    """
    every = {cell[end] or NO_ANSWER: cell[end] for cell in cells for end in ("truth", "answer")}
    middle = every.get(around)
    keys = sorted(_most_happens(cells, middle), key=lambda key: names[key].lower())
    drawn = []
    for kind in kinds:
        values = {(cell["truth"], cell["answer"]): _count(kind, cell) for cell in cells}
        most = max((abs(values.get((t, a), 0)) for t in keys for a in keys), default=0)
        rows = [(names[t], [_cell(kind, t, a, values.get((t, a), 0), most, names) for a in keys]) for t in keys]
        drawn.append((kind, rows))
    return {
        "heads": [names[key] for key in keys],
        "drawn": drawn,
        "around": "" if middle is None else around,
        "around_name": "" if middle is None else names[middle],
        "left_out": len(every) - len(keys),
        "choices": sorted(((asked, names[key]) for asked, key in every.items()), key=lambda pair: pair[1].lower()),
    }


def _most_happens(cells: Sequence[Mapping[str, Any]], middle: str | None) -> list[str]:
    """The labels whose cells changed or are mistakes most; with a middle, in the cells that it shares with them."""
    weight: Counter[str] = Counter()
    for cell in cells:
        ends = (cell["truth"], cell["answer"])
        if middle is not None and middle not in ends:
            continue
        moved = abs(cell["b"] - cell["a"]) + (0 if ends[0] == ends[1] else max(cell["a"], cell["b"]))
        weight[ends[0]] += moved + 1
        weight[ends[1]] += moved
    if middle is not None:
        weight[middle] += sum(weight.values())
    return [key for key, _ in weight.most_common(MATRIX_LABELS)]


def _count(kind: str, cell: Mapping[str, Any]) -> int:
    return int(cell["b"] - cell["a"] if kind == CHANGED else cell[kind])


def _cell(kind: str, truth: str, answer: str, count: int, most: int, names: Mapping[str, str]) -> MatrixCell:
    level = 0 if not count else min(6, 1 + int(5 * math.log(abs(count)) / math.log(max(most, 2)) + 1e-9))
    is_good = (truth == answer) == (count > 0)
    shown_as = f"{count:{'+' if kind == 'changed' else ''},}".replace("-", "\u2212")
    words = f"{names[truth]} answered {names[answer]}: {shown_as}"
    return MatrixCell(truth, answer or NO_ANSWER, count, level, is_good, shown_as, words)
