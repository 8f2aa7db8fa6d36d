"""Splits keep their promises whatever the data: no group straddles, counts are exact, sides stay, classes are even."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from webapp.datasets.groups import Groups
from webapp.datasets.quotas import largest_remainder
from webapp.datasets.rare_classes import balanced, roles
from webapp.datasets.splits import Member, Split, Wish, folds, order_of, split

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
PLAIN = Wish(SHARES)


def members(groups: Iterable[tuple[int, str]], *, seed: int = 0, trusted: float = 1.0) -> list[Member]:
    """Images of groups: for each, how many and of which class."""
    found: list[Member] = []
    for number, (size, label) in enumerate(groups):
        for _ in range(size):
            image = len(found)
            chance = order_of(9, f"trust{image}") / 2**64
            found.append(Member(image, number, label, order_of(seed, f"{image}"), chance < trusted))
    return found


def tails(count: int, classes: int, largest: int, *, seed: int = 1) -> list[tuple[int, str]]:
    """Groups with few large and many small classes."""
    chance = random.Random(seed)
    return [
        (chance.randint(1, largest), f"c{min(classes - 1, int(chance.paretovariate(0.7)) - 1)}") for _ in range(count)
    ]


def sides_by_group(some: Iterable[Member], done: Split) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for member in some:
        if done.parts[member.image] != "left-out":
            found[member.group].add(done.parts[member.image])
    return found


def kept(some: Iterable[Member], done: Split) -> dict[int, str]:
    return {member.image: done.parts[member.image] for member in some if done.parts[member.image] != "left-out"}


data = st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abcdef")), min_size=1, max_size=60)


@given(data, st.integers(0, 5), st.sampled_from([1.0, 0.6, 0.1]), st.booleans())
@settings(max_examples=50, deadline=None)
def test_no_group_straddles_and_everybody_has_a_place(
    groups: list[tuple[int, str]], seed: int, trusted: float, each: bool
) -> None:
    some = members(groups, seed=seed, trusted=trusted)
    done = split(some, Wish(SHARES, each=each))
    assert all(len(sides) <= 1 for sides in sides_by_group(some, done).values())
    assert set(done.parts) == {member.image for member in some}
    assert {image for image, part in done.parts.items() if part == "left-out"} == set(done.left_out)
    tested = {image for image, part in done.parts.items() if part == "test"}
    assert all(member.trusted for member in some if member.image in tested)


@given(data, st.integers(0, 5), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_same_data_and_seed_give_the_same_split_in_any_order(
    groups: list[tuple[int, str]], seed: int, chance: random.Random
) -> None:
    some = members(groups, seed=seed)
    shuffled = list(some)
    chance.shuffle(shuffled)
    assert split(some, PLAIN).parts == split(shuffled, PLAIN).parts
    assert folds(some, 3) == folds(shuffled, 3)


@given(st.integers(0, 300), st.integers(1, 8), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_lone_images_reach_the_shares_to_the_image(more: int, classes: int, seed: int) -> None:
    count = 10 * classes + more
    some = members([(1, f"c{number % classes}") for number in range(count)], seed=seed)
    found = Counter(split(some, PLAIN).parts.values())
    wanted = largest_remainder({part: share * count for part, share in SHARES.items()}, count)
    assert {part: found[part] for part in SHARES} == wanted


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abc")), min_size=60, max_size=120),
    st.integers(5, 40),
    st.integers(0, 6),
    st.integers(0, 6),
)
@settings(max_examples=40, deadline=None)
def test_counts_are_exact_and_the_rest_is_listed(
    groups: list[tuple[int, str]], train: int, validation: int, test: int
) -> None:
    some = members(groups)
    counts = {"train": train, "validation": validation, "test": test}
    shares = {part: number / sum(counts.values()) for part, number in counts.items()}
    done = split(some, Wish(shares, counts))
    found = Counter(done.parts.values())
    assert {part: found[part] for part in counts} == counts and not done.short
    assert found["left-out"] == len(some) - sum(counts.values()) == len(done.left_out)
    assert set(done.left_out.values()) <= {"beyond-count"}


@given(data, data, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_sides_stay_as_data_grows(first: list[tuple[int, str]], more: list[tuple[int, str]], seed: int) -> None:
    before = members(first, seed=seed)
    sides = kept(before, split(before, PLAIN))
    grown = [
        Member(one.image, one.group, one.stratum, one.order, one.trusted, sides.get(one.image, ""))
        for one in members([*first, *more], seed=seed)
    ]
    after = split(grown, PLAIN)
    assert {image: after.parts[image] for image in sides} == sides
    assert after.moved == []


@given(data, st.integers(0, 3), st.data())
@settings(max_examples=40, deadline=None)
def test_groups_of_two_parts_that_became_one_go_to_train(
    groups: list[tuple[int, str]], seed: int, drawn: st.DataObject
) -> None:
    before = members(groups, seed=seed)
    sides = kept(before, split(before, PLAIN))
    joined = drawn.draw(st.sets(st.integers(0, len(groups) - 1), max_size=6))
    after_members = [
        Member(
            one.image, min(joined) if one.group in joined else one.group, one.stratum, one.order, True, sides[one.image]
        )
        for one in before
    ]
    after = split(after_members, PLAIN)
    here = {one.image for one in before if one.group in joined}
    if len({sides[image] for image in here}) > 1:
        assert {after.parts[image] for image in here} == {"train"}
    assert {one.image for one in after.moved} == {image for image in sides if after.parts[image] != sides[image]}
    assert all(after.parts[one.image] == "train" for one in after.moved)


def test_a_group_that_was_trained_on_is_never_tested_on() -> None:
    some = [Member(image, 0, "a", order_of(0, str(image)), True, "train" if image == 0 else "") for image in range(5)]
    assert set(split(some, Wish({"train": 0.0, "validation": 0.0, "test": 1.0})).parts.values()) == {"train"}


def test_a_class_of_one_image_is_learnt_rather_than_tested() -> None:
    some = members([(1, f"lone{number}") for number in range(30)] + [(1, "often")] * 70)
    done = split(some, PLAIN)
    assert {done.parts[member.image] for member in some if member.stratum != "often"} == {"train"}
    assert Counter(done.parts.values()) == {"train": 80, "validation": 10, "test": 10}


def test_every_class_of_three_groups_is_in_every_part() -> None:
    groups = [(1, f"rare{number % 20}") for number in range(60)] + [(1, "often")] * 1500
    some = members(groups)
    parts = split(some, PLAIN).parts
    found = {(member.stratum, parts[member.image]) for member in some}
    assert all((f"rare{number}", part) in found for number in range(20) for part in SHARES)


def test_labels_that_are_not_trusted_are_not_tested_on() -> None:
    some = members([(1, "a")] * 1000, trusted=0.3)
    done = split(some, PLAIN)
    tested = [member for member in some if done.parts[member.image] == "test"]
    assert len(tested) == 100 and all(member.trusted for member in tested)
    anybody = split(some, Wish(SHARES, trusted_test=False))
    assert not all(member.trusted for member in some if anybody.parts[member.image] == "test")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_classes_are_spread_as_evenly_as_by_scikit_learn(seed: int) -> None:
    """StratifiedGroupKFold is the oracle: ours may be a little worse, since it also keeps its totals."""
    some = members(tails(800, 12, 8, seed=seed))
    labels = np.array([member.stratum for member in some])
    groups = np.array([member.group for member in some])
    theirs = np.zeros(len(some), dtype=int)
    for number, (_, test) in enumerate(StratifiedGroupKFold(5).split(labels, labels, groups)):
        theirs[test] = number
    own = folds(some, 5)
    ours = np.array([own[member.image] for member in some])
    assert _unevenness(ours, labels) <= 1.25 * _unevenness(theirs, labels) + 0.002
    assert np.ptp(np.bincount(ours)) <= max(np.ptp(np.bincount(theirs)), 0.02 * len(some))


def _unevenness(fold: np.ndarray, labels: np.ndarray) -> float:
    """Mean distance of a class's share in each fold from one fifth, classes of 25 images and more."""
    names = [name for name in np.unique(labels) if (labels == name).sum() >= 25]
    return float(np.mean([abs(np.mean(fold[labels == name] == k) - 0.2) for name in names for k in range(5)]))


