"""Queues: which units come, to whom, and that nobody works on what another has on the screen."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from tests.reviews.conftest import Reef
from webapp.access.models import Membership, Role, User
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.images.models import Image, ImageState, Sequence
from webapp.images.states import take_over
from webapp.projects.models import Individual
from webapp.reviews import holds
from webapp.reviews.agreement import agreement, kappa_of
from webapp.reviews.audits import draw_audit
from webapp.reviews.decide import AnnotationDraft, decide
from webapp.reviews.decisions import Decision, OfImage, save_decision
from webapp.reviews.models import Change, Finding, Hold, Review
from webapp.reviews.next_units import next_units
from webapp.reviews.pooling import Frame, pool
from webapp.reviews.queues import list_queues, queue_of
from webapp.reviews.rebuild import rebuild_states
from webapp.reviews.second_readings import draw_second_readings
from webapp.reviews.undo import undo_change
from webapp.reviews.units import Unit

pytestmark = pytest.mark.databases


def burst(reef: Reef, *scores: float, key: str = "cod") -> list[Image]:
    sequence = Sequence.objects.create(project=reef.project)
    images = [reef.image(f"{sequence.pk}-{place}") for place in range(len(scores))]
    Image.objects.filter(pk__in=[image.pk for image in images]).update(sequence=sequence)
    take_over([image.pk for image in images])
    for image, score in zip(images, scores, strict=True):
        reef.predict(image, key, score)
    return images


def ask(reef: Reef, who: str, queue: str = "uncertain", **options: Any) -> list[Unit]:
    return next_units(actor=reef.actor(who), project=reef.project, queue=queue_of(queue), **options).units


def names(units: list[Unit]) -> list[str]:
    return [unit.name for unit in units]


def decide_on(reef: Reef, who: str, images: list[Image], *keys: str, **options: Any) -> Change:
    annotations = [AnnotationDraft(label_key=key) for key in keys]
    decision = Decision(
        uuid.uuid4(), [image.pk for image in images], options.pop("verdict", "labelled"), annotations, **options
    )
    return save_decision(actor=reef.actor(who), project=reef.project, decision=decision)


def rows(reef: Reef) -> Any:
    return ImageState.objects.filter(project=reef.project)


def test_two_reviewers_never_get_the_same_unit(reef: Reef) -> None:
    bursts = [burst(reef, 0.5, 0.6) for _ in range(3)]
    first, second = ask(reef, "rosa", limit=2), ask(reef, "sam", limit=2)
    assert not set(names(first)) & set(names(second))
    assert (len(first), len(second)) == (2, 1)
    assert ask(reef, "rosa") == [], "what a page has on the screen does not come again"
    decide_on(reef, "sam", bursts[0], "cod")
    assert not Hold.objects.filter(unit=f"s{bursts[0][0].pk}").exists()


def test_a_page_that_was_reloaded_gets_its_units_again(reef: Reef) -> None:
    burst(reef, 0.5)
    burst(reef, 0.6)
    held = names(ask(reef, "rosa"))
    assert names(ask(reef, "rosa", have=[held[0]])) == [held[1]]
    assert names(ask(reef, "rosa", have=[])) == held
    assert ask(reef, "sam", have=[]) == []


def test_a_lease_that_ended_gives_the_unit_to_somebody_else_and_is_not_renewed(reef: Reef) -> None:
    burst(reef, 0.5)
    (unit,) = names(ask(reef, "rosa"))
    Hold.objects.update(until=Now() - timedelta(seconds=1))
    assert names(ask(reef, "sam")) == [unit]
    assert holds.renew(reef.project, reef.actor("rosa").user, [unit]) == []
    assert holds.renew(reef.project, reef.actor("sam").user, [unit]) == [unit]
    assert holds.release(reef.project, reef.actor("rosa").user, [unit]) == 0, "nobody releases what another holds"


def test_a_skipped_unit_stays_away_from_that_person_alone(reef: Reef) -> None:
    burst(reef, 0.5)
    (unit,) = names(ask(reef, "rosa"))
    for _ in range(2):
        holds.skip(reef.project, reef.actor("rosa").user, "uncertain", unit)
    assert ask(reef, "rosa", have=[]) == []
    assert names(ask(reef, "sam")) == [unit]


def test_a_frame_decided_alone_keeps_its_sequence_held_until_all_are(reef: Reef) -> None:
    images = burst(reef, 0.5, 0.6, 0.7)
    ask(reef, "rosa")
    decide_on(reef, "rosa", images[:1], "cod")
    assert ask(reef, "sam") == []
    decide_on(reef, "rosa", images[1:], "cod")
    assert not Hold.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_reviewers_at_once_share_a_queue_without_double_work(transactional_db: None) -> None:
    """Each takes units, decides them and asks again, all at the same time."""
    reef = Reef(slug="crowd")
    for place in range(24):
        reef.predict(reef.image(str(place)), "cod", 0.3 + place / 100)
    crowd = []
    for number in range(4):
        user = User.objects.create(username=f"reader-{number}")
        Membership.objects.create(user=user, project=reef.project, role=Role.REVIEWER)
        crowd.append(type(reef.actor("rosa"))(reef.actor("rosa").via, user=user))
    start = Barrier(len(crowd))

    def work(place: int) -> list[str]:
        mine: list[str] = []
        try:
            start.wait(10)
            while True:
                units = next_units(actor=crowd[place], project=reef.project, queue=queue_of("uncertain"), limit=3).units
                if not units:
                    return mine
                for unit in units:
                    decision = Decision(
                        uuid.uuid4(), [shown.state.pk for shown in unit.images], "labelled", [AnnotationDraft("cod")]
                    )
                    save_decision(actor=crowd[place], project=reef.project, decision=decision)
                    mine.append(unit.name)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(crowd)) as pool_of_readers:
        done = Counter(name for mine in pool_of_readers.map(work, range(len(crowd))) for name in mine)
    assert len(done) == 24 and set(done.values()) == {1}
    assert Review.objects.filter(image__project=reef.project).count() == 24
    reef.check_counts()


def test_a_selection_narrows_a_queue(reef: Reef) -> None:
    burst(reef, 0.5, key="cod")
    hake = burst(reef, 0.5, key="hake")
    (unit,) = ask(reef, "rosa", within=rows(reef).filter(label=reef.labels["hake"]))
    assert [shown.state.pk for shown in unit.images] == [image.pk for image in hake]


def test_the_model_that_a_person_saw_and_overruled_disagrees_no_more(reef: Reef) -> None:
    image = reef.image()
    seen = reef.predict(image, "cod", 0.9)
    decide_on(reef, "rosa", [image], "hake", how="bulk")
    assert names(ask(reef, "sam", "disagrees")) == [f"i{image.pk}"]
    decide_on(reef, "sam", [image], "hake", queue="disagrees", predictions={image.pk: seen.pk})
    assert ask(reef, "sam", "disagrees") == []
    reef.predict(image, "cod", 0.95, pipeline=1)
    assert ask(reef, "sam", "disagrees") == [], "another version says the same again"
    reef.predict(image, "nothing", 0.8, pipeline=1)
    assert names(ask(reef, "sam", "disagrees")) == [f"i{image.pk}"], "that is news"
    assert rebuild_states(reef.project).states == 0


def test_one_frame_may_differ_and_the_whole_is_one_change(reef: Reef) -> None:
    images = burst(reef, 0.5, 0.6, 0.7)
    own = {images[1].pk: OfImage([AnnotationDraft(label_key="hake", box=(0.1, 0.1, 0.2, 0.2))])}
    own[images[2].pk] = OfImage([], verdict="bad-image")
    change = decide_on(reef, "rosa", images, "cod", per_image=own, seconds=3.0)
    said = [reef.state(image) for image in images]
    assert [(state.label and state.label.key, state.review_state) for state in said] == [
        ("cod", "reviewed"), ("hake", "reviewed"), (None, "bad"),
    ]  # fmt: skip
    assert sorted(review.seconds or 0 for review in change.reviews.all()) == [0, 0, 3.0]
    undo_change(actor=reef.actor("rosa"), change=change)
    assert {reef.state(image).review_state for image in images} == {"unreviewed"}
    reef.check_counts()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": []}, "choose between"),
        ({"how": "imported"}, "rules and imports are other acts"),
        ({"annotations": [AnnotationDraft("cod", box=(0, 0, 0.1, 0.1))]}, "A box belongs to one image"),
        ({"per_image": {10**9: OfImage([])}}, "not among `images`"),
        ({"seconds": -1.0}, "looked at for"),
        ({"values": {"age": 3}}, "does not have"),
        ({"predictions": "of another"}, "not of the image"),
    ],
)
def test_a_decision_that_cannot_be_meant_changes_nothing(reef: Reef, changes: dict[str, Any], words: str) -> None:
    images = burst(reef, 0.5, 0.6)
    if changes.get("predictions"):
        changes = {"predictions": {images[0].pk: images[1].predictions.get().pk}}
    values = {"client_id": uuid.uuid4(), "images": [image.pk for image in images], "verdict": "labelled", **changes}
    with pytest.raises((Invalid, Forbidden), match=words):
        save_decision(actor=reef.actor("cora"), project=reef.project, decision=Decision(**values))
    assert not Review.objects.exists() and not Change.objects.exists()


def test_a_draw_is_seeded_uniform_and_settled_only_by_its_own_reading(reef: Reef) -> None:
    images = [reef.image(str(place)) for place in range(20)]
    draw = draw_audit(
        actor=reef.actor("cora"), project=reef.project, rows=rows(reef), selection={}, size=5, level="image", seed=3
    )
    drawn = set(Finding.objects.values_list("image_id", flat=True))
    assert (draw.frame, draw.units, draw.sampling_probability) == (20, 5, 0.25)
    draw_audit(
        actor=reef.actor("cora"), project=reef.project, rows=rows(reef), selection={}, size=5, level="image", seed=3
    )
    assert set(Finding.objects.values_list("image_id", flat=True)) == drawn
    chosen = [image for image in images if image.pk in drawn]
    decide_on(reef, "rosa", chosen[:1], "cod")
    assert Finding.objects.filter(settled_at=None).count() == 5, "that look was not blind"
    assert f"i{chosen[0].pk}" not in names(ask(reef, "rosa", "audit")), "nor would a second one of hers be"
    change = decide_on(reef, "sam", chosen[:1], "cod", queue="audit")
    review = change.reviews.get()
    assert (review.how, review.sampling_probability) == ("blind", 0.25)
    assert Finding.objects.filter(settled_at=None).count() == 4
    undo_change(actor=reef.actor("sam"), change=change)
    assert Finding.objects.filter(settled_at=None).count() == 5


def test_whoever_imported_labels_may_still_read_the_pictures_blind(reef: Reef) -> None:
    image, cora = reef.image("one"), reef.actor("cora")
    cod = [AnnotationDraft(label_key="cod")]
    decide(actor=cora, image=image, verdict="labelled", annotations=cod, how=Review.How.IMPORTED)
    draw_audit(actor=cora, project=reef.project, rows=rows(reef), selection={}, size=1, level="image")
    assert names(ask(reef, "cora", "audit")) == [f"i{image.pk}"]
    decide_on(reef, "cora", [image], "cod", queue="audit")
    draw_audit(actor=cora, project=reef.project, rows=rows(reef), selection={}, size=1, level="image")
    assert ask(reef, "cora", "audit") == [], "she has read it now"


def test_an_audit_by_sequence_reads_sequences_whole(reef: Reef) -> None:
    for _ in range(4):
        burst(reef, 0.5, 0.6)
    reef.image("lone")
    draw = draw_audit(actor=reef.actor("cora"), project=reef.project, rows=rows(reef), selection={}, size=5, seed=1)
    assert (draw.units, draw.frame, draw.images) == (5, 5, 9)
    units = ask(reef, "rosa", "audit")
    assert sorted(len(unit.images) for unit in units) == [1, 2, 2, 2, 2]
    assert all(not unit.guesses and unit.sampling_probability == 1.0 for unit in units)
    with pytest.raises(Forbidden):
        draw_audit(actor=reef.actor("rosa"), project=reef.project, rows=rows(reef), selection={})


def test_a_second_reading_is_another_persons_and_tells_the_agreement(reef: Reef) -> None:
    images = [reef.image(str(place)) for place in range(4)]
    for image, key in zip(images, ["cod", "cod", "hake", "hake"], strict=True):
        decide_on(reef, "rosa", [image], key)
    draw = draw_second_readings(actor=reef.actor("cora"), project=reef.project, rows=rows(reef), selection={}, size=9)
    assert (draw.units, draw.frame) == (4, 4)
    assert ask(reef, "rosa", "second") == []
    units = ask(reef, "sam", "second")
    assert len(units) == 4 and not any(shown.verdicts for unit in units for shown in unit.images)
    with pytest.raises(Conflict, match="another person"):
        decide_on(reef, "rosa", images[:1], "cod", queue="second")
    for image, key in zip(images, ["cod", "hake", "hake", "hake"], strict=True):
        decide_on(reef, "sam", [image], key, queue="second")
    found = agreement(actor=reef.actor("vic"), project=reef.project)
    assert (found.pairs, found.agree, found.kappa) == (4, 3, 0.5)
    by_key = {one.label_key: one for one in found.labels}
    assert (by_key["cod"].n, by_key["cod"].agree, by_key["cod"].kappa) == (2, 1, 0.5)
    conflict = ask(reef, "cora", "conflicts")
    assert names(conflict) == [f"i{images[1].pk}"]
    assert conflict[0].why == "sam says Hake; rosa says Cod. A curator's verdict settles it."
    with pytest.raises(Forbidden):
        ask(reef, "rosa", "conflicts")
    decide_on(reef, "cora", [images[1]], "cod", queue="conflicts")
    assert reef.state(images[1]).review_state == "reviewed"
    assert rebuild_states(reef.project).states == 0


def test_kappa_is_what_the_textbook_says() -> None:
    table = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    assert kappa_of(table) == pytest.approx(0.4)
    assert kappa_of([]) is None and kappa_of([("a", "a")] * 3) is None


def test_a_cluster_is_one_unit_and_one_key(reef: Reef) -> None:
    images = [reef.image(str(place)) for place in range(5)]
    for place, image in enumerate(images):
        group = 7 if place < 3 else 8
        Finding.objects.create(project=reef.project, kind="cluster", image=image, score=3 - group / 10, group=group)
    units = ask(reef, "rosa", "cold-start")
    assert names(units) == ["g7", "g8"]
    assert units[0].why.startswith("3 unlabelled pictures that look alike")
    assert ask(reef, "sam", "cold-start") == []
    decide_on(reef, "rosa", images[:3], "cod", queue="cold-start", how="bulk")
    assert set(Hold.objects.values_list("unit", flat=True)) == {"g8"}
    assert names(ask(reef, "rosa", "cold-start", have=[])) == ["g8"]


def test_a_suspect_is_suggested_what_the_other_labels_say_and_not_the_models_answer(reef: Reef) -> None:
    (image,) = burst(reef, 0.9, key="cod")
    decide_on(reef, "sam", [image], "fish")
    Finding.objects.create(
        project=reef.project, kind="suspect", image=image, score=0.7, label=reef.labels["hake"], detail={"sure": 0.8}
    )
    (unit,) = ask(reef, "rosa", "suspect")
    assert (unit.guesses[0].label, unit.guesses[0].score) == (reef.labels["hake"], 0.8)
    assert unit.says == "The other labels say"
    assert [guess.label.key for guess in unit.guesses].count("hake") == 1


def test_empty_frames_do_not_outvote_an_animal() -> None:
    def frame(number: int, cod: float) -> Frame:
        scores = {"cod": cod, "nothing": 1 - cod}
        return Frame(number, "cod" if cod > 0.5 else "nothing", max(cod, 1 - cod), scores)

    empty = frozenset({"nothing"})
    pooled = pool([frame(1, 0.02), frame(2, 0.04), frame(3, 0.6), frame(4, 0.8)], empty)
    assert pooled is not None
    assert (pooled.frames, pooled.of, pooled.telling) == (2, 4, 4)
    assert pooled.scores[0] == ("cod", pytest.approx(0.7))
    nothing = pool([frame(1, 0.02), frame(2, 0.04)], empty)
    assert nothing is not None and nothing.scores[0][0] == "nothing"
    assert pool([], empty) is None


def test_a_project_lists_its_own_queues_first(reef: Reef) -> None:
    burst(reef, 0.5, 0.6)
    reef.project.options = {"queues": ["new", "empty", "unmatched"]}
    listed = list_queues(reef.project)
    assert [one.queue.key for one in listed[:3]] == ["looks-new", "empty", "unmatched"]
    assert {one.queue.key: one.count for one in listed}["uncertain"] == 2
    reef.project.options = {}
    assert "unmatched" not in [one.queue.key for one in list_queues(reef.project)]


def test_unmatched_holds_what_shows_an_animal_that_nobody_named_and_asks_once(reef: Reef) -> None:
    seen, named, empty, new = (burst(reef, 0.9)[0] for _ in range(4))
    ann = Individual.objects.create(project=reef.project, name="Ann", label=reef.labels["cod"])
    decide_on(reef, "rosa", [seen], "cod")
    decide_on(reef, "rosa", [empty], "nothing")
    told = [AnnotationDraft(label_key="cod", individual=ann)]
    decision = Decision(uuid.uuid4(), [named.pk], "labelled", told)
    save_decision(actor=reef.actor("rosa"), project=reef.project, decision=decision)
    found = ask(reef, "sam", "unmatched")
    assert [unit.images[0].state.pk for unit in found] == [new.pk, seen.pk]
    assert found[1].why.startswith("It was looked at")
    change = decide_on(reef, "sam", [seen], "cod", queue="unmatched")
    assert [unit.images[0].state.pk for unit in ask(reef, "sam", "unmatched", have=[])] == [new.pk]
    undo_change(actor=reef.actor("sam"), change=change)
    assert ask(reef, "rosa", "unmatched", have=[]) == [], "who took it back has it on the screen"
    assert len(ask(reef, "sam", "unmatched", have=[])) == 2


def test_what_is_taken_back_is_held_by_who_took_it_back(reef: Reef) -> None:
    frames = burst(reef, 0.5, 0.6)
    (unit,) = names(ask(reef, "rosa"))
    change = decide_on(reef, "rosa", frames, "cod", queue="uncertain")
    assert not Hold.objects.exists()
    undo_change(actor=reef.actor("rosa"), change=change)
    assert ask(reef, "sam") == []
    assert holds.renew(reef.project, reef.actor("rosa").user, [unit]) == [unit]
    alone = decide_on(reef, "rosa", frames[:1], "cod", queue="uncertain")
    undo_change(actor=reef.actor("rosa"), change=alone)
    assert set(Hold.objects.values_list("unit", flat=True)) == {unit, f"i{frames[0].pk}"}
    from_the_grid = decide_on(reef, "sam", frames, "cod", how="bulk")
    Hold.objects.all().delete()
    undo_change(actor=reef.actor("sam"), change=from_the_grid)
    assert not Hold.objects.exists(), "what was chosen in the grid was no unit"
