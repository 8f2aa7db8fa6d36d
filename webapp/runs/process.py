"""The process that trains: started in a group of its own, asked to stop, ended for sure; one for each run folder."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from webapp.guard import end_group

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
"""For a checkpoint, once it was asked to stop; the supervisor gives its worker a little longer."""
LOOK_SECONDS = 0.1
LOG = "log.txt"
LOCK, WHO = ".lock", ".process.json"
TRAINING = (sys.executable, "-m", "training")


class StillThere(Exception):
    """An earlier process of the same run holds its folder and cannot be ended from here."""


class Training:
    """One process under way."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Its exit status once it has ended; below 0 the signal that ended it."""
        return self._process.poll()

    def stop(self, grace: float = GRACE_SECONDS) -> int:
        """Ask it to write its checkpoint and end, and end what does not."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            log.warning("the training process %s did not stop within %.0f s and is ended", self._process.pid, grace)
        end_group(self._process.pid)
        return self._process.wait()


@contextmanager
def training(folder: Path, words: Sequence[str]) -> Iterator[Training]:
    """Start `words` on a run folder; whatever happens inside, nothing of it is left running afterwards."""
    lock = _hold(folder)
    try:
        with (folder / LOG).open("ab") as log_file:
            process = subprocess.Popen(
                [sys.executable, "-m", "webapp.runs.leash", str(os.getpid()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                cwd=settings.BASE_DIR,
                start_new_session=True,
                pass_fds=(lock,),
            )
        (folder / WHO).write_text(json.dumps({"pid": process.pid}), encoding="utf-8")
        try:
            yield Training(process)
        finally:
            if process.poll() is None:
                Training(process).stop()
            end_group(process.pid)
    finally:
        os.close(lock)


def _hold(folder: Path) -> int:
    """The folder's lock, which the process inherits: as long as it lives, no other one begins on the same folder."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    if _try_lock(lock):
        return lock
    # Its worker was killed on a system that ends no orphans. The lock is held, so the number is still its own.
    end_group(int(json.loads((folder / WHO).read_text(encoding="utf-8"))["pid"]))
    until = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < until:
        if _try_lock(lock):
            return lock
        time.sleep(LOOK_SECONDS)
    os.close(lock)
    raise StillThere(f"An earlier process of this run still holds {folder} and does not end.")


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def device_lock() -> Iterator[bool]:
    """Whether this process may train now: one run at a time on the devices that it sees of this machine."""
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "all").replace("/", "-") or "none"
    path = Path(settings.RUN_DIR) / f"train-{devices}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _try_lock(lock)
    finally:
        os.close(lock)
