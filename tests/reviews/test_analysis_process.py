"""A pass in a process of its own: one at a time, and it ends with its worker."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from celery.worker import state as celery_state
from pytest_django import Settings

from webapp.reviews import analysis_process

SAYS_AND_WAITS = """
import pathlib, sys, time
here = pathlib.Path(__file__).parent
with (here / "begun").open("a") as begun:
    begun.write(" ".join(sys.argv[1:]) + "\\n")
while not (here / "go").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def place(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the process of a pass says that it began, and waits for `go`."""
    (tmp_path / "manage.py").write_text(SAYS_AND_WAITS, encoding="utf-8")
    settings.BASE_DIR = tmp_path
    monkeypatch.setattr(analysis_process, "LOOK_SECONDS", 0.01)
    return tmp_path


def wait_for(file: Path) -> None:
    until = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < until, "no process began"
        threading.Event().wait(0.01)


def test_a_second_pass_does_not_begin_beside_the_first_and_may_after_it(place: Path) -> None:
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(analysis_process.run_beside, 5)
        wait_for(place / "begun")
        assert analysis_process.run_beside(6) is None
        (place / "go").touch()
        assert first.result(20) == 0
    assert analysis_process.run_beside(7) == 0
    assert (place / "begun").read_text(encoding="utf-8").splitlines() == ["analyse 5", "analyse 7"]


def test_a_pass_ends_with_its_worker_and_gives_its_turn_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(analysis_process.run_beside, 5)
        wait_for(place / "begun")
        monkeypatch.setattr(celery_state, "should_stop", 0)
        assert first.result(20) not in (0, None)
    monkeypatch.setattr(celery_state, "should_stop", None)
    (place / "go").touch()
    assert analysis_process.run_beside(6) == 0


def test_a_process_that_cannot_be_started_gives_its_turn_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(analysis_process.sys, "executable", str(place / "no such program"))
        with pytest.raises(FileNotFoundError):
            analysis_process.run_beside(5)
    (place / "go").touch()
    assert analysis_process.run_beside(6) == 0
