"""The pond: a project with people, a frozen snapshot and a version to start from; and a stand-in for training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.colour_versions import make_colour_version
from tests.runs.reef import Reef, make_reef
from training.contract import LEFT_OUT, ManifestHead, ManifestLabel, ManifestLine
from webapp.access.actors import SYSTEM, Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.images.models import File, Image, Upload
from webapp.projects.models import Project
from webapp.runs import carry_out as carrying
from webapp.runs.folder import folder_of
from webapp.runs.models import Run
from webapp.runs.start import start_run
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

PARTS = ("train", "train", "train", "validation", "test", LEFT_OUT)


@dataclass(frozen=True)
class Pond:
    project: Project
    people: dict[str, Actor]
    images: list[Image]
    snapshot: Snapshot
    version: Version

    def start(self, name: str = "", *, who: str = "tess", **more: Any) -> Run:
        """A run that nobody was told of; `name` is what the stand-in goes by."""
        config = {"name": name} if name else {}
        return start_run(
            actor=self.people[who],
            project=self.project,
            snapshot=self.snapshot,
            config=config,
            **{"here": True, **more},
        )

    def carry_out(self, run: Run, should_stop: Callable[[], bool] = carrying.never) -> Run:
        found = carrying.carry_out(run.pk, should_stop=should_stop)
        assert found is not None
        return found

    def waits(self, run: Run) -> bool:
        """Whether the stand-in has come to where it waits."""
        return (folder_of(run) / "waiting").exists()


@pytest.fixture
def own_folders(tmp_path: Path, settings: Settings) -> None:
    """A data folder for this test alone."""
    settings.DATA_DIR = tmp_path
    for name in ("STORE_DIR", "VERSIONS_DIR", "RUN_DIR", "DERIVED_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        setattr(settings, name, folder)


@pytest.fixture
def reef(db: None, own_folders: None) -> Reef:
    return make_reef()


@pytest.fixture
def pond(db: None, own_folders: None, tmp_path: Path) -> Pond:
    project = Project.objects.create(slug="pond", name="Pond")
    people = {}
    for name, role in (("ada", Role.ADMIN), ("tess", Role.TRAINER), ("cora", Role.CURATOR), ("vic", Role.VIEWER)):
        user = User.objects.create_user(name)
        Membership.objects.create(user=user, project=project, role=role)
        people[name] = Actor(Via.SESSION, user=user)
    images = _images(project)
    folder = make_colour_version(tmp_path / "start", embedding_space="colours")
    version = publish_folder(actor=SYSTEM, folder=folder, project=project, is_starter=True)
    return Pond(project, people, images, _freeze(project, images), version)


def _images(project: Project) -> list[Image]:
    upload = Upload.objects.create(project=project)
    made = []
    for number in range(len(PARTS)):
        sha256 = f"{number:064x}"
        file = File.objects.create(sha256=sha256, size=1, storage_key=f"x/{sha256}", media_type="image/jpeg")
        made.append(
            Image.objects.create(project=project, file=file, upload=upload, path=f"{number}.jpg", width=4, height=3)
        )
    return made


def _freeze(project: Project, images: list[Image]) -> Snapshot:
    labels = (ManifestLabel("cod", "Cod"), ManifestLabel("hake", "Hake"))
    lines = [
        ManifestLine(
            image.pk,
            image.file.sha256,
            part,
            path=image.path,
            label=("cod", "hake")[image.pk % 2] if part != LEFT_OUT else None,
            left_out="unlabelled" if part == LEFT_OUT else "",
            media_type="image/jpeg",
        )
        for image, part in zip(images, PARTS, strict=True)
    ]
    digest = manifest.write(ManifestHead(project="pond", seed=0, labels=labels), lines)
    return Snapshot.objects.create(
        project=project,
        name="Snapshot 1",
        digest=digest,
        manifest_key=manifest.key_of(digest),
        counts={"parts": {"train": 3, "validation": 1, "test": 1}, "used": 5},
        leak_report={"total": 0},
    )


@pytest.fixture
def stand_in(pond: Pond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pond:
    """The pond, where training is the stand-in and nobody waits for long."""
    model = make_colour_version(tmp_path / "learned", background="")
    monkeypatch.setenv("STAND_IN_MODEL", str(model))
    monkeypatch.setattr(carrying, "TRAINING", (sys.executable, str(Path(__file__).with_name("stand_in.py"))))
    monkeypatch.setattr(carrying, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(carrying, "TELL_SECONDS", 0.0)
    return pond
