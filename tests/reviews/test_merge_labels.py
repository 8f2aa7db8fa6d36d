"""Merged labels: what is shown of images follows, what was said stays."""

from __future__ import annotations

import pytest

from tests.reviews.conftest import Reef
from tests.reviews.test_decide import say
from webapp.reviews import merge_labels as merging
from webapp.reviews.merge_labels import follow_all, merge_labels
from webapp.reviews.models import Annotation
from webapp.reviews.rebuild import rebuild_states

pytestmark = pytest.mark.databases


def test_states_and_counts_follow_a_merge_and_verdicts_keep_their_word(reef: Reef) -> None:
    said, seen, torn = (reef.image(name) for name in "abc")
    say(reef, "rosa", said, "hake")
    reef.predict(seen, "hake", 0.7)
    reef.predict(torn, "cod", 0.9)
    say(reef, "rosa", torn, "hake")
    say(reef, "sam", torn, "cod")
    assert reef.state(torn).review_state == "conflict"
    merge_labels(actor=reef.actor("cora"), label=reef.labels["hake"], into=reef.labels["cod"])
    for image in (said, seen, torn):
        assert reef.state(image).label == reef.labels["cod"]
    assert reef.state(torn).review_state == "reviewed"
    assert reef.state(torn).queue_reason == ""
    assert reef.counts()[("label", str(reef.labels["cod"].pk))] == 3
    assert Annotation.objects.filter(label=reef.labels["hake"]).count() == 2
    reef.check_counts()
    assert rebuild_states(reef.project).states == 0


def test_many_images_follow_in_the_background(reef: Reef, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [reef.image(str(place)) for place in range(5)]
    for image in images:
        say(reef, "rosa", image, "hake")
    monkeypatch.setattr(merging, "AT_ONCE", 2)
    monkeypatch.setattr(merging, "BATCH", 2)
    merge_labels(actor=reef.actor("cora"), label=reef.labels["hake"], into=reef.labels["cod"])
    assert {reef.state(image).label.key for image in images} == {"cod", "hake"}
    reef.check_counts()
    assert follow_all() == 3
    assert {reef.state(image).label.key for image in images} == {"cod"}
    assert rebuild_states(reef.project).states == 0
