"""`./osprey retrain --dataset`: a snapshot by name, or a data set of this machine, imported and frozen first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from tests.runs.conftest import Pond
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid, NotFound
from webapp.runs.management.commands import retrain


@pytest.fixture
def frozen(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """What freezing would make."""
    made = Snapshot.objects.create(project=pond.project, name="Snapshot 2", digest="e" * 64)
    monkeypatch.setattr(retrain, "freeze", lambda **_: made)
    monkeypatch.setattr(retrain, "newest_snapshot", lambda _: pond.snapshot)
    return made


def importing(monkeypatch: pytest.MonkeyPatch, counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """An import that comes to these counts; returns what was imported where."""
    asked: list[tuple[str, str]] = []

    def take(command: str, path: str, *, project: str, **more: Any) -> None:
        assert command == "import_data"
        asked.append((path, project))
        more["stdout"].write(json.dumps(counts))

    monkeypatch.setattr(retrain, "call_command", take)
    return asked


def chosen(pond: Pond, dataset: str) -> Snapshot:
    return retrain.Command()._snapshot(pond.project, dataset, dataset)


def test_a_folder_is_imported_and_frozen(
    pond: Pond, frozen: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = importing(monkeypatch, {"added": 3, "reviews": 3})
    assert chosen(pond, str(tmp_path)) == frozen
    assert asked == [(str(tmp_path), "pond")]


def test_one_that_was_here_already_is_not_frozen_again(
    pond: Pond, frozen: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importing(monkeypatch, {"added": 0, "reviews": 0})
    assert chosen(pond, str(tmp_path)) == pond.snapshot


def test_a_snapshot_of_that_name_goes_before_a_folder(
    pond: Pond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Snapshot 1").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = importing(monkeypatch, {})
    assert chosen(pond, "Snapshot 1") == pond.snapshot and not asked
    with pytest.raises(NotFound, match="no snapshot"):
        chosen(pond, "Snapshot 9")


def test_what_cannot_be_imported_is_refused_in_words(
    pond: Pond, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise CommandError("it holds no picture")

    monkeypatch.setattr(retrain, "call_command", refuse)
    with pytest.raises(Invalid, match="could not be imported: it holds no picture"):
        chosen(pond, str(tmp_path))
