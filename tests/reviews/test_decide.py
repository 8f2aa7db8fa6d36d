"""Verdicts: who may give them, what they must hold, and what follows from them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.reviews.conftest import Reef
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.images.models import Image
from webapp.projects.models import Individual, Label, Project
from webapp.reviews.decide import AnnotationDraft, decide, decide_many
from webapp.reviews.models import Annotation, Change, Review


def say(reef: Reef, who: str, image: Image, *keys: str, verdict: str = "labelled", **options: Any) -> Review:
    return decide(
        actor=reef.actor(who),
        image=image,
        verdict=verdict,
        annotations=options.pop("annotations", [AnnotationDraft(label_key=key) for key in keys]),
        how=options.pop("how", "suggested"),
        **options,
    )


def test_a_verdict_outranks_the_machine_and_says_how_it_came_about(reef: Reef) -> None:
    image = reef.image()
    seen = reef.predict(image, "cod", 0.8)
    review = say(
        reef, "rosa", image, "hake", how="blind", prediction=seen, queue="audit", sampling_probability=0.05, seconds=2.5
    )
    state = reef.state(image)
    assert (state.label, state.source, state.review_state) == (reef.labels["hake"], "human", "reviewed")
    assert (state.machine_label, state.score, state.queue_reason) == (reef.labels["cod"], 0.8, "model disagrees")
    assert (review.how, review.queue, review.sampling_probability, review.prediction) == ("blind", "audit", 0.05, seen)
    reef.check_counts()


def test_a_later_answer_of_the_machine_never_touches_a_verdict(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "hake")
    reef.predict(image, "cod", pipeline=1)
    state = reef.state(image)
    assert (state.label, state.machine_label) == (reef.labels["hake"], reef.labels["cod"])
    assert Review.objects.count() == 1
    reef.check_counts()


def test_looked_and_empty_is_the_label_for_nothing(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image)
    assert reef.state(image).label == reef.labels["nothing"]
    assert Annotation.objects.count() == 0


def test_cannot_tell_keeps_the_lowest_sure_label(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "fish", verdict="cannot-tell")
    assert (reef.state(image).review_state, reef.state(image).label) == ("cannot-tell", reef.labels["fish"])
    say(reef, "rosa", image, verdict="cannot-tell")
    assert reef.state(image).label is None


def test_a_bad_image_has_no_label(reef: Reef) -> None:
    image = reef.image()
    reef.predict(image, "cod")
    say(reef, "rosa", image, verdict="bad-image")
    assert (reef.state(image).review_state, reef.state(image).label) == ("bad", None)


def test_an_annotation_keeps_all_that_was_said_of_it(reef: Reef) -> None:
    image = reef.image()
    old = Individual.objects.create(project=reef.project, name="Old Tom", label=reef.labels["cod"])
    draft = AnnotationDraft(
        individual=old,
        box=(0.1, 0.2, 0.3, 0.8),
        count=2,
        fields={"sex": "female", "length": 4.5},
        flags={"occluded": True},
    )
    say(reef, "rosa", image, annotations=[draft])
    kept = Annotation.objects.get()
    assert (kept.x, kept.y, kept.width, kept.height) == (0.1, 0.2, 0.3, 0.8)
    assert (kept.label, kept.individual, kept.count, kept.occluded, kept.truncated) == (
        reef.labels["cod"], old, 2, True, None,
    )  # fmt: skip
    assert kept.fields == {"sex": "female", "length": 4.5}
    assert reef.state(image).individual == old


def test_a_merged_label_stands_for_the_one_it_became(reef: Reef) -> None:
    merged = Label.objects.create(project=reef.project, key="torsk", name="Torsk", merged_into=reef.labels["cod"])
    image = reef.image()
    say(reef, "rosa", image, merged.key)
    assert reef.state(image).label == reef.labels["cod"]


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        ({"label_key": "shark"}, "has no label 'shark'"),
        ({}, "has no label"),
        ({"label_key": "cod", "box": (0.5, 0.5, 0.6, 0.1)}, "leaves the image"),
        ({"label_key": "cod", "box": (0.1, 0.1, 0.0, 0.1)}, "leaves the image"),
        ({"label_key": "cod", "box": (float("nan"), 0.1, 0.1, 0.1)}, "four numbers"),
        ({"label_key": "cod", "box": (0.1, 0.1, 0.1)}, "four numbers"),
        ({"label_key": "cod", "count": 0}, "whole number"),
        ({"label_key": "cod", "count": 1.5}, "whole number"),
        ({"label_key": "cod", "count": True}, "whole number"),
        ({"label_key": "cod", "fields": {"age": 3}}, "does not have. It has: "),
        ({"label_key": "cod", "fields": {"sex": "other"}}, "none of its choices: female, male"),
        ({"label_key": "cod", "fields": {"length": "long"}}, "not a number"),
        ({"label_key": "cod", "flags": {"hidden": True}}, "flags are occluded"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said_and_nothing_is_written(
    reef: Reef, draft: dict[str, Any], words: str
) -> None:
    image = reef.image()
    with pytest.raises(Invalid, match=words):
        say(reef, "rosa", image, annotations=[AnnotationDraft(**draft)])
    assert not Review.objects.exists()
    assert reef.state(image).review_state == "unreviewed"


def test_a_box_a_hair_past_the_edge_is_drawn_back(reef: Reef) -> None:
    say(reef, "rosa", reef.image(), annotations=[AnnotationDraft(label_key="cod", box=(-1e-9, 0.5, 1.0, 0.5 + 1e-9))])
    kept = Annotation.objects.get()
    assert kept.x == 0.0
    assert kept.height == 0.5


def test_labels_and_individuals_of_other_projects_are_refused(reef: Reef) -> None:
    other = Project.objects.create(slug="other", name="Other")
    label = Label.objects.create(project=other, key="cod", name="Cod")
    individual = Individual.objects.create(project=other, name="Tom")
    for draft in (AnnotationDraft(label=label), AnnotationDraft(label_key="cod", individual=individual)):
        with pytest.raises(Invalid, match="another project"):
            say(reef, "rosa", reef.image(str(draft)), annotations=[draft])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"verdict": "maybe"}, "choose from labelled, cannot-tell, bad-image"),
        ({"verdict": "withdrawn"}, "Unknown verdict"),
        ({"how": "guessed"}, "Unknown way"),
        ({"verdict": "bad-image", "annotations": [AnnotationDraft(label_key="cod")]}, "no annotations"),
        ({"verdict": "cannot-tell", "annotations": [AnnotationDraft(label_key="cod")] * 2}, "one annotation at most"),
        ({"sampling_probability": 0.0}, "sampling probability"),
        ({"sampling_probability": 1.5}, "sampling probability"),
        ({"seconds": -1.0}, "seconds"),
        ({"fields": {"age": 3}}, "The verdict has the field 'age'"),
    ],
)
def test_what_is_wrong_with_a_verdict_is_said(reef: Reef, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        say(reef, "rosa", reef.image(), **options)


def test_only_members_who_review_give_verdicts(reef: Reef) -> None:
    image = reef.image()
    for who in ("vic", "eve"):
        with pytest.raises(Forbidden):
            say(reef, who, image, "cod")


@pytest.mark.parametrize("how", ["rule", "imported"])
def test_reviewers_cannot_pass_their_verdicts_off_as_rules_or_imports(reef: Reef, how: str) -> None:
    image = reef.image()
    with pytest.raises(Forbidden):
        say(reef, "rosa", image, "cod", how=how)
    say(reef, "cora", image, "cod", how=how)
    assert reef.state(image).source == how


def test_saving_twice_is_one_review(reef: Reef) -> None:
    image, client_id = reef.image(), uuid.uuid4()
    first = say(reef, "rosa", image, "cod", client_id=client_id)
    assert say(reef, "rosa", image, "cod", client_id=client_id) == first
    assert Review.objects.count() == 1
    with pytest.raises(Conflict):
        say(reef, "rosa", reef.image("2.jpg"), "cod", client_id=client_id)
    with pytest.raises(Conflict):
        say(reef, "sam", image, "cod", client_id=client_id)


def test_a_withdrawn_image_takes_no_verdicts(reef: Reef) -> None:
    image = reef.image()
    image.withdrawn_at = timezone.now()
    image.save()
    with pytest.raises(Conflict, match="withdrawn"):
        say(reef, "rosa", image, "cod")


def test_two_reviewers_who_disagree_are_a_conflict_until_they_agree(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "cod")
    say(reef, "sam", image, "hake")
    state = reef.state(image)
    assert (state.review_state, state.label) == ("conflict", reef.labels["hake"])
    say(reef, "rosa", image, "hake")
    assert reef.state(image).review_state == "reviewed"
    reef.check_counts()


def test_a_reviewer_who_changes_their_mind_is_no_conflict(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "cod")
    say(reef, "rosa", image, "hake")
    assert reef.state(image).review_state == "reviewed"
    assert Review.objects.count() == 2


def test_a_curator_settles_a_conflict_except_in_a_second_reading(reef: Reef) -> None:
    image = reef.image()
    say(reef, "rosa", image, "cod")
    say(reef, "cora", image, "hake", second_reading=True)
    assert reef.state(image).review_state == "conflict"
    say(reef, "cora", image, "fish")
    state = reef.state(image)
    assert (state.review_state, state.label) == ("reviewed", reef.labels["fish"])
    say(reef, "sam", image, "cod")
    assert reef.state(image).review_state == "conflict"


def test_a_person_outranks_rules_and_imports_whenever_those_come(reef: Reef) -> None:
    image = reef.image()
    say(reef, "cora", image, "cod", how="imported")
    say(reef, "rosa", image, "hake")
    assert (reef.state(image).review_state, reef.state(image).source) == ("reviewed", "human")
    say(reef, "cora", image, "cod", how="rule")
    assert (reef.state(image).label, reef.state(image).source) == (reef.labels["hake"], "human")


def test_many_images_are_one_change_with_few_queries(reef: Reef) -> None:
    images = [reef.image(f"{number}.jpg") for number in range(60)]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        change = decide_many(
            actor=reef.actor("rosa"),
            project=reef.project,
            images=images,
            verdict="labelled",
            annotations=[AnnotationDraft(label_key="cod", count=2)],
            what="60 images: Cod",
        )
    assert len(queries) < 30
    assert change.reviews.count() == Annotation.objects.filter(count=2).count() == 60
    assert {review.how for review in change.reviews.all()} == {"bulk"}
    assert reef.counts()[("label", str(reef.labels["cod"].pk))] == 60
    reef.check_counts()


def test_a_change_sent_twice_is_one_change(reef: Reef) -> None:
    options: dict[str, Any] = {
        "actor": reef.actor("rosa"), "project": reef.project, "images": [reef.image()],
        "verdict": "labelled", "client_id": uuid.uuid4(),
    }  # fmt: skip
    assert decide_many(**options) == decide_many(**options)
    assert (Change.objects.count(), Review.objects.count()) == (1, 1)
    with pytest.raises(Conflict):
        decide_many(**{**options, "actor": reef.actor("sam")})


def test_images_of_another_project_are_in_no_change(reef: Reef) -> None:
    other = Reef(slug="other")
    for images in ([other.image()], []):
        with pytest.raises(Invalid):
            decide_many(actor=reef.actor("rosa"), project=reef.project, images=images, verdict="labelled")
    with pytest.raises(Invalid, match="without boxes"):
        decide_many(
            actor=reef.actor("rosa"),
            project=reef.project,
            images=[reef.image()],
            verdict="labelled",
            annotations=[AnnotationDraft(label_key="cod", box=(0, 0, 1, 1))],
        )
