"""Heads that learn while people work: when they are due, what they are scored on, and what a yes does."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings

from tests.colour_project import COLOURS, make_colours, point_settings, send, turned_version, use
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, User
from webapp.access.tokens import issue_token
from webapp.errors import Conflict, Forbidden
from webapp.images.models import FacetCount, Image, ImageState, Sequence
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction
from webapp.projects.models import Label, Project
from webapp.reviews.decide import AnnotationDraft, decide
from webapp.reviews.models import NearDuplicate, Review
from webapp.reviews.next_units import next_units
from webapp.reviews.queues import queue_of
from webapp.runs.models import WorkingHead
from webapp.runs.working_heads import gather, learn
from webapp.runs.working_heads.decide import accept_head, dismiss_head, end_suggestions
from webapp.runs.working_heads.look import look_at
from webapp.runs.working_heads.offer import offered, sentence
from webapp.runs.working_heads.take_up import take_up
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Pipeline

State = WorkingHead.State
FISH = {"red": "cod", "green": "hake", "blue": "ling"}

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


class Shore:
    """A project whose model says colours while its people, Cora and Ravi, say fish."""

    def __init__(self, tmp_path: Path, settings: Settings) -> None:
        point_settings(settings, tmp_path)
        self.settings, self.tmp_path = settings, tmp_path
        self.project: Project = make_colours(tmp_path)
        for name in FISH.values():
            Label.objects.create(project=self.project, key=name, name=name.title())
        self.people: dict[str, Actor] = {}
        for name, role in (("cora", "curator"), ("ravi", "reviewer")):
            user = User.objects.create(username=name)
            Membership.objects.create(user=user, project=self.project, role=role)
            self.people[name] = Actor(Via.SESSION, user=user)
        self.sent = 0

    def pictures(self, count: int) -> list[Image]:
        """New pictures of all colours, answered by what is in use."""
        ids = []
        for number in range(self.sent, self.sent + count):
            accepted = send(self.project, self.settings, list(COLOURS)[number % 3], number // 3)
            ids.append(accepted.image_id)
        self.sent += count
        drained()
        return list(Image.objects.filter(pk__in=ids).order_by("pk"))

    def review(self, images: list[Image], how: str = Review.How.SUGGESTED) -> None:
        for image in images:
            said = Prediction.objects.get(image=image, purpose="live")
            draft = AnnotationDraft(label_key=FISH.get(said.label_key, said.label_key))
            decide(
                actor=self.people["ravi"], image=image, verdict="labelled", annotations=[draft], how=how,
                prediction=said,
            )  # fmt: skip


def drained() -> None:
    worker = Drainer("w")
    while Prediction.objects.filter(state="pending").exists():
        worker.drain()
    worker.close()


@pytest.fixture
def shore(tmp_path: Path, settings: Settings) -> Shore:
    return Shore(tmp_path, settings)


def a_head(shore: Shore, state: str = State.SCORED, **more: object) -> WorkingHead:
    """A row as `learn` leaves it, without the learning."""
    against = gather.suggesting(shore.project)
    assert against is not None and against.classifier is not None
    said = {"against": against.digest, "suggested": "first", "own": []}
    values: dict[str, object] = {"learned_from": 45, "up_to": 0, "score": said, **more}
    return WorkingHead.objects.create(project=shore.project, space=against.classifier, state=state, **values)


def offer(shore: Shore) -> WorkingHead:
    head = a_head(shore, State.OFFERED, learned_from=214)
    said = {"images": 96, "groups": 90, "right": 88, "before": 71, "difference": 0.177, "interval": [0.091, 0.262]}
    head.score = {**head.score, **said, "is_better": True}
    head.save()
    return head


@pytest.mark.long
def test_a_head_is_learned_offered_taken_up_and_suggests_while_the_answer_stays(shore: Shore) -> None:
    shore.review(shore.pictures(45))
    due = look_at(shore.project).learn
    assert due is not None
    head = learn.learn(due.pk)
    assert head is not None
    assert (head.state, head.learned_from, head.reason) == (State.SCORED, 45, "")
    assert look_at(shore.project) == look_at(shore.project).__class__(), "nothing new to be scored on"

    shore.review(shore.pictures(24))
    # A growth by a quarter makes the next head due; this one is scored first.
    head = learn.score(head.pk)
    assert head is not None
    assert (head.score["images"], head.score["right"], head.score["before"]) == (24, 24, 0)
    assert (head.state, offered(shore.project)) == (State.OFFERED, head)
    assert look_at(shore.project).learn is None, "an offer is answered first"

    waiting = shore.pictures(3)
    accept_head(actor=shore.people["cora"], head=head)
    assert take_up(head.pk) is not None
    assert take_up(head.pk) is None, "repeated, it comes to the same"
    drained()
    pipeline = active_pipeline(shore.project, "suggest")
    assert pipeline is not None and pipeline.classifier is not None
    assert pipeline.classifier.card["training_config"]["recipe"] == "working-head"
    fresh = shore.pictures(1)
    queue = queue_of("unreviewed")
    units = next_units(actor=shore.people["ravi"], project=shore.project, queue=queue, limit=8).units
    suggested = {unit.images[0].state.pk: unit.guesses[0].label.key for unit in units}
    live = {image.pk: ImageState.objects.get(pk=image.pk).label for image in [*waiting, *fresh]}
    for image in [*waiting, *fresh]:
        answer = live[image.pk]
        assert answer is not None
        assert suggested[image.pk] == FISH[answer.key], "review suggests what the head says; the answer stays"

    end_suggestions(actor=shore.people["cora"], project=shore.project)
    assert active_pipeline(shore.project, "suggest") is None
    assert WorkingHead.objects.get(pk=head.pk).state == State.DISMISSED


def test_it_is_due_from_forty_labels_on_and_again_after_a_quarter_more(shore: Shore) -> None:
    images = shore.pictures(57)
    shore.review(images[:39])
    assert look_at(shore.project).learn is None
    shore.review(images[39:40])
    due = look_at(shore.project).learn
    assert due is not None
    assert look_at(shore.project).learn == due, "one at a time"
    WorkingHead.objects.filter(pk=due.pk).update(state=State.FAILED, learned_from=40)
    assert look_at(shore.project).learn is None
    shore.review(images[40:50])
    assert look_at(shore.project).learn is not None


def test_a_head_is_scored_before_the_next_one_learns_however_quick_people_are(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> bool:
        raise learn.Ended(1, "It cannot be scored.")

    head = a_head(shore, learned_from=40, head_key="heads/one.npz")
    (shore.settings.STORE_DIR / "heads").mkdir()
    (shore.settings.STORE_DIR / head.head_key).write_bytes(b"weights")
    shore.review(shore.pictures(1))
    FacetCount.objects.update_or_create(project=shore.project, facet="source", value="human", defaults={"count": 400})
    looked = look_at(shore.project)
    assert (looked.learn, looked.score) == (None, head), "its evidence is not thrown away"
    monkeypatch.setattr(learn, "run", cannot)
    assert learn.score(head.pk) is None
    assert look_at(shore.project).learn is not None, "and it holds up nothing when it cannot be scored"


def test_after_a_no_it_waits_for_twice_the_labels(shore: Shore) -> None:
    images = shore.pictures(12)
    head = offer(shore)
    dismiss_head(actor=shore.people["cora"], head=head)
    WorkingHead.objects.filter(pk=head.pk).update(learned_from=5)
    shore.review(images)
    assert look_at(shore.project).learn is None
    with pytest.raises(Conflict, match="not offered"):
        accept_head(actor=shore.people["cora"], head=head)


def test_only_labels_that_people_gave_are_learned_from(shore: Shore) -> None:
    images = shore.pictures(4)
    shore.review(images[:2])
    decide(actor=OPERATOR, image=images[2], verdict="labelled", annotations=[AnnotationDraft(label_key="cod")],
           how=Review.How.IMPORTED)  # fmt: skip
    decide(actor=shore.people["ravi"], image=images[3], verdict="cannot-tell", how=Review.How.BLIND)
    assert [one.image_id for one in gather.reviewed(shore.project)] == [image.pk for image in images[:2]]


def test_a_burst_or_twin_of_what_it_learned_from_is_not_new_to_it(shore: Shore) -> None:
    images = shore.pictures(6)
    burst = Sequence.objects.create(project=shore.project)
    for image in (images[0], images[3]):
        ImageState.objects.filter(pk=image.pk).update(sequence=burst)
    for image in (images[1], images[4]):
        NearDuplicate.objects.create(image=image, project=shore.project, cluster=images[1].pk)
    shore.review(images[:3])
    up_to = max(one.newest for one in gather.reviewed(shore.project))
    shore.review(images[3:])
    found = gather.reviewed(shore.project)
    assert [one.image_id for one in gather.not_seen(found, up_to)] == [images[5].pk]
    groups = gather.groups_of(found)
    assert groups[images[0].pk] == groups[images[3].pk] == str(images[0].pk)
    assert len(set(groups.values())) == 4


def test_heads_before_it_stay_in_its_chain_until_somebody_decides_or_another_version_suggests(
    shore: Shore, tmp_path: Path
) -> None:
    def scored(own: list[list[object]], state: str = State.REPLACED) -> WorkingHead:
        head = a_head(shore, state)
        head.score = {**head.score, "own": own}
        head.save()
        return head

    scored([["a", 1, 1, 0]])
    scored([["b", 1, 1, 0]], State.DISMISSED)
    scored([["c", 1, 1, 0]])
    scored([], State.FAILED)
    scored([["d", 1, 0, 1]])
    assert learn._chain(a_head(shore)) == [["c", 1, 1, 0], ["d", 1, 0, 1]]
    last = offer(shore)
    use(shore.project, turned_version(shore.project, tmp_path))
    look_at(shore.project)
    last.refresh_from_db()
    assert (last.state, offered(shore.project)) == (State.REPLACED, None)
    assert learn._chain(a_head(shore)) == []


def test_the_offer_is_one_line_for_those_who_may_answer_it(shore: Shore) -> None:
    head = offer(shore)
    words = (
        "A head that learned from your 214 verdicts was right on 88 of the 96 it had not seen; the version in use on "
        "71 (difference +17.7 points, 95 %: +9.1 to +26.2 points)."
    )
    assert sentence(head) == words
    page = reverse("review", args=[shore.project.slug])
    assert words in browser(shore, "cora").get(page).content.decode()
    assert words not in browser(shore, "ravi").get(page).content.decode()
    with pytest.raises(Forbidden):
        accept_head(actor=shore.people["ravi"], head=head)
    answered = browser(shore, "cora").post(reverse("head-dismiss", args=[shore.project.slug, head.uid]))
    assert answered.status_code == 302
    assert WorkingHead.objects.get(pk=head.pk).state == State.DISMISSED


def test_what_earlier_heads_of_the_chain_had_not_seen_is_not_said_of_the_newest(shore: Shore) -> None:
    head = offer(shore)
    head.score |= {"own": [["g", 40, 37, 30]]}
    words = "Heads that learned from your verdicts, the newest from 214, were right on 88 of the 96 each had not seen;"
    assert sentence(head).startswith(words)


def test_the_models_page_says_how_far_the_newest_head_is_or_why_none_learns(shore: Shore) -> None:
    def shown() -> str:
        answer = browser(shore, "ravi").get(reverse("models", args=[shore.project.slug]))
        return str(answer.content.decode())

    assert "The first one learns after 40 verdicts; there are 0." in shown()
    shore.review(shore.pictures(2))
    assert "there are 2." in shown()
    head = a_head(shore)
    assert "One learned from 45 verdicts and is scored on those given since; it is not better beyond doubt" in shown()
    WorkingHead.objects.filter(pk=head.pk).update(state=State.FAILED, reason="The disk is full.")
    assert "The last one failed: The disk is full." in shown()
    live = active_pipeline(shore.project)
    assert live is not None
    Pipeline.objects.filter(pk=live.pk).update(detector=live.classifier)
    assert "None learns here: first looks for animals first" in shown()


def browser(shore: Shore, who: str) -> Browser:
    client, user = Browser(), shore.people[who].user
    assert user is not None
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_rest_lists_accepts_and_dismisses_heads(shore: Shore) -> None:
    head, slug = offer(shore), shore.project.slug
    cora, ravi = token(shore, "cora"), token(shore, "ravi")
    listed = cora.get(reverse("api-working-heads", args=[slug])).json()["results"]
    assert [(one["id"], one["state"], one["right"]) for one in listed] == [(str(head.uid), "offered", 88)]
    assert cora.get(reverse("api-working-head", args=[head.uid])).json()["interval"] == [0.091, 0.262]
    assert ravi.post(reverse("api-working-head-accept", args=[head.uid])).status_code == 403
    assert cora.post(reverse("api-working-head-accept", args=[head.uid])).json()["state"] == "accepted"
    assert cora.post(reverse("api-working-head-dismiss", args=[head.uid])).status_code == 409
    assert ravi.post(reverse("api-suggestions-end", args=[slug])).status_code == 403
    assert cora.post(reverse("api-suggestions-end", args=[slug])).status_code == 204
    assert WorkingHead.objects.get(pk=head.pk).state == State.DISMISSED


def token(shore: Shore, who: str) -> Browser:
    user = shore.people[who].user
    assert user is not None
    _, secret = issue_token(actor=OPERATOR, user=user, name="test", scopes=["admin"], project_id=None)
    return Browser(headers={"Authorization": f"Bearer {secret}"})
