"""Joining pictures pair by pair: as few looks as it takes, and nothing lost by it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from webapp.reviews.numeric import forest, windows
from webapp.reviews.numeric.forest import Forest
from webapp.reviews.numeric.hashes import Pairs, close_pairs
from webapp.reviews.numeric.joining import Clusters


class Looker:
    """Says of pairs whether they agree, and remembers which it was asked."""

    def __init__(self, agree: NDArray[np.bool_]) -> None:
        self.agree = agree
        self.looked: list[tuple[int, int]] = []

    def __call__(self, pairs: Pairs) -> NDArray[np.bool_]:
        self.looked += [(one, other) for one, other in pairs.tolist()]
        return np.asarray(self.agree[pairs[:, 0], pairs[:, 1]])


def every_pair(count: int) -> Pairs:
    return np.argwhere(np.triu(np.ones((count, count), dtype=np.bool_), 1))


def names_by(pairs: Pairs) -> dict[int, int]:
    clusters = Clusters({})
    clusters.join_all(pairs.tolist())
    return clusters.names()


def test_copies_of_one_picture_take_one_look_each() -> None:
    looker = Looker(np.ones((300, 300), dtype=np.bool_))
    made = Forest(np.zeros(300, dtype=np.int64), looker)
    made.offer(every_pair(300))
    assert set(names_by(made.links()).values()) == {0}
    assert len(looker.looked) == 299


def test_a_drift_from_picture_to_picture_is_followed_by_one_look_each() -> None:
    looker = Looker(np.eye(300, k=1, dtype=np.bool_))
    made = Forest(np.zeros(300, dtype=np.int64), looker)
    made.offer(every_pair(300))
    assert len(made.links()) == len(looker.looked) == 299


@pytest.mark.parametrize("share", [0.0, 0.002, 0.01, 0.05, 0.5])
def test_what_is_joined_is_what_looking_at_every_pair_would_join(share: float) -> None:
    count = 120
    random = np.random.default_rng(int(1000 * share))
    agree = random.random((count, count)) < share
    looker = Looker(agree)
    made = Forest(np.zeros(count, dtype=np.int64), looker)
    pairs = every_pair(count)
    for part in np.array_split(random.permutation(pairs), 7):
        made.offer(part)
    assert names_by(made.links()) == names_by(pairs[agree[pairs[:, 0], pairs[:, 1]]])
    assert len(looker.looked) == len(set(looker.looked)), "no pair twice"


def test_what_is_joined_already_is_not_looked_at() -> None:
    looker = Looker(np.ones((6, 6), dtype=np.bool_))
    made = Forest(np.array([9, 0, 9, 4, 4, 9]), looker)
    made.offer(every_pair(6))
    assert set(names_by(made.links()).values()) == {0}
    assert len(looker.looked) <= 5, "one for each picture but the first"
    assert not {(0, 2), (0, 5), (2, 5), (3, 4)} & set(looker.looked)
    assert len(made.links()) == 0, "told once"


def test_a_picture_is_not_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "MOST_LOOKS", 20)
    looker = Looker(np.zeros((200, 200), dtype=np.bool_))
    made = Forest(np.zeros(200, dtype=np.int64), looker)
    made.offer(every_pair(200))
    assert len(made.links()) == 0
    assert len(looker.looked) < 200 * 2 * 20


def test_pictures_in_many_pairs_are_judged_as_each_pair_alone() -> None:
    random = np.random.default_rng(5)
    waves = np.cos(np.pi * np.arange(6)[:, None] * (2 * np.arange(32)[None] + 1) / 64)
    greys = np.clip(128 + 15 * waves.T @ random.normal(size=(12, 6, 6)) @ waves, 0, 255)
    greys = np.concatenate([greys, greys[:, :, ::-1], greys + random.normal(0, 2, greys.shape), greys * 0.8])
    greys[-6:, 8:14, 8:14] += 60
    pixels = np.clip(greys, 0, 255).astype(np.uint8)
    pairs = every_pair(len(pixels))
    together = windows.agree(pixels, pairs)
    some = [*np.flatnonzero(together), *range(0, len(pairs), 25)]
    assert [bool(windows.agree(pixels, pairs[place][None])[0]) for place in some] == together[some].tolist()
    assert 40 <= together.sum() < 80


def test_with_news_each_pair_of_a_new_hash_is_found_wherever_it_stands() -> None:
    random = np.random.default_rng(4)
    base = random.integers(-(2**63), 2**63 - 1, 400)
    hashes = np.concatenate([base ^ (np.int64(1) << random.integers(0, 62, 400)) for _ in range(4)])
    news = random.random(len(hashes)) < 0.2
    everything = close_pairs(hashes)
    distinct = hashes[everything[:, 0]] != hashes[everything[:, 1]]
    is_new = np.array([news[hashes == one].any() for one in hashes])
    wanted = everything[distinct & is_new[everything].any(axis=1)]
    found = close_pairs(hashes, news=news)
    assert {tuple(sorted(hashes[pair].tolist())) for pair in wanted} == {
        tuple(sorted(hashes[pair].tolist())) for pair in found if hashes[pair[0]] != hashes[pair[1]]
    }
