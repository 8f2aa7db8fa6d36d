"""Runs on pages and over REST: who sees what, a run from click to version, and its stream of events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from tests.api.client import Client, with_token
from tests.runs.conftest import Pond
from webapp.access.actors import OPERATOR
from webapp.access.models import User
from webapp.access.table import Scope
from webapp.access.tokens import issue_token
from webapp.api import runs as api_runs
from webapp.runs import carry_out as carrying
from webapp.runs.models import Run, RunEvent

RUNS = "/api/v1/projects/pond/runs"


def browser(pond: Pond, who: str) -> Browser:
    client = Browser()
    user = pond.people[who].user
    assert user is not None
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_viewer_watches_a_trainer_starts(pond: Pond) -> None:
    page, form = reverse("runs", args=["pond"]), reverse("run-start", args=["pond"])
    assert "Start a run" not in browser(pond, "vic").get(page).content.decode()
    assert browser(pond, "vic").post(form, {"recipe": "head"}).status_code == 403
    shown = browser(pond, "tess").get(page).content.decode()
    assert "Start a run" in shown and "Snapshot 1: 3 train, 1 validation, 1 test" in shown
    answer = browser(pond, "tess").post(form, {"recipe": "head", "snapshot": str(pond.snapshot.uid), "when": "now"})
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=["pond", run.uid])
    watched = browser(pond, "vic").get(answer["Location"]).content.decode()
    assert "Quick on Snapshot 1" in watched
    assert "Cancel" not in watched


def test_a_stranger_learns_nothing_of_a_run(pond: Pond) -> None:
    run = pond.start()
    stranger = Browser()
    user = User.objects.create_user("stranger")
    stranger.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for name in ("run", "run-cancel", "run-resume"):
        address = reverse(name, args=["pond", run.uid])
        assert (stranger.get if name == "run" else stranger.post)(address).status_code == 404
    assert stranger.get(reverse("api-run", args=[run.uid])).status_code == 404


def test_the_page_of_a_done_run_leads_to_activation(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    shown = browser(stand_in, "ada").get(reverse("run", args=["pond", run.uid])).content.decode()
    assert "90.0 %" in shown and "80.0 % to 97.0 %" in shown
    assert f"{reverse('models', args=['pond'])}#version-{run.version_id}" in shown
    listed = browser(stand_in, "vic").get(reverse("runs", args=["pond"])).content.decode()
    assert run.version is not None and run.version.name in listed
    assert "The last one took" in browser(stand_in, "tess").get(reverse("runs", args=["pond"])).content.decode()


def test_a_page_cancels_and_takes_up_again(pond: Pond) -> None:
    run = pond.start()
    tess = browser(pond, "tess")
    tess.post(reverse("run-cancel", args=["pond", run.uid]))
    assert Run.objects.get().state == Run.State.CANCELLED
    tess.post(reverse("run-resume", args=["pond", run.uid]))
    assert Run.objects.get().state == Run.State.WAITING


def test_what_learned_nothing_is_not_offered_to_go_on_to_learn_nothing_again(stand_in: Pond) -> None:
    for name, shown in (("nothing", "hidden"), ("crash", "")):
        run = stand_in.carry_out(stand_in.start(name))
        page = browser(stand_in, "tess").get(reverse("run", args=["pond", run.uid])).content.decode()
        form = page.partition('id="resume-form"')[2].partition(">")[0]
        assert form.strip() == shown


def test_the_django_admin_leads_to_both_pages(pond: Pond) -> None:
    root = Browser()
    user = User.objects.create_superuser("gus")
    root.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    projects = reverse("admin:projects_project_changelist")
    assert projects in root.get("/admin/").content.decode()
    listed = root.get(projects).content.decode()
    assert reverse("runs", args=["pond"]) in listed, "before there is any run"
    assert reverse("comparisons", args=["pond"]) in listed
    run = pond.start()
    rows = root.get("/admin/runs/run/").content.decode()
    assert reverse("run", args=["pond", run.uid]) in rows
    assert reverse("runs", args=["pond"]) in rows
    assert root.get(f"/admin/runs/run/{run.pk}/change/").status_code == 200


# ---- REST ------------------------------------------------------------------------------------------------------------


def caller(pond: Pond, who: str, *scopes: Scope) -> Client:
    user = pond.people[who].user
    assert user is not None
    _, secret = issue_token(actor=OPERATOR, user=user, name="t", scopes=scopes)
    return with_token(secret)


@pytest.mark.django_db(transaction=True)
def test_over_rest_a_run_is_started_read_cancelled(pond: Pond) -> None:
    tess, reader = caller(pond, "ada", Scope.TRAIN), caller(pond, "ada", Scope.READ)
    assert reader.post(RUNS, {"recipe": "head"}).code == "forbidden"
    made = tess.post(RUNS, {"recipe": "head", "config": {"sampler": "balanced"}})
    assert made.status == 202, made.body
    told = made.json()
    assert (told["state"], told["config"], told["snapshot"]) == (
        "waiting",
        {"sampler": "balanced"},
        str(pond.snapshot.uid),
    )
    address = f"/api/v1/runs/{told['id']}"
    assert made.headers["location"].endswith(address)
    assert reader.get(address).json()["start_version"] == pond.version.pk
    assert [one["id"] for one in reader.get(RUNS).json()["results"]] == [told["id"]]
    assert tess.post(RUNS, {"recipe": "head", "config": {"epoch": 1}}).code == "bad-setting"
    assert reader.get(f"{address}/log").code == "forbidden"
    assert tess.get(f"{address}/log").status == 200
    assert tess.post(f"{address}/cancel").json()["state"] == "cancelled"
    assert tess.post(f"{address}/cancel").code == "conflict"
    assert tess.post(f"{address}/resume").json()["state"] == "waiting"


async def heard(run: Run, after: int = 0) -> list[tuple[str, int, Any]]:
    """Name, number and data of each event until the stream ends."""
    found = []
    async for piece in api_runs.stream(run.pk, after, every=0.01):
        lines = dict(line.split(": ", 1) for line in piece.decode().strip().splitlines())
        if "event" in lines:
            found.append((lines["event"], int(lines["id"]), json.loads(lines["data"])))
    return found


@pytest.mark.django_db(transaction=True)
def test_the_stream_tells_all_and_ends_with_the_run(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    (first, number, data), last = asyncio.run(heard(run))
    assert (first, last[0]) == ("news", "end")
    assert data["run"]["state"] == "done"
    assert [one["epoch"] for one in data["said"] if one["kind"] == "epoch"] == [1, 2, 3]
    assert number == data["said"][-1]["number"]


@pytest.mark.django_db(transaction=True)
def test_a_browser_that_comes_back_hears_only_what_it_missed(pond: Pond) -> None:
    run = pond.start()
    for end in (10, 20, 30):
        RunEvent.objects.create(run=run, number=end, kind="log", detail={"text": f"line {end}"})
    Run.objects.update(state="failed", done_at=timezone.now(), reason="no luck")
    said = asyncio.run(heard(run, after=20))
    assert [one["text"] for one in said[0][2]["said"]] == ["line 30"]
    assert said[0][2]["run"]["reason"] == "no luck"


def test_what_a_follower_is_told_fits_the_page(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start("nothing"))
    assert api_runs.standing(run)["code"] == "learned-nothing"
    assert carrying.in_words({"stage": "training", "of": 3}) == "training, 0 of 3"
    assert carrying.in_words({"stage": "training", "of": 3, "epoch": 2, "epochs": 3}) == "training, epoch 2 of 3"
