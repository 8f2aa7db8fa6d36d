"""What runs on a data folder: the lock its one supervisor holds, and the file that says which processes and where.

No Django here: `status` and `down` answer at once, also when the site is broken.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ChildState:
    """One process of the site; `started` is seconds since 1970, `last_exit` the status of the one before it."""

    name: str
    pid: int | None
    started: float
    restarts: int
    last_exit: int | None


@dataclass(frozen=True)
class SiteState:
    pid: int
    url: str
    port: int
    data: str
    started: float
    ready: bool
    children: tuple[ChildState, ...]


def run_folder(data: Path) -> Path:
    """Private to this user: sockets, pids, schedules."""
    folder = data / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write(data: Path, state: SiteState) -> None:
    path = run_folder(data) / "supervisor.json"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    beside.replace(path)


def read(data: Path) -> SiteState | None:
    try:
        found = json.loads((data / "run" / "supervisor.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return SiteState(**{**found, "children": tuple(ChildState(**child) for child in found["children"])})


def forget(data: Path) -> None:
    (data / "run" / "supervisor.json").unlink(missing_ok=True)


def take_lock(data: Path, seconds: float = 1.0) -> int | None:
    """The file descriptor that holds the data folder, or None when another supervisor, or its guard, has it.

    A `status` looks by taking the lock shared for an instant, hence the patience of a second.
    """
    handle = os.open(run_folder(data) / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(handle)
                return None
            time.sleep(0.05)


def is_held(data: Path) -> bool:
    """Whether a supervisor runs here, or the guard of a dead one still stops its children."""
    try:
        handle = os.open(data / "run" / "supervisor.lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def is_alive(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
