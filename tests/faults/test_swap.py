"""Versions change places while eight clients ask: no request fails, no answer mixes two, no worker restarts."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import sites
from tests.colour_project import COLOURS, picture
from tests.colour_versions import make_colour_version

pytestmark = pytest.mark.processes

CLIENTS, SWAPS, BETWEEN_SECONDS = 8, 14, 0.35
TURNED = {"red": "green", "green": "blue", "blue": "red"}

MAKE = """
from pathlib import Path
from webapp.access.actors import OPERATOR
from webapp.projects.create import create_project
from webapp.versions.pipelines import make_pipeline
from webapp.versions.publish import publish_folder
from webapp.versions.activate import activate
project = create_project(actor=OPERATOR, name="Colours", slug="colours", template_labels=False)
import json
made = []
for name in ("plain", "turned"):
    version = publish_folder(actor=OPERATOR, folder=Path({folder!r}) / name, project=project, name=name)
    pipeline = make_pipeline(project=project, classifier=version)
    made.append([version.pk, pipeline.digest])
    if name == "plain":
        activate(actor=OPERATOR, project=project, pipeline=pipeline)
print(json.dumps(made))
"""


@dataclass(frozen=True)
class Version:
    """What its answers must look like: 'plain' also knows grey, 'turned' gives each colour the next one's name."""

    pk: int
    pipeline: str
    name: str

    def label(self, colour: str) -> str:
        return colour if self.name == "plain" else TURNED[colour]

    @property
    def keys(self) -> set[str]:
        return {*COLOURS, "grey"} if self.name == "plain" else set(COLOURS)


@dataclass
class Swapped:
    site: sites.Site
    token: str
    versions: dict[str, Version]

    def use(self, version: Version) -> None:
        body = json.dumps({"pipeline": version.pipeline}).encode()
        path = "/api/v1/projects/colours/activations"
        reply = self.site.ask("POST", path, body, Authorization=self.token, Content_Type="application/json")
        assert reply.status == 201, reply.body


@pytest.fixture(scope="module")
def swapped(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swapped]:
    root = tmp_path_factory.mktemp("swap")
    make_colour_version(root / "plain", name="plain")
    make_colour_version(root / "turned", name="turned", turned=1, background="", embedding_space="turned")
    # The clients share one token, and answers that are known already come faster than one caller may ask.
    with sites.Site(sites.copy_of(prepared, root / "data"), settings={"OSPREY_CALLS_PER_MINUTE": "1000000"}) as site:
        made = json.loads(site.python(MAKE.format(folder=str(root))).splitlines()[-1])
        named = zip(("plain", "turned"), made, strict=True)
        versions = {digest: Version(pk, digest, name) for name, (pk, digest) in named}
        token = "Bearer " + site.command("token", "--scope", "admin").stdout.strip()
        yield Swapped(site, token, versions)


def ask(connection: http.client.HTTPConnection, token: str, colour: str, seed: int) -> tuple[int, dict[str, Any]]:
    path = "/api/v1/classify?project=colours&scores=all&wait=25"
    headers = {"Authorization": token, "Content-Type": "image/png"}
    connection.request("POST", path, body=picture(colour, seed), headers=headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def check(answer: dict[str, Any], colour: str, versions: dict[str, Version]) -> str:
    """Everything in one answer is of one version; its pipeline."""
    version = versions[answer["pipeline"]]
    assert answer["version"]["id"] == version.pk, answer
    assert [one["id"] for one in answer["versions"]] == [version.pk], answer
    assert (answer["state"], answer["key"]) == ("done", version.label(colour)), answer
    for region in answer["regions"]:
        assert {one["key"] for one in region["scores"]} == version.keys, answer
        assert region["scores"][0]["key"] == answer["key"], answer
    return version.pipeline


def test_swapping_under_eight_clients_loses_no_request_and_mixes_no_versions(swapped: Swapped) -> None:
    site, over = swapped.site, threading.Event()
    workers = {name: site.pid_of(name) for name in ("gpu", "web")}

    def client(number: int) -> list[str]:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        spoke = []
        for turn, colour in enumerate(_colours(number)):
            # Two clients at a time send the same bytes, so that answers are found again as well as made.
            status, answer = ask(connection, swapped.token, colour, seed=(turn * 4 + number // 2) % 35)
            assert status == 200, (status, answer)
            spoke.append(check(answer, colour, swapped.versions))
            if over.is_set():
                break
        connection.close()
        return spoke

    plain, turned = swapped.versions.values()
    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(client, number) for number in range(CLIENTS)]
        for swap in range(SWAPS):
            swapped.use(plain if swap % 2 else turned)
            time.sleep(BETWEEN_SECONDS)  # the load that goes on meanwhile is the test
        swapped.use(turned)
        over.set()
        spoke = [pipeline for one in asking for pipeline in one.result()]
    assert {plain.pipeline, turned.pipeline} == set(spoke)
    assert len(spoke) > CLIENTS * 4
    assert workers == {name: site.pid_of(name) for name in workers}, "no process was started again"
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    _, last = ask(connection, swapped.token, "red", seed=34)
    connection.close()
    assert check(last, "red", swapped.versions) == turned.pipeline


def test_history_is_predicted_again_behind_calls_that_go_on(swapped: Swapped) -> None:
    site, (plain, turned) = swapped.site, swapped.versions.values()
    swapped.use(turned)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    for colour in COLOURS:
        for seed in range(30):
            ask(connection, swapped.token, colour, seed)
    swapped.use(plain)
    json_body = {"Authorization": swapped.token, "Content_Type": "application/json"}
    begun = site.ask("POST", "/api/v1/projects/colours/backfills", b"{}", **json_body)
    assert begun.status == 202, begun.body
    address = f"/api/v1/backfills/{begun.json()['id']}"

    def answered() -> Any:
        status, answer = ask(connection, swapped.token, "red", seed=34)
        assert (status, answer["pipeline"]) == (200, plain.pipeline)
        told = site.ask("GET", address, Authorization=swapped.token).json()
        return told if told["is_queued"] and not told["left"] else None

    told = sites.wait_until(answered, "all pictures to be answered again")
    connection.close()
    assert told["failed"] == 0
    assert told["done"] == told["asked"] > 0
    counted = site.python(
        "from webapp.images.models import ImageState\n"
        "rows = ImageState.objects.filter(project__slug='colours').values_list('label__key', flat=True)\n"
        "print(sorted(set(rows)), rows.count())"
    )
    assert counted.splitlines()[-1].startswith("['blue', 'green', 'red'] ")
    rebuilt = site.command("rebuild-state", "--project", "colours", "--json").stdout
    assert json.loads(rebuilt)["states"] == 0, rebuilt


def _colours(number: int) -> Iterator[str]:
    names = list(COLOURS)
    turn = number
    while True:
        yield names[turn % len(names)]
        turn += 1
