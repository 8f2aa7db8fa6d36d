"""Making a data folder ready: at the first start, again, half-way, two at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from classifier.card import Label, folder_digest
from classifier.registry import read_active
from classifier.starter import StarterVersion
from tests.sites import ROOT, environment
from tests.versions.conftest import MakeFolder
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import User
from webapp.projects.labels import rename_label, search_labels
from webapp.projects.models import Project
from webapp.versions import prepare as preparing
from webapp.versions import starter as starting
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Version
from webapp.versions.pipelines import make_pipeline
from webapp.versions.publish import publish_folder

QUICK_SECONDS = 3.0  # a second start takes about 0.8 s here; the rest is for a busy machine


def tiny_starter(make_folder: MakeFolder, weights: str = "one") -> StarterVersion:
    labels = (Label("goose", "goose", synonyms=("wild goose",), parent="bird"), Label("none", "none", "background"))
    folder = make_folder(weights, name="Tiny starter", labels=labels, ancestors=(Label("bird", "bird"),))
    return StarterVersion("animals", "Animals", "classifier", folder, folder_digest(folder), "Knows one goose.")


def test_a_starter_makes_its_project_with_labels_notice_and_an_active_version(
    db: None, data: Path, make_folder: MakeFolder
) -> None:
    version = starting.place(tiny_starter(make_folder))
    project = Project.objects.get(slug="animals")
    assert (project.name, project.notice, project.open_to_guests) == ("Animals", "Knows one goose.", True)
    assert [label.key for label in search_labels(project, "wild")] == ["goose"]
    assert set(project.labels.values_list("kind", flat=True)) == {"normal", "background", "unknown"}
    active = active_pipeline(project)
    assert active is not None and active.classifier == version and version.is_starter


def test_placing_a_starter_again_changes_nothing(db: None, data: Path, make_folder: MakeFolder) -> None:
    starter = tiny_starter(make_folder)
    starting.place(starter)
    project = Project.objects.get()
    rename_label(actor=OPERATOR, label=project.labels.get(key="goose"), name="greylag")
    Project.objects.update(open_to_guests=False, notice="ours")
    starting.place(starter)
    project.refresh_from_db()
    assert (project.open_to_guests, project.notice) == (False, "ours")
    assert project.labels.get(key="goose").name == "greylag"
    assert (Version.objects.count(), project.activations.count(), project.pipelines.count()) == (1, 1, 1)


def test_a_new_starter_follows_the_old_one_but_never_a_persons_choice(
    db: None, data: Path, make_folder: MakeFolder
) -> None:
    starting.place(tiny_starter(make_folder))
    newer = starting.place(tiny_starter(make_folder, "two"))
    project = Project.objects.get()
    active = active_pipeline(project)
    assert active is not None and active.classifier == newer
    ana = Actor(Via.SESSION, user=User.objects.create(username="ana", is_superuser=True))
    own = publish_folder(actor=ana, folder=make_folder("own"), project=project)
    activate(actor=ana, project=project, pipeline=make_pipeline(project=project, classifier=own))
    starting.place(tiny_starter(make_folder, "three"))
    active = active_pipeline(project)
    assert active is not None and active.classifier == own


@pytest.mark.django_db(transaction=True)
def test_preparing_twice_does_the_work_once_and_mends_what_is_missing(
    data: Path, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def make_starter(folder: Path) -> list[StarterVersion]:
        made.append(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return [tiny_starter(make_folder)]

    monkeypatch.setattr(starting, "make_starter", make_starter)
    said: list[str] = []
    preparing.prepare(said.append)
    assert preparing.is_prepared()
    assert User.objects.get().has_usable_password() is False
    assert any("first admin: admin" in line for line in said)
    said.clear()
    preparing.prepare(said.append)
    assert (said, len(made)) == ([], 1)
    (data / "active" / "animals.json").unlink()
    preparing.restore_active_files()
    assert read_active(data, "animals").project == "animals"
    (data / "logs").rmdir()
    assert not preparing.is_prepared()
    preparing.prepare(said.append)
    assert (data / "logs").is_dir()
    assert len(made) == 1, "the starter is made again only when it changed"


@pytest.mark.django_db(transaction=True)
def test_a_start_that_failed_half_way_goes_on_from_there(
    data: Path, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny_starter(make_folder)
    (data / "cache" / "starter").mkdir(parents=True)
    missing = StarterVersion("fish", "Fish", "classifier", data / "nowhere", "", "")
    monkeypatch.setattr(starting, "make_starter", lambda folder: [one, missing])
    with pytest.raises(Exception, match="no model folder|not a model folder"):
        preparing.prepare(lambda line: None)
    assert not preparing.is_prepared()
    assert list(Project.objects.values_list("slug", flat=True)) == ["animals"], "the one that failed left nothing"
    monkeypatch.setattr(starting, "make_starter", lambda folder: [one])
    preparing.prepare(lambda line: None)
    assert preparing.is_prepared()
    assert Version.objects.count() == 1


def test_copies_that_a_killed_process_left_are_swept_when_they_are_old(data: Path, settings: Settings) -> None:
    old, new = data / "versions" / ".incoming-old", data / "versions" / ".incoming-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    preparing.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def start(data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "prepare"],
        env=environment(data),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
@pytest.mark.processes
def test_a_first_start_that_is_killed_and_two_that_follow_at_once_end_in_one_good_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = start(data)
    assert first.stderr is not None
    next(line for line in first.stderr if "making the starter" in line)
    first.send_signal(signal.SIGKILL)
    first.wait()
    both = [start(data), start(data)]
    outcomes = [(*process.communicate(timeout=280), process.returncode) for process in both]
    assert [(out, code) for out, _, code in outcomes] == [("", 0), ("", 0)], outcomes
    words = "".join(err for _, err, _ in outcomes)
    assert words.count("waiting for it") == 1
    assert words.count(f"{data} is ready") == 1
    _is_complete(data)
    begun = time.monotonic()
    again = start(data)
    assert again.communicate() == ("", "")
    assert time.monotonic() - begun < QUICK_SECONDS


def _is_complete(data: Path) -> None:
    for slug in ("animals", "ten-animals", "fish"):
        folder = read_active(data, slug).classifier
        assert folder is not None and (data / folder / "model.onnx").is_file()
    modes = {name: stat.S_IMODE((data / name).stat().st_mode) for name in ("run", "secret_key", "osprey.sqlite3")}
    assert modes == {"run": 0o700, "secret_key": 0o600, "osprey.sqlite3": 0o600}
    with sqlite3.connect(data / "osprey.sqlite3") as rows:
        assert rows.execute("SELECT slug, open_to_guests FROM projects_project ORDER BY slug").fetchall() == [
            ("animals", 1),
            ("fish", 1),
            ("ten-animals", 1),
        ]
        assert rows.execute("SELECT username, is_superuser FROM access_user").fetchall() == [("admin", 1)]
        assert rows.execute("SELECT count(*) FROM versions_activation").fetchone() == (3,)
    assert not (data / "cache" / "starter").exists()
