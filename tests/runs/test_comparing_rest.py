"""Comparing over REST and by command: asked for, waited for, read, looked at image by image."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.api.client import Client
from tests.api.test_schema import check_reply
from tests.runs.reef import NO_RED, Reef, a_pair
from tests.runs.test_pages_and_rest import caller as caller_of_pond
from training.contract import TEST
from webapp.access.actors import SYSTEM
from webapp.access.table import Scope
from webapp.runs.comparing.compare import carry_out_comparison
from webapp.runs.models import Comparison, Evaluation
from webapp.runs.work_off import work_off
from webapp.versions.activate import activate
from webapp.versions.models import Version
from webapp.versions.pipelines import with_version

COMPARISONS = "/api/v1/projects/reef/comparisons"
pytestmark = pytest.mark.django_db(transaction=True)


def caller(reef: Reef, who: str, *scopes: Scope) -> Client:
    return caller_of_pond(reef, who, *scopes)  # type: ignore[arg-type]


def test_over_rest_a_comparison_is_asked_for_made_and_read(reef: Reef) -> None:
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    snapshot = reef.freeze("June", {TEST: reef.add(10)})
    tess, reader = caller(reef, "tess", Scope.TRAIN), caller(reef, "vic", Scope.READ)
    assert reader.post(COMPARISONS, {"a": old.pk, "b": new.pk}).code == "forbidden"
    assert tess.post(COMPARISONS, {"b": new.pk}).code == "no-model"
    made = tess.post(COMPARISONS, {"a": old.pk, "b": new.pk})
    assert made.status == 202, made.body
    told = made.json()
    address = f"/api/v1/comparisons/{told['id']}"
    assert made.headers["location"].endswith(address)
    assert (told["state"], told["verdict"], told["snapshot"]) == ("waiting", "", str(snapshot.uid))
    assert [one["state"] for one in told["evaluations"]] == ["waiting", "waiting"]
    assert reader.get(f"{address}/gallery").status == 404
    work_off()
    carry_out_comparison(Comparison.objects.get().pk)
    reply = reader.get(address)
    check_reply("GET", address, reply)
    found = reply.json()
    assert (found["verdict"], found["groups"], found["fixed"], found["broken"]) == ("better", 10, 10, 0)
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["b"] == 1.0 and accuracy["interval"][0] > 0 and accuracy["difference"] == pytest.approx(1 / 3)
    assert found["mcnemar_note"] == "assumes independent images" and found["mcnemar_p"] < 0.01
    assert {one["name"] for one in found["pareto"]} == {"Old", "New"}
    assert [one["id"] for one in reader.get(COMPARISONS).json()["results"]] == [told["id"]]
    again = tess.post(COMPARISONS, {"a": old.pk, "b": new.pk})
    assert again.status == 201 and again.json()["verdict"] == "better"
    evaluation = reader.get(f"/api/v1/evaluations/{found['evaluations'][1]['id']}")
    assert evaluation.json()["report"]["metrics"]["accuracy"]["value"] == 1.0


def test_the_gallery_pages_by_its_own_addresses(reef: Reef) -> None:
    old, new = a_pair(reef)
    tess = caller(reef, "tess", Scope.TRAIN)
    told = tess.post(COMPARISONS, {"a": old.pk, "b": new.pk}).json()
    carry_out_comparison(Comparison.objects.get().pk)
    address = f"/api/v1/comparisons/{told['id']}/gallery"
    first = tess.get(f"{address}?kind=fixed&limit=4")
    check_reply("GET", f"{address}?kind=fixed&limit=4", first)
    page: dict[str, Any] = first.json()
    seen = [one["image"] for one in page["results"]]
    while page["next"]:
        page = tess.get(re.sub("^https?://[^/]+", "", page["next"])).json()
        seen += [one["image"] for one in page["results"]]
    assert len(seen) == len(set(seen)) == page["total"] > 8
    one = tess.get(f"{address}?kind=broken&truth=blue").json()["results"][0]
    assert (one["truth"]["name"], one["a"]["key"], one["b"]["key"], one["kind"]) == ("Blue", "blue", "red", "broken")
    assert one["thumbnail"].endswith(f"/images/{one['image']}/thumbnail/256")
    assert tess.get(f"{address}?kind=pretty").status == 400


def test_a_refusal_is_answered_at_once_with_its_offer(reef: Reef) -> None:
    images = reef.add(10)
    may, june = reef.freeze("May", {TEST: images}), reef.freeze("June", {"train": images, TEST: reef.add(10)})
    old, new = reef.version("Old", mean=NO_RED), reef.version("New", snapshot=june.digest)
    tess = caller(reef, "tess", Scope.TRAIN)
    made = tess.post(COMPARISONS, {"a": old.pk, "b": new.pk, "snapshot": str(may.uid)})
    told = made.json()
    assert (made.status, told["state"], told["code"]) == (201, "failed", "seen-images")
    assert told["offer"]["snapshot"] == str(june.uid) and "metrics" not in told
    offer = {name: told["offer"][name] for name in ("a", "b", "snapshot", "part")}
    assert tess.post(COMPARISONS, offer).status == 202
    stopped = tess.post(f"/api/v1/comparisons/{tess.get(COMPARISONS).json()['results'][0]['id']}/stop")
    assert stopped.json()["state"] == "cancelled"


def test_a_version_is_evaluated_where_it_is_asked(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(1)})
    tess = caller(reef, "tess", Scope.TRAIN)
    made = tess.post("/api/v1/projects/reef/evaluations", {"version": version.pk})
    assert (made.status, made.json()["state"], made.json()["snapshot"]) == (202, "waiting", str(snapshot.uid))
    Evaluation.objects.update(state="done")
    assert tess.post("/api/v1/projects/reef/evaluations", {"version": version.pk}).status == 201
    assert (
        tess.post("/api/v1/projects/reef/evaluations", {"version": version.pk, "part": "train"}).code == "no-such-part"
    )


def test_a_stranger_learns_nothing(reef: Reef) -> None:
    old, new = a_pair(reef)
    tess = caller(reef, "tess", Scope.TRAIN)
    told = tess.post(COMPARISONS, {"a": old.pk, "b": new.pk}).json()
    nobody = Client({})
    for address in (f"/api/v1/comparisons/{told['id']}", f"/api/v1/comparisons/{told['id']}/gallery"):
        assert nobody.get(address).status in (401, 404)


# ---- commands --------------------------------------------------------------------------------------------------------


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    call_command(*words)
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def in_use(reef: Reef, version: Version) -> None:
    activate(actor=SYSTEM, project=reef.project, pipeline=with_version(reef.project, None, version))


def test_the_command_evaluates_what_is_missing_and_ends_with_one_object(
    reef: Reef, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    in_use(reef, old)
    reef.freeze("June", {TEST: reef.add(10)})
    told = said(capsys, "compare", "active", "New", "--json")
    assert (told["state"], told["verdict"], told["version_a"]["name"]) == ("done", "better", "Old")
    assert told["metrics"]["accuracy"]["interval"][0] > 0 and (told["fixed"], told["broken"]) == (10, 0)
    call_command("compare", str(old.pk), new.digest[:12], "--project", "reef")
    words = capsys.readouterr().out
    assert words.startswith("New is better than Old") and "assumes independent images" in words
    report = said(capsys, "evaluate", "active", "--project", "reef", "--snapshot", "June", "--json")
    assert report["state"] == "done" and report["report"]["images"] == 30
    call_command("evaluate", "New", "--project", "reef")
    assert "Old" not in (text := capsys.readouterr().out) and "accuracy" in text


def test_the_command_says_why_there_is_no_comparison(reef: Reef, capsys: pytest.CaptureFixture[str]) -> None:
    images = reef.add(10)
    june = reef.freeze("June", {"train": images[:3], TEST: images[3:]})
    may = reef.freeze("May", {TEST: images})
    reef.version("Old", mean=NO_RED)
    reef.version("New", snapshot=june.digest)
    with pytest.raises(CommandError, match="New saw 3 of the test images of May"):
        call_command("compare", "Old", "New", "--snapshot", may.name, "--json")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["state"], told["code"], told["offer"]["snapshot_name"]) == ("failed", "seen-images", "June")
    with pytest.raises(CommandError, match="No classifier is in use"):
        call_command("compare", "active", "New", "--json")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "no-model"
