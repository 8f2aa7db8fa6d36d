"""A project on the reef whose store is the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.datasets.importing import Reef, make_reef


@pytest.fixture
def reef(db: None, tmp_path: Path, settings: Settings) -> Reef:
    settings.STORE_DIR = tmp_path / "store"
    settings.INCOMING_DIR = settings.STORE_DIR / "incoming"
    settings.DERIVED_DIR = tmp_path / "derived"
    settings.INCOMING_DIR.mkdir(parents=True)
    return make_reef()
