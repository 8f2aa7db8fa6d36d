"""The real thing: drawn pictures, the starter's own network, a head that learns them; by command and by the site."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests import sites

pytestmark = pytest.mark.processes

COLOURS = {"red disc": (200, 40, 30), "blue square": (30, 60, 200), "green bars": (30, 160, 60)}
EACH = 20


def draw(root: Path) -> Path:
    """Discs, squares and bars on noisy grounds, no two alike."""
    for label, colour in COLOURS.items():
        (root / label).mkdir(parents=True)
        for number in range(EACH):
            sure = random.Random(f"{label} {number}")
            ground = tuple(sure.randrange(90, 230) for _ in range(3))
            picture = Image.frombytes("RGB", (12, 10), sure.randbytes(360)).resize((96, 80))
            picture = Image.blend(picture, Image.new("RGB", (96, 80), ground), 0.7)
            _shape(ImageDraw.Draw(picture), label, colour, sure)
            picture.save(root / label / f"{number}.jpg", quality=88)
    return root


def _shape(drawing: ImageDraw.ImageDraw, label: str, colour: tuple[int, int, int], sure: random.Random) -> None:
    x, y, side = sure.randrange(8, 40), sure.randrange(8, 30), sure.randrange(24, 40)
    if label == "red disc":
        drawing.ellipse((x, y, x + side, y + side), fill=colour)
    elif label == "blue square":
        drawing.rectangle((x, y, x + side, y + side), fill=colour)
    else:
        for bar in range(0, side, 8):
            drawing.rectangle((x + bar, y, x + bar + 4, y + side), fill=colour)


def osprey(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(sites.ROOT / "manage.py"), *words]
    return subprocess.run(
        command, env=sites.environment(data, PYTHONPATH=str(sites.ROOT)), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def data(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retrain")
    found = sites.copy_of(prepared, folder / "data")
    taken = osprey(found, "import_data", str(draw(folder / "drawn")), "--project", "ponds")
    assert taken.returncode == 0, taken.stderr
    return found


@pytest.mark.long
@pytest.mark.timeout(600)
def test_retrain_ends_with_one_object_and_a_version_nobody_uses_yet(data: Path) -> None:
    done = osprey(data, "retrain", "--project", "ponds")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told["state"] == "done"
    assert told["snapshot"]["name"] == "Snapshot 1"
    assert told["report"]["metrics"]["accuracy"]["value"] > 0.6
    listed = {row["digest"]: row for row in json.loads(osprey(data, "models", "list", "--json").stdout)}
    assert told["version"]["digest"] in listed
    assert not (data / "active" / "ponds.json").exists()
    wrong = osprey(data, "retrain", "--project", "ponds", "epoch=3")
    refused = json.loads(wrong.stdout.splitlines()[-1])
    assert (wrong.returncode, refused["state"]) == (1, "refused") and "no setting 'epoch'" in refused["reason"]
    assert refused.keys() == told.keys()


ACTIVATE = """
from webapp.access.actors import OPERATOR
from webapp.projects.models import Project
from webapp.versions.activate import activate
from webapp.versions.models import Version
from webapp.versions.pipelines import make_pipeline
project = Project.objects.get(slug="ponds")
version = Version.objects.filter(project=project).latest("pk")
activate(actor=OPERATOR, project=project, pipeline=make_pipeline(project=project, classifier=version))
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_gate_holds_the_new_version_against_the_one_in_use(data: Path) -> None:
    first = osprey(data, "retrain", "--project", "ponds", "--gate", '{"must_be": "better"}')
    assert first.returncode == 0, first.stderr
    assert "Nothing was in use" in json.loads(first.stdout.splitlines()[-1])["gate"]["why"][0]
    assert osprey(data, "shell", "-c", ACTIVATE).returncode == 0
    second = osprey(data, "retrain", "--project", "ponds", "--gate", '{"must_be": "better"}', "head_decay=0.5")
    assert second.returncode == 3, second.stderr
    told: dict[str, Any] = json.loads(second.stdout.splitlines()[-1])
    assert (told["state"], told["gate"]["passed"]) == ("rejected", False)
    assert "Too few groups: the test part has 6" in told["reason"] and told["reason"] in second.stderr


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_site_trains_what_rest_asks_for(data: Path) -> None:
    with sites.Site(data) as site:
        made = osprey(data, "token", "--scope", "train", "--name", "tess")
        token = {"Authorization": f"Bearer {made.stdout.split()[-1]}"}
        body = json.dumps({"recipe": "head"}).encode()
        asked = site.ask("POST", "/api/v1/projects/ponds/runs", body, Content_Type="application/json", **token)
        assert asked.status == 202, asked.body
        run = asked.json()

        def ended() -> Any:
            told = site.ask("GET", f"/api/v1/runs/{run['id']}", **token).json()
            return told if told["state"] not in ("waiting", "leased") else None

        told = sites.wait_until(ended, "the end of the run", 300)
        assert (told["state"], told["reason"]) == ("done", "")
        assert told["version"] is not None and told["report"] is not None
        heard = site.ask("GET", f"/api/v1/runs/{run['id']}/events", **token).body.decode()
        assert '"kind": "epoch"' in heard and heard.rstrip().endswith("data: {}")
        _compares_it_with_the_starter(site, told, token)


def _compares_it_with_the_starter(site: sites.Site, run: Any, token: dict[str, str]) -> None:
    """A train worker evaluates what is missing, an io worker compares; nobody but them carries anything out."""
    starter = site.python(
        "from webapp.versions.models import Version\n"
        "print(Version.objects.filter(is_starter=True).order_by('pk').values_list('pk', flat=True)[0])"
    )
    body = json.dumps({"a": int(starter.split()[-1]), "b": run["version"]}).encode()
    asked = site.ask("POST", "/api/v1/projects/ponds/comparisons", body, Content_Type="application/json", **token)
    assert asked.status == 202, asked.body
    address = f"/api/v1/comparisons/{asked.json()['id']}"

    def ended() -> Any:
        told = site.ask("GET", address, **token).json()
        return told if told["state"] not in ("waiting", "leased") else None

    told = sites.wait_until(ended, "the end of the comparison", 120)
    assert (told["state"], told["reason"]) == ("done", "")
    assert told["fixed"] > 0 == told["broken"] and told["only_b_knows"]
