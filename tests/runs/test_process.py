"""The process that trains never outlives its worker, and never shares a folder with another one."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.sites import ROOT, environment, wait_until
from webapp.leases import _lives
from webapp.runs import process

WORKER = """
import sys, time, django
from pathlib import Path
django.setup()
from webapp.runs.process import training
folder = Path(sys.argv[1])
child = "import pathlib, os, time; pathlib.Path('PID').write_text(str(os.getpid())); time.sleep(600)"
with training(folder, [sys.executable, "-c", child.replace("PID", str(folder / "pid"))]):
    time.sleep(600)
"""
SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.processes
def test_a_worker_that_is_killed_takes_its_training_with_it(tmp_path: Path, settings: Settings) -> None:
    told = environment(tmp_path / "data", DJANGO_SETTINGS_MODULE="webapp.settings", PYTHONPATH=str(ROOT))
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], env=told)
    pid = int(wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the training"))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    if sys.platform == "linux":
        wait_until(lambda: not _lives(pid), "the end of the training", 10)
    with process.training(tmp_path, SLEEPS) as again:
        assert again.poll() is None
    assert not _lives(pid)


def test_a_process_that_will_not_stop_is_ended(tmp_path: Path, settings: Settings) -> None:
    deaf = "import signal, pathlib, time; signal.signal(15, signal.SIG_IGN); pathlib.Path('F').touch(); time.sleep(600)"
    with process.training(tmp_path, [sys.executable, "-c", deaf.replace("F", str(tmp_path / "deaf"))]) as training:
        wait_until((tmp_path / "deaf").exists, "the deaf process")
        assert training.stop(grace=0.2) == -signal.SIGKILL


def test_an_orphan_that_holds_the_folder_is_ended_first(tmp_path: Path) -> None:
    lock = os.open(tmp_path / process.LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    orphan = subprocess.Popen(SLEEPS, pass_fds=(lock,), start_new_session=True)
    os.close(lock)
    (tmp_path / process.WHO).write_text(json.dumps({"pid": orphan.pid}))
    with process.training(tmp_path, SLEEPS) as training:
        assert training.poll() is None
    assert orphan.wait() == -signal.SIGKILL
