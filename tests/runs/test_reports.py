"""The report of one version: its page, the images behind each number, and the same as tables."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

import pytest
from django.urls import reverse

from tests.api.test_schema import check_reply
from tests.runs.conftest import Pond
from tests.runs.reef import NO_RED, Reef
from tests.runs.test_comparing_pages import browser, read
from tests.runs.test_comparing_rest import caller
from tests.runs.test_pages_and_rest import caller as caller_of_pond
from training.contract import TEST
from webapp.access.actors import Actor, Via
from webapp.access.models import User
from webapp.access.table import Scope
from webapp.runs.comparing.evaluate import evaluate_now
from webapp.runs.models import Evaluation, Run, RunEvent
from webapp.runs.report_tables import curves_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def evaluation(reef: Reef) -> Evaluation:
    """A version that takes red pictures for grey ones, on ten of each colour."""
    return evaluate_now(
        version=reef.version("Old", mean=NO_RED),
        snapshot=reef.freeze("June", {TEST: reef.add(10)}),
        part=TEST,
    )


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_each_cell_of_its_matrix_leads_to_as_many_images(reef: Reef, evaluation: Evaluation) -> None:
    client = browser(reef, "vic")
    text = read(client, reverse("evaluation", args=["reef", evaluation.pk]))
    links = re.findall(r'href="([^"]*truth=[^"]*answer=[^"]*)" title="([^"]*)"', text)
    assert sorted(words for _, words in links) == [
        "Blue answered Blue: 10", "Green answered Green: 10", "Red answered nothing but grey: 10",
    ]  # fmt: skip
    for link, _ in links:
        images = read(client, link.replace("&amp;", "&"))
        assert "10 images of the test part of June" in images and images.count('class="card-item"') == 10


def test_its_mistakes_come_with_truth_and_answer(reef: Reef, evaluation: Evaluation) -> None:
    address = reverse("evaluation-images", args=["reef", evaluation.pk])
    text = read(browser(reef, "vic"), f"{address}?wrong=yes")
    assert "Its mistakes" in text and Counter(re.findall(r'card-label">(\w+)<', text)) == {"Red": 10}


def test_over_rest_images_and_tables_say_the_same(reef: Reef, evaluation: Evaluation) -> None:
    reader, address = caller(reef, "vic", Scope.READ), f"/api/v1/evaluations/{evaluation.pk}"
    reply = reader.get(f"{address}/images?wrong=true&limit=4")
    check_reply("GET", f"{address}/images", reply)
    page = reply.json()
    assert page["total"] == 10 and len(page["results"]) == 4
    assert {(one["truth"]["key"], one["answer"]["key"]) for one in page["results"]} == {("red", "grey")}
    rest = reader.get(page["next"].removeprefix("http://127.0.0.1:8000")).json()["results"]
    assert not {one["image"] for one in rest} & {one["image"] for one in page["results"]}

    report = reader.get(address).json()["report"]
    matrix = table(reader.get(f"{address}/table?of=matrix").body.decode())
    assert [{**one, "images": int(one["images"])} for one in matrix] == report["confusion"]
    labels = table(reader.get(f"{address}/table?of=labels").body.decode())
    assert {one["key"]: float(one["recall"]) for one in labels} == {"red": 0.0, "green": 1.0, "blue": 1.0}
    figures = {one["figure"]: one["value"] for one in table(reader.get(f"{address}/table?of=figures").body.decode())}
    assert float(figures["accuracy"]) == pytest.approx(2 / 3) == report["metrics"]["accuracy"]["value"]


def test_a_stranger_sees_neither_report_nor_images(reef: Reef, evaluation: Evaluation) -> None:
    reef.people["stan"] = Actor(Via.SESSION, user=User.objects.create_user("stan"))
    stranger = caller(reef, "stan", Scope.READ)
    for what in ("", "/images", "/table"):
        assert stranger.get(f"/api/v1/evaluations/{evaluation.pk}{what}").status == 404


def test_the_page_of_a_run_shows_the_report_that_came_with_it(reef: Reef, evaluation: Evaluation) -> None:
    made = {"version": evaluation.version, "state": Run.State.DONE, "recipe": "head"}
    run = Run.objects.create(project=reef.project, snapshot=evaluation.snapshot, **made)
    text = read(browser(reef, "vic"), reverse("run", args=["reef", run.uid]))
    assert "Label by label" in text and 'title="Red answered nothing but grey: 10"' in text
    assert f"{reverse('api-run-curves', args=[run.uid])}?format=csv" in text


def test_curves_are_a_table_in_which_each_epoch_stands_once(pond: Pond) -> None:
    run = pond.start()
    said: list[str | int] = ["first stage", 1, 2, "second stage", 1, 2, "reading", 2, 3]  # it broke off after epoch 2
    for number, one in enumerate(said, start=1):
        is_stage = isinstance(one, str)
        detail = {"stage": one} if is_stage else {"stage": "training", "epoch": one, "train_loss": number / 10}
        RunEvent.objects.create(run=run, number=number, kind="stage" if is_stage else "epoch", detail=detail)
    assert [(one["stage"], one["epoch"], one["train_loss"]) for one in curves_of(run)] == [
        (1, 1, 0.2), (1, 2, 0.3), (2, 1, 0.5), (2, 2, 0.8), (2, 3, 0.9),
    ]  # fmt: skip
    reader, address = caller_of_pond(pond, "vic", Scope.READ), f"/api/v1/runs/{run.uid}/curves"
    reply = reader.get(address)
    check_reply("GET", address, reply)
    lines = table(reader.get(f"{address}?format=csv").body.decode())
    assert [(int(one["epoch"]), float(one["train_loss"])) for one in lines] == [
        (one["epoch"], one["train_loss"]) for one in json.loads(reply.body)
    ]
