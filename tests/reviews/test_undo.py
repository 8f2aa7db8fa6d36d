"""Taking verdicts back, and what is remembered of it."""

from __future__ import annotations

import uuid

import pytest

from tests.reviews.conftest import Reef
from tests.reviews.test_decide import say
from webapp.access.models import AuditEvent
from webapp.errors import Conflict, Forbidden
from webapp.reviews.decide import AnnotationDraft, decide_many
from webapp.reviews.history import history
from webapp.reviews.models import Review
from webapp.reviews.undo import undo_change, undo_review


def test_undoing_falls_back_to_the_verdict_before_and_then_to_the_machine(reef: Reef) -> None:
    image = reef.image()
    reef.predict(image, "fish", 0.7)
    first, second = say(reef, "rosa", image, "cod"), say(reef, "rosa", image, "hake")
    undo_review(actor=reef.actor("rosa"), review=second)
    assert reef.state(image).label == reef.labels["cod"]
    undo_review(actor=reef.actor("rosa"), review=first)
    state = reef.state(image)
    assert (state.label, state.source, state.score, state.review_state) == (
        reef.labels["fish"], "machine", 0.7, "unreviewed",
    )  # fmt: skip
    assert Review.objects.count() == 4
    reef.check_counts()


def test_undoing_one_side_ends_a_conflict(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "cod")
    wrong = say(reef, "sam", image, "hake")
    undo_review(actor=reef.actor("sam"), review=wrong)
    assert (reef.state(image).review_state, reef.state(image).label) == ("reviewed", reef.labels["cod"])


def test_undoing_what_settled_brings_the_conflict_back(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "cod")
    say(reef, "sam", image, "hake")
    settled = say(reef, "cora", image, "cod")
    undo_review(actor=reef.actor("cora"), review=settled)
    assert reef.state(image).review_state == "conflict"


def test_undoing_twice_is_once_and_an_undo_cannot_be_undone(reef: Reef) -> None:
    image = reef.image()
    review = say(reef, "rosa", image, "cod")
    undone = undo_review(actor=reef.actor("rosa"), review=review, client_id=uuid.uuid4())
    assert undo_review(actor=reef.actor("rosa"), review=review) == undone
    with pytest.raises(Conflict, match="give it again"):
        undo_review(actor=reef.actor("rosa"), review=undone)


def test_others_verdicts_are_taken_back_by_curators_only(reef: Reef) -> None:
    image = reef.image()
    review = say(reef, "rosa", image, "cod")
    with pytest.raises(Forbidden):
        undo_review(actor=reef.actor("sam"), review=review)
    undo_review(actor=reef.actor("cora"), review=review)
    assert reef.state(image).review_state == "unreviewed"


def test_a_change_is_taken_back_as_one(reef: Reef) -> None:
    images = [reef.image(f"{number}.jpg") for number in range(3)]
    say(reef, "rosa", images[0], "hake")
    change = decide_many(
        actor=reef.actor("rosa"),
        project=reef.project,
        images=images,
        verdict="labelled",
        annotations=[AnnotationDraft(label_key="cod")],
        what="3 images: Cod",
    )
    undo_review(actor=reef.actor("rosa"), review=change.reviews.get(image=images[2]))
    with pytest.raises(Forbidden):
        undo_change(actor=reef.actor("sam"), change=change)
    undoing = undo_change(actor=reef.actor("rosa"), change=change)
    assert undo_change(actor=reef.actor("rosa"), change=change) == undoing
    assert undoing.reviews.count() == 2
    labels = [reef.state(image).label for image in images]
    assert labels == [reef.labels["hake"], None, None]
    assert AuditEvent.objects.filter(action="undo change").count() == 1
    with pytest.raises(Conflict):
        undo_change(actor=reef.actor("rosa"), change=undoing)
    reef.check_counts()


def test_the_history_tells_everything_newest_first(reef: Reef) -> None:
    image = reef.image()
    reef.predict(image, "fish")
    wrong = say(reef, "rosa", image, "cod")
    undo_review(actor=reef.actor("rosa"), review=wrong)
    say(reef, "sam", image, "hake", "cod")
    lines = [(entry.who, entry.what, entry.stands, entry.is_undone) for entry in history(image)]
    assert lines == [
        ("sam", "Hake, Cod", True, False),
        ("rosa", "taken back", False, False),
        ("rosa", "Cod", False, True),
        ("v1", "Fish", True, False),
    ]
