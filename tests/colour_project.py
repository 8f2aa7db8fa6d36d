"""A project that answers with the colour of a picture, and pictures of one colour to send to it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image as Picture
from pytest_django import Settings

from tests.colour_versions import make_colour_version, make_head_version
from webapp.access.actors import OPERATOR
from webapp.images.keep import ReceivedFile
from webapp.predictions.accept import Accepted, accept_image
from webapp.predictions.models import Priority
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.versions import pipelines
from webapp.versions.activate import activate
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

COLOURS = {"red": (220, 10, 10), "green": (10, 220, 10), "blue": (10, 10, 220)}


def point_settings(settings: Settings, tmp_path: Path) -> None:
    """An empty data folder of the test's own."""
    settings.DATA_DIR, settings.RUN_DIR = tmp_path / "data", tmp_path / "data" / "run"
    settings.STORE_DIR = settings.DATA_DIR / "store"
    settings.INCOMING_DIR = settings.STORE_DIR / "incoming"
    settings.VERSIONS_DIR, settings.DERIVED_DIR = settings.DATA_DIR / "versions", settings.DATA_DIR / "derived"
    settings.INCOMING_DIR.mkdir(parents=True)
    settings.DEVICE = "cpu"


def make_colours(tmp_path: Path) -> Project:
    """The project, with its first version in use."""
    project = create_project(actor=OPERATOR, name="Colours", template_labels=False)
    use(project, publish(project, make_colour_version(tmp_path / "first", name="first")))
    return project


def publish(project: Project, folder: Path) -> Version:
    return publish_folder(actor=OPERATOR, folder=folder, project=project)


def turned_version(project: Project, tmp_path: Path, *, name: str = "turned", turned: int = 1) -> Version:
    """Another network, which calls red green."""
    folder = make_colour_version(tmp_path / name, turned=turned, name=name, embedding_space=name)
    return publish(project, folder)


def head_version(project: Project, tmp_path: Path, *, name: str = "head", turned: int = 1) -> Version:
    """The first network with another last layer, which calls red green."""
    return publish(project, make_head_version(tmp_path / name, tmp_path / "first", turned=turned, name=name))


def use(project: Project, version: Version) -> None:
    activate(actor=OPERATOR, project=project, pipeline=pipelines.make_pipeline(project=project, classifier=version))


def picture(colour: str, seed: int = 0) -> bytes:
    """A picture of one colour; the seed makes it another file."""
    red, green, blue = COLOURS[colour]
    made = Picture.new("RGB", (40, 30), (red, green, blue - seed if blue > 128 else blue + seed))
    content = io.BytesIO()
    made.save(content, "PNG")
    return content.getvalue()


def send(project: Project, settings: Settings, colour: str, seed: int = 0, **more: Any) -> Accepted:
    content = picture(colour, seed)
    path = settings.INCOMING_DIR / f"in-{colour}-{seed}"
    path.write_bytes(content)
    received = ReceivedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    upload = project.uploads.get_or_create(name="sent")[0]
    chosen = {"priority": Priority.BULK, **more}
    return accept_image(actor=OPERATOR, project=project, received=received, upload=upload, **chosen)
