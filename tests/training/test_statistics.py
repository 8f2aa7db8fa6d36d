"""Intervals that hold what they say, p-values that are exact where they can be."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from bench.statistics import FIGURES, WORLDS, coverage, draw, false_alarms
from training.evaluation.judging import difference, verdict
from training.evaluation.metrics import figure, figures
from training.evaluation.statistics import (
    benjamini_hochberg,
    class_intervals,
    holm,
    interval,
    mcnemar,
    proportion,
    ratios,
    share_interval,
    sign_flip,
    sign_flip_counts,
    t_quantile,
)
from training.evaluation.tables import Table

EVEN, ALIKE, UNEQUAL, TAIL, RARE = WORLDS


def table(truth: list[int], answer: list[int], group: list[int], *, keys: str = "abcdefgh") -> Table:
    count = len(truth)
    return Table(
        keys=tuple(keys),
        image=np.arange(count),
        group=np.array(group),
        groups=max(group) + 1,
        truth=np.array(truth),
        answer=np.array(answer),
        score=np.full(count, 0.9),
        truth_score=np.full(count, 0.5),
        rank=np.ones(count, np.int64),
        raw=np.full(count, np.nan),
        failed=np.zeros(count, np.bool_),
    )


def random_table(images: int, groups: int, classes: int, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, images)
    answer = np.where(random.random(images) < 0.7, truth, random.integers(0, classes, images))
    return table(truth.tolist(), answer.tolist(), (np.arange(images) % groups).tolist())


# ---- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [10, 30, 100])
def test_intervals_hold_the_true_difference(groups: int) -> None:
    """A short run: 250 pairs of versions, so that chance alone moves it by two or three points."""
    names = ("accuracy", "macro_f1")
    held = coverage(TAIL if groups < 100 else UNEQUAL, groups, pairs=250, seed=groups, names=names)
    assert all(0.91 <= share <= 0.985 for share in held.values()), held


def test_equals_are_seldom_told_apart() -> None:
    names = ("accuracy", "macro_f1")
    told = false_alarms(EVEN, 12, pairs=250, seed=5, names=names)
    assert all(told[name] <= 0.09 for name in names), told
    assert all(told[name] <= told[f"{name} p"] for name in names), "a verdict needs the p and the interval"


@pytest.mark.long
@pytest.mark.proof
@pytest.mark.parametrize("groups", [10, 30, 100])
@pytest.mark.parametrize("world", [EVEN, ALIKE, UNEQUAL, TAIL], ids=lambda world: str(world.name))
def test_intervals_hold_the_true_difference_93_to_97_times_in_100(world: object, groups: int) -> None:
    names = ("accuracy", "macro_f1")
    held = coverage(world, groups, pairs=1500, seed=groups + 5, names=names)  # type: ignore[arg-type]
    assert all(0.93 <= share <= 0.97 for share in held.values()), held
    told = false_alarms(world, groups, pairs=800, seed=groups, names=names)  # type: ignore[arg-type]
    assert all(told[name] <= 0.065 for name in names), told


def test_the_plain_percentile_would_not_hold() -> None:
    """What the corrections are for: without them ten groups hold the truth clearly less often."""
    random, held = np.random.default_rng(1), 0
    for _ in range(300):
        a, b = draw(ALIKE, 10, random)
        change = np.bincount(a.group, b.right.astype(float) - a.right) / 20
        drawn = change[random.integers(0, 10, (400, 10))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        held += low <= ALIKE.truth()["accuracy"] <= high
    assert held / 300 < 0.92


@pytest.mark.parametrize("rare", [0.98, 0.995])
def test_a_share_near_one_keeps_an_interval_inside_0_and_1_that_holds_it(rare: float) -> None:
    random, held = np.random.default_rng(2), 0
    for _ in range(400):
        right = (random.random(600) < rare).astype(int)
        found = figure("accuracy", table([1] * 600, right.tolist(), (np.arange(600) % 30).tolist()))
        span = proportion(found, 600)
        assert span is not None and 0 <= span[0] < span[1] <= 1
        held += span[0] <= rare <= span[1]
    assert held / 400 >= 0.92


def test_under_ten_groups_there_is_no_interval() -> None:
    few = figure("accuracy", random_table(900, 9, 3))
    assert interval(few) is None and proportion(few, 900) is None
    assert interval(figure("accuracy", random_table(900, 10, 3))) is not None


def test_a_thousand_images_of_one_group_say_no_more_than_one_group() -> None:
    """Nine large groups and one small one are not ten equal ones."""
    even = random_table(1000, 10, 3)
    sizes = [991] + [1] * 9
    uneven = table(even.truth.tolist(), even.answer.tolist(), np.repeat(np.arange(10), sizes).tolist())
    assert figure("accuracy", uneven).degrees < 3 < 8.9 < figure("accuracy", even).degrees


def test_no_change_at_all_is_still_not_known_for_certain() -> None:
    same = random_table(400, 20, 3)
    found = figure("accuracy", same)
    low, high = interval(found.minus(found)) or (0, 0)
    assert low < 0 < high and high < 0.02


@pytest.mark.parametrize("degrees, expected", [(4, 2.7764), (9, 2.2622), (29, 2.0452), (1e9, 1.95996)])
def test_the_quantile_of_students_t_is_that_of_the_tables(degrees: float, expected: float) -> None:
    assert float(t_quantile(degrees)) == pytest.approx(expected, rel=2e-3)


def test_wilsons_interval_is_that_of_the_books() -> None:
    low, high = share_interval(0.9, math.sqrt(0.9 * 0.1 / 100), 100, 1e9)
    assert (low, high) == (pytest.approx(0.8256, abs=1e-3), pytest.approx(0.9448, abs=1e-3))


# ---- leaving out groups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_leaving_out_a_group_is_computing_the_figure_without_it(name: str) -> None:
    """Against scikit-learn, group by group; some groups hold the only images of a label."""
    found = random_table(120, 12, 5, seed=3)
    found.truth[found.group == 7] = 6
    loo = figure(name, found)
    assert loo.value == pytest.approx(by_scikit_learn(name, found))
    for group in range(12):
        assert loo.without[group] == pytest.approx(by_scikit_learn(name, found.only(found.group != group)))


def by_scikit_learn(name: str, found: Table) -> float:
    labels = np.unique(found.truth)
    if name == "accuracy":
        return float((found.truth == found.answer).mean())
    score = recall_score if name == "balanced_accuracy" else f1_score
    return float(score(found.truth, found.answer, labels=labels, average="macro", zero_division=0))


def test_shares_add_up_to_one_and_contributions_to_the_figure() -> None:
    found = figure("balanced_accuracy", random_table(300, 15, 4))
    assert found.share.sum() == pytest.approx(1)
    assert found.contributions().sum() == pytest.approx(found.value)


def test_one_group_of_everything_does_not_divide_by_zero() -> None:
    found = figure("macro_f1", table([0, 1, 1], [0, 0, 1], [0, 0, 0]))
    assert math.isfinite(found.value) and found.standard_error == 0


def test_a_label_in_few_groups_has_no_interval_of_its_own() -> None:
    found = random_table(300, 30, 2)
    found.truth[found.group < 5] = 2
    ones = np.ones(300)
    cells = ratios(found.group, found.truth, found.right.astype(float), ones, ones, groups=30, classes=8)
    half, error, groups = class_intervals(cells)
    assert groups.tolist()[:4] == [25, 25, 5, 0]
    assert np.isnan(half[2]) and np.isnan(half[3]) and (half[:2] > 0).all() and (error[:2] > 0).all()


# ---- p-values --------------------------------------------------------------------------------------------------------


def by_hand(parts: list[float]) -> float:
    sums = [
        abs(sum(sign * part for sign, part in zip(signs, parts, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(parts))
    ]
    return float(np.mean([total >= abs(sum(parts)) - 1e-12 for total in sums]))


@pytest.mark.parametrize("parts", [[3, 1, -1, 2, 0, 4], [1, 1, 1, 1, 1, 1, 1, -1], [5], [0, 0, 0]])
def test_few_groups_are_flipped_in_every_way(parts: list[int]) -> None:
    expected = by_hand([float(part) for part in parts])
    assert sign_flip(np.array(parts, dtype=float)) == pytest.approx(expected)
    assert sign_flip_counts(np.array(parts)) == pytest.approx(expected)


def test_the_p_of_a_share_is_that_of_whole_groups_changing_places_however_unequal_they_are() -> None:
    group = [0] * 40 + [1] * 25 + list(range(2, 16)) * 2
    a, b = [np.zeros(len(group), np.int64) for _ in "ab"]
    a[:2] = b[40] = b[41] = b[42] = 1
    truth = [0] * len(group)
    sides = [figure("accuracy", table(truth, answer.tolist(), group)) for answer in (a, b)]
    assert difference("accuracy", *sides).p == pytest.approx(sign_flip_counts(np.array([2, -3])))


def test_drawn_flips_agree_with_exact_ones() -> None:
    counts = np.random.default_rng(1).integers(-3, 5, 60)
    assert sign_flip(counts.astype(float)) == pytest.approx(sign_flip_counts(counts), abs=0.01)


def test_very_many_groups_agree_with_exact_ones() -> None:
    counts = np.random.default_rng(3).choice([-1, 0, 1], 16_000, p=[0.24, 0.5, 0.26])
    many = np.concatenate([counts, counts[:1]])
    assert sign_flip(many.astype(float)) == pytest.approx(sign_flip_counts(many[:]), abs=0.01)


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1
    assert mcnemar(40_000, 41_000) == pytest.approx(math.erfc(999 / math.sqrt(2 * 81_000)), rel=0.01)


def test_corrections_are_those_of_the_books() -> None:
    found = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    assert holm(found) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert benjamini_hochberg(found) == pytest.approx([0.02, 0.04, np.nan, 0.04, 0.02], nan_ok=True)
    assert holm(np.array([])).tolist() == []


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_a_verdict_needs_ten_groups_an_interval_without_zero_and_a_small_p() -> None:
    assert verdict("accuracy", 9, (0.1, 0.2), 0.001) == "too few groups"
    assert verdict("accuracy", 10, (0.1, 0.2), 0.001) == "better"
    assert verdict("accuracy", 10, (-0.2, -0.1), 0.001) == "worse"
    assert verdict("accuracy", 10, (-0.1, 0.2), 0.001) == "no evidence"
    assert verdict("accuracy", 10, (0.1, 0.2), 0.06) == "no evidence"


def test_less_loss_is_better() -> None:
    assert verdict("log_loss", 10, (-0.2, -0.1), 0.001) == "better"


def test_a_clear_difference_is_seen_and_the_same_data_say_the_same_again() -> None:
    random = np.random.default_rng(0)
    a, b = draw(TAIL, 40, random)
    clear = a.truth.copy()
    better = Table(**{**{name: getattr(a, name) for name in Table.__slots__}, "answer": clear})
    first = {name: difference(name, figures(a)[name], figures(better)[name]) for name in FIGURES}
    assert first["accuracy"].verdict == first["macro_f1"].verdict == "better"
    assert first == {name: difference(name, figures(a)[name], figures(better)[name]) for name in FIGURES}


def test_100_000_images_of_1_000_labels_take_seconds() -> None:
    random = np.random.default_rng(0)
    count = 100_000
    truth = random.integers(0, 1000, count)
    group = random.integers(0, 20_000, count)
    keys = tuple(f"label {place}" for place in range(1000))
    sides = []
    for share in (0.7, 0.71):
        answer = np.where(random.random(count) < share, truth, random.integers(0, 1000, count))
        sides.append(
            Table(
                keys,
                np.arange(count),
                group,
                20_000,
                truth,
                answer,
                random.random(count),
                random.random(count),
                np.ones(count, np.int64),
                np.full(count, np.nan),
                np.zeros(count, np.bool_),
            )
        )
    begun = time.process_time()
    for name in FIGURES:
        difference(name, figure(name, sides[0]), figure(name, sides[1]))
    assert time.process_time() - begun < 10