def test_a_hundred_thousand_images_would_take_seconds() -> None:
    some = members(tails(6_000, 400, 6))
    started = time.process_time()
    done = split(some, PLAIN)
    folds([member for member in some if done.parts[member.image] == "train"], 5)
    assert time.process_time() - started < 15 * len(some) / 100_000 + 1


def test_images_that_share_anything_are_one_group() -> None:
    groups = Groups()
    for keys in ([("site", 1)], [("cluster", 7)], [("site", 1), ("cluster", 7)], [("site", 2)], []):
        groups.add(keys)
    assert [groups.root(number) for number in range(5)] == [0, 0, 0, 3, 4]


def test_the_whale_file_gives_56_whales_and_616_images() -> None:
    counts = [11 + number % 24 for number in range(56)] + [1 + number % 10 for number in range(4195)]
    some = members([(1, f"w{number}") for number, count in enumerate(counts) for _ in range(count)])
    left_out = balanced(some, min_images=11, per_class=11)
    chosen = Counter(member.stratum for member in some if member.image not in left_out)
    assert len(chosen) == 56 and set(chosen.values()) == {11} and sum(chosen.values()) == 616
    assert len(left_out) == len(some) - 616
    assert set(left_out.values()) == {"class-too-small", "beyond-per-class"}


def test_a_balanced_subset_is_not_all_that_was_tested_on_before() -> None:
    some = members([(1, f"k{number % 4}") for number in range(400)])
    sides = split(some, Wish(SHARES)).parts
    left_out = balanced(some, min_images=0, per_class=12)
    chosen = Counter(sides[member.image] for member in some if member.image not in left_out)
    assert sum(chosen.values()) == 48 and chosen["train"] > 30


def test_identities_give_queries_and_gallery_and_lose_nobody() -> None:
    counts = [1] * 40 + [2] * 30 + [3] * 20 + [12] * 5
    some = members([(1, f"w{number}") for number, count in enumerate(counts) for _ in range(count)])
    done = split(some, Wish(SHARES, each=True))
    role = roles(some, done.parts)
    by_class: dict[str, Counter[str]] = defaultdict(Counter)
    for member in some:
        by_class[member.stratum][role[member.image]] += 1
    assert sum(sum(found.values()) for found in by_class.values()) == sum(counts)
    for number, count in enumerate(counts):
        found = by_class[f"w{number}"]
        assert found["gallery"] >= 1 and found["unseen"] == 0
        assert (found["query"] >= 1) == (count >= 2), (number, count, found)
