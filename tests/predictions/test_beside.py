"""A candidate tried beside: asked about each live picture when nobody waits, and never the answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.colour_project import head_version, make_colours, point_settings, send, turned_version, use
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, User
from webapp.errors import Conflict, Forbidden
from webapp.images.models import FacetCount, ImageState
from webapp.images.store import open_original
from webapp.predictions import drain, look
from webapp.predictions.beside import start_beside, stop_beside
from webapp.predictions.claim import NOTHING, claim
from webapp.predictions.disagreement import beside
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.reviews.rebuild import rebuild_states
from webapp.versions.activate import active_pipeline, roll_back
from webapp.versions.models import Activation

State, Purpose = Prediction.State, Prediction.Purpose

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def colours(tmp_path: Path, settings: Settings) -> Project:
    point_settings(settings, tmp_path)
    return make_colours(tmp_path)


def drained(project: Project) -> None:
    worker = Drainer("w")
    while Prediction.objects.filter(pipeline__project=project, state=State.PENDING).exists():
        worker.drain()
    worker.close()


def said(image_id: int, purpose: str) -> str:
    return Prediction.objects.get(image=image_id, purpose=purpose, state=State.DONE).label_key


def test_a_candidate_is_asked_about_live_pictures_and_is_never_the_answer(
    colours: Project, tmp_path: Path, settings: Settings
) -> None:
    before = send(colours, settings, "red")
    drained(colours)
    start_beside(actor=OPERATOR, project=colours, version=turned_version(colours, tmp_path), note="a try")
    counts = list(FacetCount.objects.filter(facet="label").exclude(count=0).values_list("value", "count"))
    sent = send(colours, settings, "red", 1)
    drained(colours)
    assert (said(sent.image_id, Purpose.LIVE), said(sent.image_id, Purpose.ALSO)) == ("red", "green")
    assert not Prediction.objects.filter(image=before.image_id, purpose=Purpose.ALSO).exists()
    state = ImageState.objects.get(pk=sent.image_id)
    assert state.label is not None and state.machine_label is not None
    assert (state.label.key, state.machine_label.key) == ("red", "red")
    assert [(label, count - 1) for label, count in _labels()] == counts
    assert rebuild_states(colours).states == 0


def _labels() -> list[tuple[str, int]]:
    return list(FacetCount.objects.filter(facet="label").exclude(count=0).values_list("value", "count"))


def test_what_somebody_waits_for_is_never_in_one_batch_with_what_nobody_waits_for(
    colours: Project, settings: Settings
) -> None:
    for seed in range(3):
        send(colours, settings, "red", seed, priority=Priority.HISTORY)
    call = send(colours, settings, "blue", priority=Priority.CALL)
    pipeline = active_pipeline(colours)
    assert pipeline is not None
    first = claim(limit=16, worker="w", pipelines=[pipeline.pk], background=16)
    assert [work.prediction_id for work in first.works] == [call.prediction_id]
    assert not first.is_background
    assert claim(limit=16, worker="w", pipelines=[pipeline.pk], background=0) is NOTHING
    second = claim(limit=16, worker="w", pipelines=[pipeline.pk], background=2)
    assert (len(second.works), second.is_background) == (2, True)


def test_a_picture_that_comes_while_a_background_batch_is_in_hand_goes_before_it(
    colours: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(8):
        send(colours, settings, "red", seed, priority=Priority.HISTORY)
    order: list[int] = []
    calls: list[int] = []
    real = drain.record

    def watched(**words: object) -> None:
        real(**words)  # type: ignore[arg-type]
        held = words["held"]
        order.extend(work.prediction_id for work in held.works)  # type: ignore[attr-defined]
        if not calls:
            calls.append(send(colours, settings, "blue", priority=Priority.CALL).prediction_id or 0)

    monkeypatch.setattr(drain, "record", watched)
    drained(colours)
    assert len(order) == 9
    # Its follower was claimed already, and still the call came first.
    assert order.index(calls[0]) <= drain.FIRST_BACKGROUND


def test_a_candidate_with_the_same_network_needs_no_picture_and_says_what_it_would_say_in_use(
    colours: Project, tmp_path: Path, settings: Settings
) -> None:
    head = head_version(colours, tmp_path)
    start_beside(actor=OPERATOR, project=colours, version=head)
    sent = send(colours, settings, "green")
    worker = Drainer("w")
    held = worker.host
    live = Prediction.objects.get(pk=sent.prediction_id)
    settings.BATCH_SIZE = 1

    # The original goes as soon as the live answer is there.
    real = drain.record

    def record_and_remove(**words: object) -> None:
        real(**words)  # type: ignore[arg-type]
        if Prediction.objects.filter(pk=live.pk, state=State.DONE).exists():
            Path(open_original(live.image.file)).unlink(missing_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain, "record", record_and_remove)
        worker.drain()
    worker.close()
    also = Prediction.objects.get(image=sent.image_id, purpose=Purpose.ALSO)
    assert (also.state, also.label_key, also.milliseconds) == (State.DONE, "blue", None)
    assert held.last_layer(also.pipeline_id) is not None
    use(colours, head)
    again = send(colours, settings, "green", 0)
    assert again.image_id == sent.image_id
    drained(colours)
    in_use = Prediction.objects.get(image=sent.image_id, purpose=Purpose.LIVE, pipeline=also.pipeline_id)
    assert in_use.label_key == also.label_key
    assert in_use.score == pytest.approx(also.score, abs=2e-3)


def test_a_picture_is_decoded_once_for_both(
    colours: Project, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_beside(actor=OPERATOR, project=colours, version=turned_version(colours, tmp_path))
    decoded: list[Path] = []
    real = look.decode

    def counted(path: Path, **words: int) -> object:
        decoded.append(path)
        return real(path, **words)

    monkeypatch.setattr(look, "decode", counted)
    sent = send(colours, settings, "red")
    drained(colours)
    assert said(sent.image_id, Purpose.ALSO) == "green"
    assert len(decoded) == 1


def test_a_trial_is_ended_by_hand_and_what_was_said_stays(colours: Project, tmp_path: Path, settings: Settings) -> None:
    start_beside(actor=OPERATOR, project=colours, version=turned_version(colours, tmp_path))
    sent = send(colours, settings, "red")
    drained(colours)
    candidate = active_pipeline(colours, "also")
    waiting = send(colours, settings, "red", 1)
    Prediction.objects.create(
        image_id=waiting.image_id, pipeline=candidate, purpose=Purpose.ALSO, priority=Priority.BESIDE
    )
    stop_beside(actor=OPERATOR, project=colours)
    assert active_pipeline(colours, "also") is None
    assert Prediction.objects.filter(purpose=Purpose.ALSO).count() == 1
    assert said(sent.image_id, Purpose.ALSO) == "green"
    drained(colours)
    assert not Prediction.objects.filter(image=waiting.image_id, purpose=Purpose.ALSO).exists()
    with pytest.raises(Conflict, match="Nothing is tried"):
        stop_beside(actor=OPERATOR, project=colours)


def test_what_comes_into_use_is_tried_beside_no_longer(colours: Project, tmp_path: Path) -> None:
    version = turned_version(colours, tmp_path)
    start_beside(actor=OPERATOR, project=colours, version=version)
    use(colours, version)
    assert active_pipeline(colours, "also") is None
    newest = Activation.objects.filter(slot="also").latest("pk")
    assert newest.note == "It answers now."
    with pytest.raises(Conflict, match="in use"):
        start_beside(actor=OPERATOR, project=colours, version=version)
    roll_back(actor=OPERATOR, project=colours, note="")
    assert active_pipeline(colours, "also") is None


def test_only_who_may_activate_tries_beside(colours: Project, tmp_path: Path) -> None:
    user = User.objects.create(username="tess")
    Membership.objects.create(user=user, project=colours, role="trainer")
    version = turned_version(colours, tmp_path)
    with pytest.raises(Forbidden):
        start_beside(actor=Actor(Via.SESSION, user=user), project=colours, version=version)


def test_both_are_compared_on_the_pictures_that_both_answered(
    colours: Project, tmp_path: Path, settings: Settings
) -> None:
    assert beside(colours) is None
    send(colours, settings, "blue", 5)
    drained(colours)
    start_beside(actor=OPERATOR, project=colours, version=turned_version(colours, tmp_path))
    sent = [send(colours, settings, "red", seed) for seed in range(3)] + [send(colours, settings, "green")]
    drained(colours)
    ImageState.objects.filter(pk=sent[0].image_id).update(
        review_state="reviewed", source="human", label=colours.labels.get(key="green")
    )
    found = beside(colours)
    assert found is not None
    assert (found.images, found.same, found.waiting, found.failed) == (4, 0, 0, 0)
    assert [(one.live, one.beside, len(one.images)) for one in found.differing] == [
        ("red", "green", 3),
        ("green", "blue", 1),
    ]
    assert (found.reviewed, found.live_right, found.beside_right) == (1, 0, 1)
    assert found.live_ms is not None and found.live_ms > 0
    assert found.beside_ms is not None and found.beside_ms > 0
