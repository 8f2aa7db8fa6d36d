"""A project with a real, tiny network, and a broker that can be heard."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as site
from pytest_django import Settings

from tests.colour_versions import make_colour_version
from webapp import broker, queue
from webapp.access.actors import OPERATOR
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.versions import pipelines
from webapp.versions.activate import activate
from webapp.versions.publish import publish_folder


@pytest.fixture
def own_folders(tmp_path: Path, settings: Settings) -> Path:
    """A data folder of the test's own, with all that lies in it; gives a place beside it."""
    settings.DATA_DIR = tmp_path / "data"
    settings.STORE_DIR = settings.DATA_DIR / "store"
    settings.INCOMING_DIR = settings.STORE_DIR / "incoming"
    settings.VERSIONS_DIR, settings.DERIVED_DIR = settings.DATA_DIR / "versions", settings.DATA_DIR / "derived"
    settings.INCOMING_DIR.mkdir(parents=True)
    settings.DEVICE = "cpu"
    return tmp_path


@pytest.fixture
def colours(own_folders: Path) -> Project:
    """A project that answers with the colour of a picture."""
    project = create_project(actor=OPERATOR, name="Colours", template_labels=False)
    folder = make_colour_version(own_folders / "colours")
    version = publish_folder(actor=OPERATOR, folder=folder, project=project)
    pipeline = pipelines.make_pipeline(project=project, classifier=version)
    activate(actor=OPERATOR, project=project, pipeline=pipeline)
    return project


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real broker to hear by."""
    with tempfile.TemporaryDirectory(prefix="osprey-l-") as folder, broker.serving(Path(folder)) as url:
        monkeypatch.setattr(site, "REDIS_URL", url.replace("redis+socket://", "unix://").split("?virtual_host")[0])
        monkeypatch.setattr(site, "HAS_REDIS", True)
        for client in (queue.client, queue._patient_client):
            client.cache_clear()
        yield
    for client in (queue.client, queue._patient_client):
        client.cache_clear()
