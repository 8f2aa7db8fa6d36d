"""The images of a comparison: fixed, broken, wrong in both, or those of one cell of a matrix, the surest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from training.contract import Compared, Paired, ReportError, read_compared
from webapp.errors import Invalid, NotFound, Unavailable
from webapp.images.models import Image
from webapp.runs.comparing.outcomes import path_in_store
from webapp.runs.models import Comparison

NO_ANSWER = "-"
"""In the place of a label key: the picture could not be recognised."""
FIXED, BROKEN, BOTH_WRONG, BOTH_RIGHT, ALL = "fixed", "broken", "both-wrong", "both-right", "all"
KINDS = (FIXED, BROKEN, BOTH_WRONG, BOTH_RIGHT, ALL)
A, B, CHANGED = "a", "b", "changed"
SIDES = (A, B, CHANGED)
LIMIT, LONGEST = 48, 500


@dataclass(frozen=True)
class Chosen:
    """Which images. `label`: it is the truth, or an answer of either. `answer` is that of `side`.

    Side `changed`: one version gave the answer and the other did not, as in the difference of both matrices.
    `by` and `value` name a slice, such as site and River.
    """

    kind: str = ALL
    label: str = ""
    truth: str = ""
    answer: str = ""
    side: str = B
    by: str = ""
    value: str = ""


@dataclass(frozen=True)
class Shown:
    """One image with its truth and both answers, label keys ('' for none)."""

    image: Image
    truth: str
    a: str
    b: str
    score_a: float
    score_b: float

    @property
    def kind(self) -> str:
        if self.truth == self.b:
            return BOTH_RIGHT if self.truth == self.a else FIXED
        return BROKEN if self.truth == self.a else BOTH_WRONG


@dataclass(frozen=True)
class Gallery:
    """A page of it; `next` is the cursor of the page after. `total` counts images that were withdrawn since as well."""

    images: tuple[Shown, ...]
    total: int
    next: int | None


def gallery(row: Comparison, chosen: Chosen, *, cursor: int = 0, limit: int = LIMIT) -> Gallery:
    """Images that are still in the project, in an order that stays."""
    if chosen.kind not in KINDS or chosen.side not in SIDES:
        words = f"`kind` is one of {', '.join(KINDS)}, `side` one of {', '.join(SIDES)}."
        raise Invalid(words, code="bad-filter")
    found = _read(row)
    picked = sorted((one for one in _picked(found, chosen) if chosen.kind in (ALL, _kind(one))), key=_order)
    page = picked[cursor : cursor + limit]
    there = Image.objects.filter(project=row.project_id, withdrawn_at=None).in_bulk([one[0] for one in page])
    labels = found.labels
    shown = tuple(
        Shown(there[image], labels[truth], labels[a], labels[b], sure_a, sure_b)
        for image, truth, a, b, sure_a, sure_b in page
        if image in there
    )
    end = cursor + len(page)
    return Gallery(shown, len(picked), end if end < len(picked) else None)


def labels_in(row: Comparison) -> tuple[str, ...]:
    """The keys of all labels that are a truth or an answer there."""
    return _read(row).labels


def divisions_in(row: Comparison) -> frozenset[str]:
    """By what its images can be narrowed down: comparisons of before kept no slices."""
    return frozenset(one.by for one in _read(row).slices)


def counts_in(row: Comparison, chosen: Chosen) -> Mapping[str, int]:
    """How many images there are of each kind, whatever kind is chosen."""
    counts = Counter(map(_kind, _picked(_read(row), chosen)))
    return {**counts, ALL: counts.total()}


def _picked(found: Compared, chosen: Chosen) -> list[Paired]:
    """All of these, of any kind."""
    at = {key: place for place, key in enumerate(found.labels)}
    asked = [_key(key) for key in (chosen.label, chosen.truth, chosen.answer) if key]
    if any(key not in at for key in asked):
        return []
    tests: list[Callable[[Paired], bool]] = []
    if chosen.by or chosen.value:
        inside = _slice(found, chosen)
        tests.append(lambda one: one[0] in inside)
    if chosen.label:
        label = at[chosen.label]
        tests.append(lambda one: label in one[1:4])
    if chosen.truth:
        truth = at[chosen.truth]
        tests.append(lambda one: one[1] == truth)
    if chosen.answer:
        tests.append(_answered(at[_key(chosen.answer)], chosen.side))
    return [one for one in found.images if all(test(one) for test in tests)]


def _slice(found: Compared, chosen: Chosen) -> set[int]:
    """The images of one slice."""
    division = next((one for one in found.slices if one.by == chosen.by), None)
    if division is None:
        known = ", ".join(one.by for one in found.slices) or "none"
        words = f"The images of this comparison cannot be narrowed down by {chosen.by!r}. It has: {known}."
        raise Invalid(words, code="bad-filter")
    wanted = division.values.index(chosen.value) if chosen.value in division.values else None
    return {one[0] for one, place in zip(found.images, division.of, strict=True) if place == wanted}


def _key(asked: str) -> str:
    return "" if asked == NO_ANSWER else asked


def _answered(answer: int, side: str) -> Callable[[Paired], bool]:
    if side == CHANGED:
        return lambda one: (one[2] == answer) != (one[3] == answer)
    place = 2 if side == A else 3
    return lambda one: one[place] == answer


def _kind(one: Paired) -> str:
    _, truth, a, b, _, _ = one
    if truth == b:
        return BOTH_RIGHT if truth == a else FIXED
    return BROKEN if truth == a else BOTH_WRONG


def _order(one: Paired) -> tuple[float, int]:
    """The surest mistake first; of images that both have right, the least sure."""
    image, truth, a, b, sure_a, sure_b = one
    wrong = [sure for answer, sure in ((a, sure_a), (b, sure_b)) if answer != truth]
    return (-min(wrong), image) if wrong else (min(sure_a, sure_b) + 1, image)


def _read(row: Comparison) -> Compared:
    if not row.result_key:
        raise NotFound(f"This comparison is {row.get_state_display()}: there are no images to look at.")
    path = path_in_store(row.result_key)
    try:
        return _kept(path, path.stat().st_mtime_ns)
    except (OSError, ReportError) as error:
        what = f"The images of this comparison cannot be read ({error}): compare the versions again."
        raise Unavailable(what, code="comparison-missing") from error


@lru_cache(maxsize=4)
def _kept(path: Path, written: int) -> Compared:
    """Read once by each process; a comparison that is made again is another time of writing."""
    return read_compared(path)
