"""The Models page: activate with a note, step back, try beside, predict again; and the same by REST."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pytest_django import Settings

from tests.colour_project import make_colours, point_settings, send, turned_version
from webapp.access.actors import OPERATOR
from webapp.access.models import Membership, User
from webapp.access.tokens import issue_token
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction
from webapp.projects.models import Project
from webapp.runs.backfills import queue_up as queuing
from webapp.runs.models import Backfill
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Activation, Version

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


class Stage:
    def __init__(self, tmp_path: Path, settings: Settings) -> None:
        point_settings(settings, tmp_path)
        self.settings = settings
        self.project: Project = make_colours(tmp_path)
        self.first = Version.objects.get(name="first")
        self.turned = turned_version(self.project, tmp_path)
        self.people = {}
        for name, role in (("ada", "admin"), ("vic", "viewer")):
            user = User.objects.create(username=name)
            Membership.objects.create(user=user, project=self.project, role=role)
            self.people[name] = user

    def browser(self, who: str) -> Browser:
        client = Browser()
        client.force_login(self.people[who], backend="django.contrib.auth.backends.ModelBackend")
        return client

    def token(self, who: str) -> Browser:
        user = self.people[who]
        _, secret = issue_token(actor=OPERATOR, user=user, name="test", scopes=["admin"], project_id=None)
        return Browser(headers={"Authorization": f"Bearer {secret}"})

    def page(self, who: str, name: str = "models") -> str:
        answer = self.browser(who).get(reverse(name, args=[self.project.slug]))
        assert answer.status_code == 200
        return str(answer.content.decode())

    def act(self, who: str, route: str, *args: object, **fields: str) -> int:
        return self.browser(who).post(reverse(route, args=[self.project.slug, *args]), fields).status_code

    def send(self, *colours: str) -> list[int]:
        ids = [send(self.project, self.settings, colour, seed).image_id for seed, colour in enumerate(colours)]
        worker = Drainer("w")
        while Prediction.objects.filter(state="pending").exists():
            worker.drain()
        worker.close()
        return ids


@pytest.fixture
def stage(tmp_path: Path, settings: Settings) -> Stage:
    return Stage(tmp_path, settings)


def test_a_version_is_activated_with_a_note_and_taken_back_by_one_click(stage: Stage) -> None:
    assert "Roll back" not in stage.page("ada")
    assert stage.act("ada", "model-use", stage.turned.pk, note="fewer misses") == 302
    shown = stage.page("ada")
    assert "Roll back to first" in shown and "fewer misses" in shown and "instead of first" in shown
    assert stage.act("ada", "models-back", note="worse at night") == 302
    shown = stage.page("vic")
    assert "worse at night" in shown and "rolled back" in shown and "Roll back to" not in shown
    assert active_pipeline(stage.project) == Activation.objects.order_by("pk")[0].pipeline
    assert stage.act("vic", "model-use", stage.turned.pk) == 403


def test_a_candidate_is_tried_beside_and_its_differences_are_pictures(stage: Stage) -> None:
    assert "Nothing is tried beside" in stage.page("vic", "beside")
    assert stage.act("ada", "model-beside", stage.turned.pk, note="a try") == 302
    ids = stage.send("red", "red", "green")
    shown = stage.page("vic")
    assert "Tried beside" in shown and "<b>3</b> differ" in shown and "a try" in shown
    assert "Stop trying" not in shown
    differing = stage.page("vic", "beside")
    assert "Red <span" in differing and "→ Green" in differing and "2 pictures" in differing
    assert reverse("image", args=[ids[0]]) in differing
    assert stage.act("vic", "beside-stop") == 403
    assert stage.act("ada", "beside-stop") == 302
    assert "<b>nothing</b>" in stage.page("vic"), "the time line tells of the end"
    assert "Nothing is tried beside" in stage.page("vic", "beside")


def test_pictures_that_another_version_answered_are_predicted_again_and_stopped(stage: Stage) -> None:
    stage.send("red", "green")
    assert "Predict again" not in stage.page("ada")
    stage.act("ada", "model-use", stage.turned.pk)
    assert "<b>2</b> pictures have the answer of another version" in stage.page("ada")
    assert "Predict again" not in stage.page("vic")
    assert stage.act("vic", "predict-again") == 403
    assert stage.act("ada", "predict-again") == 302
    row = Backfill.objects.get()
    queuing.queue_up(row.pk)
    shown = stage.page("ada")
    assert "<b>0</b> of 2" in shown and "data-works" in shown
    assert stage.act("vic", "backfill-stop", row.uid) == 403
    assert stage.act("ada", "backfill-stop", row.uid) == 302
    assert "Stopped by ada." in stage.page("ada")


def test_asking_a_candidate_about_all_pictures_shows_it_beside_only(stage: Stage) -> None:
    stage.send("red")
    assert stage.act("ada", "model-predict", stage.turned.pk) == 302
    assert Backfill.objects.get().purpose == "also"
    assert "to be shown beside" in stage.page("vic")


def test_rest_tries_beside(stage: Stage) -> None:
    ada, vic, address = stage.token("ada"), stage.token("vic"), reverse("api-beside", args=[stage.project.slug])
    missing = vic.get(address)
    assert (missing.status_code, missing.json()["code"]) == (404, "nothing-beside")
    body = {"version": stage.turned.pk}
    assert vic.post(address, body, content_type="application/json").status_code == 403
    assert ada.post(address, {"version": stage.first.pk}, content_type="application/json").json()["code"] == "in-use"
    begun = ada.post(address, body, content_type="application/json")
    assert (begun.status_code, begun.json()["version"]) == (201, "turned")
    ids = stage.send("red")
    told = vic.get(address).json()
    assert (told["images"], told["same"]) == (1, 0)
    assert told["differing"] == [{"live": "red", "beside": "green", "count": 1, "images": ids}]
    assert ada.delete(address).status_code == 204
    assert ada.delete(address).json()["code"] == "nothing-beside"


def test_rest_predicts_again(stage: Stage) -> None:
    stage.send("red", "green")
    ada, vic, address = stage.token("ada"), stage.token("vic"), reverse("api-backfills", args=[stage.project.slug])
    assert vic.post(address, {}, content_type="application/json").status_code == 403
    begun = ada.post(address, {"version": stage.turned.pk}, content_type="application/json")
    assert (begun.status_code, begun.json()["counts"], begun.json()["images"]) == (202, False, 2)
    queuing.queue_up(Backfill.objects.get().pk)
    told = vic.get(reverse("api-backfill", args=[begun.json()["id"]])).json()
    assert (told["state"], told["asked"], told["left"], told["version"]) == ("asked", 2, 2, "turned")
    stopped = ada.post(reverse("api-backfill-stop", args=[told["id"]])).json()
    assert (stopped["state"], stopped["left"]) == ("cancelled", 0)
    assert [one["id"] for one in vic.get(address).json()["results"]] == [told["id"]]
