"""Predicting again: in the background, counted for the version in use, with verdicts and earlier answers untouched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

from tests.colour_project import make_colours, point_settings, publish, send, turned_version, use
from tests.colour_versions import make_colour_version
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, User
from webapp.errors import Conflict, Forbidden
from webapp.images.models import ImageState
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.reviews.decide import AnnotationDraft, decide
from webapp.reviews.models import Review
from webapp.reviews.rebuild import rebuild_states
from webapp.runs.backfills import queue_up as queuing
from webapp.runs.backfills.ask import predict_again, progress_of, stop_backfill
from webapp.runs.models import Backfill
from webapp.versions.activate import roll_back

State, Purpose = Prediction.State, Prediction.Purpose

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture
def colours(tmp_path: Path, settings: Settings) -> Project:
    """Three red pictures and one green one, answered."""
    point_settings(settings, tmp_path)
    project = make_colours(tmp_path)
    for seed in range(3):
        send(project, settings, "red", seed)
    send(project, settings, "green")
    drained()
    return project


def drained() -> None:
    worker = Drainer("w")
    while Prediction.objects.filter(state=State.PENDING).exists():
        worker.drain()
    worker.close()


def again(project: Project) -> Backfill:
    row = predict_again(actor=OPERATOR, project=project)
    queuing.queue_up(row.pk)
    drained()
    queuing.look()
    row.refresh_from_db()
    return row


def labels(project: Project) -> list[str]:
    rows = ImageState.objects.filter(project=project).order_by("pk")
    return [row.label.key if row.label else "" for row in rows.select_related("label")]


def test_it_answers_for_what_nobody_reviewed_and_verdicts_stay(colours: Project, tmp_path: Path) -> None:
    first = ImageState.objects.filter(project=colours).order_by("pk").first()
    assert first is not None
    decide(
        actor=OPERATOR, image=first.image, verdict="labelled", annotations=[AnnotationDraft(label_key="red")],
        how=Review.How.BLIND,
    )  # fmt: skip
    use(colours, turned_version(colours, tmp_path))
    row = again(colours)
    assert (row.state, row.asked, row.images) == (Backfill.State.DONE, 4, 4)
    assert labels(colours) == ["red", "green", "green", "blue"]
    first.refresh_from_db()
    assert first.machine_label is not None and first.machine_label.key == "green"
    assert (first.review_state, first.queue_reason) == ("reviewed", "model disagrees")
    assert Prediction.objects.filter(purpose=Purpose.LIVE, state=State.DONE).count() == 4
    assert rebuild_states(colours) == rebuild_states(colours).__class__(4, 0, 0)


def test_after_a_roll_back_what_was_said_before_counts_again_without_a_network(
    colours: Project, tmp_path: Path
) -> None:
    use(colours, turned_version(colours, tmp_path))
    again(colours)
    roll_back(actor=OPERATOR, project=colours, note="worse")
    assert labels(colours) == ["green", "green", "green", "blue"], "activating alone touches no answer"
    again(colours)
    assert labels(colours) == ["red", "red", "red", "green"]
    roll_back_again = colours.activations.filter(slot="live").exclude(rolls_back=True).latest("pk").pipeline
    assert roll_back_again is not None and roll_back_again.classifier is not None
    use(colours, roll_back_again.classifier)
    row = predict_again(actor=OPERATOR, project=colours)
    queuing.queue_up(row.pk)
    assert labels(colours) == ["green", "green", "green", "blue"], "it was asked once before, and that was enough"
    assert not Prediction.objects.filter(state=State.PENDING).exists()
    assert rebuild_states(colours).states == 0


def test_another_version_is_shown_beside_and_never_counts(colours: Project, tmp_path: Path) -> None:
    row = predict_again(actor=OPERATOR, project=colours, version=turned_version(colours, tmp_path))
    queuing.queue_up(row.pk)
    drained()
    assert row.purpose == Purpose.ALSO
    assert Prediction.objects.filter(purpose=Purpose.ALSO, label_key="green").count() == 3
    assert labels(colours) == ["red", "red", "red", "green"]
    assert rebuild_states(colours).states == 0


def test_it_stops_and_what_was_not_begun_is_taken_back(colours: Project, tmp_path: Path) -> None:
    use(colours, turned_version(colours, tmp_path))
    row = predict_again(actor=OPERATOR, project=colours)
    queuing.queue_up(row.pk)
    row.refresh_from_db()
    told = progress_of(row)
    assert (told.asked, told.left, told.done, told.is_queued) == (4, 4, 0, True)
    assert predict_again(actor=OPERATOR, project=colours) == row, "asked for twice it is one"
    stop_backfill(actor=OPERATOR, backfill=row)
    assert (row.state, Prediction.objects.filter(purpose=Purpose.HISTORY).count()) == (Backfill.State.CANCELLED, 0)
    with pytest.raises(Conflict, match="stopped already"):
        stop_backfill(actor=OPERATOR, backfill=row)
    assert queuing.queue_up(row.pk) is None


def test_a_stop_in_the_midst_of_queuing_leaves_no_question_behind(
    colours: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queuing, "PIECE", 1)
    use(colours, turned_version(colours, tmp_path))
    row = predict_again(actor=OPERATOR, project=colours)
    real = queuing._queue_piece

    def stopped_meanwhile(held: Backfill, ids: list[int]) -> int:
        stop_backfill(actor=OPERATOR, backfill=Backfill.objects.get(pk=held.pk))
        return real(held, ids)

    monkeypatch.setattr(queuing, "_queue_piece", stopped_meanwhile)
    queuing.queue_up(row.pk)
    assert not Prediction.objects.filter(purpose=Purpose.HISTORY).exists()


def test_another_version_coming_into_use_ends_it(colours: Project, tmp_path: Path) -> None:
    use(colours, turned_version(colours, tmp_path))
    row = predict_again(actor=OPERATOR, project=colours)
    queuing.queue_up(row.pk)
    use(colours, publish(colours, make_colour_version(tmp_path / "third", turned=2, name="third")))
    with pytest.raises(Conflict, match="stop that first"):
        predict_again(actor=OPERATOR, project=colours)
    queuing.look()
    row.refresh_from_db()
    assert (row.state, row.reason) == (Backfill.State.CANCELLED, "Another version answers now.")


def test_a_failure_when_asked_again_leaves_the_answer_that_is_there(colours: Project, tmp_path: Path) -> None:
    for path in (tmp_path / "data" / "store").rglob("*.png"):
        path.unlink()
    use(colours, turned_version(colours, tmp_path))
    row = again(colours)
    assert progress_of(row).failed == 4
    assert labels(colours) == ["red", "red", "red", "green"]
    assert rebuild_states(colours).states == 0


def test_it_is_taken_up_where_a_killed_worker_left_it(colours: Project, tmp_path: Path) -> None:
    use(colours, turned_version(colours, tmp_path))
    row = predict_again(actor=OPERATOR, project=colours)
    second = ImageState.objects.filter(project=colours).order_by("pk")[1].pk
    Backfill.objects.filter(pk=row.pk).update(after=second, asked=2)
    queuing.queue_up(row.pk)
    assert Prediction.objects.filter(purpose=Purpose.HISTORY).count() == 2
    assert Backfill.objects.get(pk=row.pk).asked == 4


def test_only_who_may_activate_asks_again(colours: Project) -> None:
    user = User.objects.create(username="tess")
    Membership.objects.create(user=user, project=colours, role="trainer")
    with pytest.raises(Forbidden):
        predict_again(actor=Actor(Via.SESSION, user=user), project=colours)


def test_the_command_does_it_here_and_says_what_came_of_it(
    colours: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(colours, turned_version(colours, tmp_path))
    call_command("predict_again", "--project", colours.slug, "--json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["state"], told["asked"], told["done"], told["failed"]) == ("done", 4, 4, 0)
    assert labels(colours) == ["green", "green", "green", "blue"]
