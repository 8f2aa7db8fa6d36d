"""The file by which the command line learns the active version."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from classifier.errors import ModelError
from classifier.registry import DATA_VARIABLE, Active, data_folder, read_active, write_active


def test_it_reads_back_as_written_with_folders_under_the_data_folder(tmp_path: Path) -> None:
    active = Active("d1", "fish", classifier="versions/a", thresholds={"background": 0.4}, crop_margin=0.1)
    write_active(tmp_path, active)
    assert read_active(tmp_path, "fish") == active
    spec = read_active(tmp_path, "fish").spec(tmp_path)
    assert (spec.classifier, spec.detector, spec.digest) == (tmp_path / "versions" / "a", None, "d1")


def test_a_project_without_one_names_those_that_have_one(tmp_path: Path) -> None:
    write_active(tmp_path, Active("d1", "fish", classifier="versions/a"))
    with pytest.raises(ModelError, match="Projects with one: fish"):
        read_active(tmp_path, "whales")


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    write_active(tmp_path, Active("d1", "fish")).write_text("{")
    with pytest.raises(ModelError, match="Activate a version of 'fish' again"):
        read_active(tmp_path, "fish")


@pytest.mark.parametrize("slug", ["../fish", "Fish", "", "a/b"])
def test_a_slug_cannot_lead_elsewhere(tmp_path: Path, slug: str) -> None:
    with pytest.raises(ModelError, match="not a project's slug"):
        read_active(tmp_path, slug)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    first, second = (Active(digest * 4000, "fish") for digest in "ab")
    write_active(tmp_path, first)
    done = threading.Event()

    def rewrite() -> None:
        for _ in range(50):
            write_active(tmp_path, second)
            write_active(tmp_path, first)
        done.set()

    thread = threading.Thread(target=rewrite)
    thread.start()
    while not done.is_set():
        assert read_active(tmp_path, "fish") in (first, second)
    thread.join()
    assert [path.name for path in (tmp_path / "active").iterdir()] == ["fish.json"]


def test_without_a_data_folder_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(ModelError, match="--model DIR"):
        data_folder()
