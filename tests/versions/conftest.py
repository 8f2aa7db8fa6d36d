"""Model folders small enough for any test: a real card, files that only their digests look into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from classifier.card import FORMAT_VERSION, WEIGHTS, Card, Label, write_card
from webapp.access.actors import OPERATOR
from webapp.projects.create import create_project
from webapp.projects.models import Project

MakeFolder = Callable[..., Path]

BARE: dict[str, Any] = {
    "format_version": FORMAT_VERSION,
    "role": "classifier",
    "name": "Tiny",
    "architecture": "test_resnet",
    "input_size": (8, 8),
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "crop_mode": "center",
    "labels": (Label("tiger", "tiger", synonyms=("big cat",)), Label("none", "none of these", kind="background")),
}


@pytest.fixture
def data(tmp_path: Path, settings: Settings) -> Path:
    """An empty data folder that the settings point to."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings.DATA_DIR, settings.RUN_DIR = folder, folder / "run"
    settings.STORE_DIR, settings.INCOMING_DIR = folder / "store", folder / "store" / "incoming"
    settings.VERSIONS_DIR = folder / "versions"
    return folder


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make a sealed model folder; `weights` tells one from another, other words are fields of its card."""

    def make(weights: str = "one", **fields: Any) -> Path:
        folder = tmp_path / f"made-{len(list(tmp_path.glob('made-*')))}"
        folder.mkdir()
        (folder / WEIGHTS).write_text(weights)
        (folder / "report.json").write_text("{}")
        write_card(folder, Card(**{**BARE, **fields}))
        return folder

    return make


@pytest.fixture
def project(db: None, data: Path) -> Project:
    return create_project(actor=OPERATOR, name="Jungle", slug="jungle", template_labels=False)
