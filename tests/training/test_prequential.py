"""A head is offered when it is better, and hardly ever otherwise, however often one looks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from training.contract import FEWEST_GROUPS_MONITORED, GroupScore, parse_score, score_values
from training.evaluation.prequential import boundary, merged, monitored

Stream = Callable[[np.random.Generator], list[GroupScore]]
GROUPS, LOOK_EVERY = 160, 8


def lone_images(random: np.random.Generator, gain: float = 0.0) -> list[GroupScore]:
    """Each image its own group; the two disagree on about a quarter."""
    before = random.random(GROUPS) < 0.7
    other = random.random(GROUPS) < 0.7 + gain
    right = np.where(random.random(GROUPS) < 0.5, before, other) if not gain else other
    return [GroupScore(str(n), 1, int(right[n]), int(before[n])) for n in range(GROUPS)]


def bursts(random: np.random.Generator, gain: float = 0.0) -> list[GroupScore]:
    """Groups of one to twelve images that are right or wrong together more often than not."""
    parts = []
    for n in range(GROUPS):
        size = int(random.integers(1, 13))
        both = random.normal(0, 1)
        chances = [1 / (1 + np.exp(-(both + random.normal(0, 1.5) + shift))) for shift in (gain * 6, 0.0)]
        right, before = (int(random.binomial(size, chance)) for chance in chances)
        parts.append(GroupScore(str(n), size, right, before))
    return parts


def rare(random: np.random.Generator, gain: float = 0.0) -> list[GroupScore]:
    """Both nearly always right: they hardly ever differ."""
    right, before = random.random(GROUPS) < 0.97, random.random(GROUPS) < 0.97
    return [GroupScore(str(n), 1, int(right[n]), int(before[n])) for n in range(GROUPS)]


@pytest.mark.long
@pytest.mark.parametrize("stream", [lone_images, bursts, rare], ids=lambda one: one.__name__)
def test_heads_that_are_no_better_are_offered_in_at_most_one_of_twenty_projects(stream: Stream) -> None:
    random, projects = np.random.default_rng(7), 200
    offered = covered = 0
    for _ in range(projects):
        parts = stream(random)
        looks = [monitored(parts[:seen]) for seen in range(FEWEST_GROUPS_MONITORED, GROUPS + 1, LOOK_EVERY)]
        offered += any(look.is_better for look in looks)
        covered += all(look.interval and look.interval[0] <= 0 <= look.interval[1] for look in looks)
    assert offered / projects <= 0.05
    assert covered / projects >= 0.93, "the interval holds at all looks together"


@pytest.mark.parametrize("stream", [lone_images, bursts], ids=lambda one: one.__name__)
def test_a_head_that_is_much_better_is_offered(stream: Callable[..., list[GroupScore]]) -> None:
    random, projects = np.random.default_rng(8), 40
    found = sum(monitored(stream(random, gain=0.25)).is_better for _ in range(projects))
    assert found / projects > 0.8


def test_below_twenty_groups_nothing_is_said_and_images_of_one_group_are_no_more_than_that() -> None:
    certain = [GroupScore(str(n), 50, 50, 0) for n in range(FEWEST_GROUPS_MONITORED - 1)]
    assert monitored(certain).interval is None
    assert not monitored(certain).is_better
    again = [*certain, *certain]
    assert (monitored(again).groups, monitored(again).images) == (19, 1900)
    assert monitored([*certain, GroupScore("x", 50, 50, 0)]).is_better


def test_one_look_would_be_narrower() -> None:
    assert all(boundary(groups) > 1.96 for groups in (20, 60, 500, 10_000))
    assert boundary(60) < boundary(20)


def test_counts_and_difference_are_those_of_the_whole_chain() -> None:
    parts = [GroupScore("a", 2, 2, 1), GroupScore("b", 1, 0, 1), GroupScore("a", 1, 1, 0), GroupScore("c", 0, 0, 0)]
    assert merged(parts) == [GroupScore("a", 3, 3, 1), GroupScore("b", 1, 0, 1)]
    found = monitored(parts, own=parts[:1])
    assert (found.images, found.right, found.before, found.difference) == (4, 3, 2, 0.25)
    assert parse_score(score_values(found)) == found
