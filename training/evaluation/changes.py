"""The parts of a comparison, made of two tables of the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from training.contract import (
    FEWEST_GROUPS,
    CellChange,
    ClassChange,
    Difference,
    ManifestLine,
    ReportError,
    Scope,
    Slice,
    Verdict,
)
from training.evaluation.judging import difference, judged, verdict
from training.evaluation.metrics import confusion, figure, figures, recalls
from training.evaluation.slices import NOTHING, divisions
from training.evaluation.statistics import (
    Ratios,
    benjamini_hochberg,
    by_class,
    class_intervals,
    holm,
    mcnemar,
    sign_flip_counts,
)
from training.evaluation.tables import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A project with thousands of sites would make a page nobody reads; the largest are shown.
MOST_SLICES = 40
CORRECTIONS = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}


def corrected(found: Floats, correction: str) -> Floats:
    """p-values corrected for their number; NaN stays."""
    if correction not in CORRECTIONS:
        raise ReportError(f"{correction!r} is no correction: it is one of {', '.join(CORRECTIONS)}.")
    return CORRECTIONS[correction](found)


def scope_of(a: Table, b: Table, decided_by: str, trained_on: Mapping[str, int] | None) -> Scope:
    """All figures on these images, and how many each version gets right that the other does not."""
    right_a, right_b = a.right, b.right
    fixed, broken = int((right_b & ~right_a).sum()), int((right_a & ~right_b).sum())
    if not len(a):
        return Scope(0, 0, {}, "too few groups", 0, 0, 0, 0, 1.0)
    metrics = judged(figures(a, trained_on=trained_on), figures(b, trained_on=trained_on))
    return Scope(
        images=len(a),
        groups=len(np.unique(a.group)),
        metrics=metrics,
        verdict=metrics[decided_by].verdict,
        fixed=fixed,
        broken=broken,
        both_wrong=int((~right_a & ~right_b).sum()),
        both_right=int((right_a & right_b).sum()),
        mcnemar_p=mcnemar(fixed, broken),
    )


def galleries(a: Table, b: Table) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Images that b fixed, that b broke, and that both get wrong; the surest mistakes first."""
    right_a, right_b = a.right, b.right

    def chosen(rows: NDArray[np.bool_], sure: Floats) -> tuple[int, ...]:
        places = np.flatnonzero(rows)
        return tuple(a.image[places[np.argsort(-sure[places], kind="stable")]].tolist())

    return (
        chosen(right_b & ~right_a, a.score),
        chosen(right_a & ~right_b, b.score),
        chosen(~right_a & ~right_b, np.minimum(a.score, b.score)),
    )


def matrix_change(a: Table, b: Table) -> tuple[CellChange, ...]:
    """Both confusion matrices cell by cell, the largest changes first."""
    counts: dict[tuple[str, str], list[int]] = {}
    for side, table in enumerate((a, b)):
        for cell in confusion(table):
            counts.setdefault((cell.truth, cell.answer), [0, 0])[side] = cell.images
    cells = [CellChange(truth, answer, *pair) for (truth, answer), pair in counts.items()]
    return tuple(sorted(cells, key=lambda cell: (-abs(cell.b - cell.a), cell.truth, cell.answer)))


# ---- labels ----------------------------------------------------------------------------------------------------------


def class_changes(
    a: Table,
    b: Table,
    names: Mapping[str, str],
    known_to_a: frozenset[str],
    known_to_b: frozenset[str],
    correction: str,
) -> tuple[ClassChange, ...]:
    """Recall by label, the largest change first; p by swapping the versions in whole groups, corrected over labels."""
    right_a, right_b = a.right.astype(np.float64), b.right.astype(np.float64)
    cells = recalls(a, right_b - right_a)
    change, images = by_class(cells)
    half, _, groups = class_intervals(cells)
    before, _ = by_class(recalls(a, right_a))
    after, _ = by_class(recalls(b, right_b))
    fixed, broken = (np.bincount(a.truth, right_b - right_a == sign, len(a.keys)) for sign in (1, -1))
    p = _class_p(cells, groups)
    p_corrected = corrected(p, correction)
    rows = []
    for place in np.flatnonzero(images).tolist():
        key, enough = a.keys[place], bool(groups[place] >= FEWEST_GROUPS)
        moved = float(change[place])
        span = (max(-1.0, moved - float(half[place])), min(1.0, moved + float(half[place]))) if enough else None
        own = float(p_corrected[place]) if enough else None
        rows.append(
            ClassChange(
                key=key,
                name=names.get(key, key),
                images=int(images[place]),
                groups=int(groups[place]),
                a=float(before[place]),
                b=float(after[place]),
                difference=moved,
                interval=span,
                p=float(p[place]) if enough else None,
                p_corrected=own,
                verdict=verdict("recall", int(groups[place]), span, own),
                fixed=int(fixed[place]),
                broken=int(broken[place]),
                known_to_a=key in known_to_a,
                known_to_b=key in known_to_b,
            )
        )
    return tuple(sorted(rows, key=lambda one: (-abs(one.difference), -one.images, one.key)))


def _class_p(cells: Ratios, groups: NDArray[np.int64]) -> Floats:
    """Exact sign-flip p of each label with enough groups; NaN for the others."""
    found = np.full(cells.classes, np.nan)
    order = np.argsort(cells.of_class, kind="stable")
    counts = np.rint(cells.numerator[order]).astype(np.int64)
    ends = np.cumsum(np.bincount(cells.of_class, minlength=cells.classes))
    for place in np.flatnonzero(groups >= FEWEST_GROUPS).tolist():
        found[place] = sign_flip_counts(counts[ends[place - 1] if place else 0 : ends[place]])
    return found


# ---- slices ----------------------------------------------------------------------------------------------------------


def slice_changes(
    a: Table, b: Table, lines: Sequence[ManifestLine], decided_by: str, correction: str
) -> tuple[Slice, ...]:
    """The deciding figure on the images of each site, camera and so on, with p corrected over all of them."""
    rows: list[tuple[str, str, int, int, Difference]] = []
    for by, values in divisions(lines):
        counts = Counter(value for value in values if value != NOTHING)
        numbers = {value: number for number, value in enumerate(counts)}
        place = np.array([numbers.get(value, -1) for value in values])
        for value, images in counts.most_common(MOST_SLICES):
            some = [table.only(place == numbers[value]) for table in (a, b)]
            change = difference(decided_by, figure(decided_by, some[0]), figure(decided_by, some[1]))
            rows.append((by, value, images, len(np.unique(some[0].group)), change))
    own = corrected(np.array([np.nan if one.p is None else one.p for *_, one in rows], dtype=np.float64), correction)
    return tuple(
        Slice(by, value, images, groups, _judged_again(decided_by, change, p), _p(p))
        for (by, value, images, groups, change), p in zip(rows, own.tolist(), strict=True)
    )


def _judged_again(name: str, change: Difference, p: float) -> Difference:
    """The same with a verdict by the corrected p."""
    if change.interval is None:
        return change
    again: Verdict = verdict(name, FEWEST_GROUPS, change.interval, p)
    return Difference(change.a, change.b, change.difference, change.interval, change.p, again)


def _p(value: float) -> float | None:
    return None if np.isnan(value) else value
