"""The cast: Rosa, who reviews on the reef, Cora, who curates, Eve, who does not belong, and a store of their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import Settings

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.images import states
from webapp.images.keep import ReceivedFile
from webapp.images.models import File, Image, Upload
from webapp.images.uploads import open_upload
from webapp.projects.models import Label, Project


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> Path:
    settings.STORE_DIR = tmp_path / "store"
    settings.INCOMING_DIR = settings.STORE_DIR / "incoming"
    settings.DERIVED_DIR = tmp_path / "derived"
    settings.INCOMING_DIR.mkdir(parents=True)
    return tmp_path / "store"


@dataclass(frozen=True)
class Reef:
    project: Project
    rosa: Actor
    eve: Actor
    cora: Actor

    def upload(self, **options: object) -> Upload:
        return open_upload(actor=self.rosa, project=self.project, kind="browser", **options)  # type: ignore[arg-type]

    def image(self, name: str, project: Project | None = None) -> Image:
        """An image that is here already; `name` stands for its bytes."""
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        where = project or self.project
        file, _ = File.objects.get_or_create(sha256=sha256, defaults={"size": 1, "storage_key": f"x/{sha256}"})
        upload = Upload.objects.create(project=where)
        image = Image.objects.create(project=where, file=file, upload=upload, path=name, width=1, height=1)
        states.add_state(image)
        return image

    def label(self, key: str, kind: str = Label.Kind.NORMAL) -> Label:
        return Label.objects.create(project=self.project, key=key, name=key.title(), kind=kind)


@pytest.fixture
def reef(db: None) -> Reef:
    project = Project.objects.create(slug="reef", name="Reef")
    rosa, eve, cora = (User.objects.create(username=name) for name in ("rosa", "eve", "cora"))
    Membership.objects.create(user=rosa, project=project, role=Role.REVIEWER)
    Membership.objects.create(user=cora, project=project, role=Role.CURATOR)
    return Reef(project, *(Actor(Via.SESSION, user=user) for user in (rosa, eve, cora)))


@dataclass(frozen=True)
class Inbox:
    """Where the intake leaves files."""

    folder: Path

    def put(self, content: bytes) -> ReceivedFile:
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"in-{digest[:12]}"
        path.write_bytes(content)
        return ReceivedFile(path=path, sha256=digest, size=len(content))


@pytest.fixture
def inbox(store: Path) -> Inbox:
    return Inbox(store / "incoming")
