"""The supervisor as a real program over stand-in processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from webapp import runstate

ROOT = Path(__file__).resolve().parents[2]
SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
WITH_CHILD = "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)"

Start = Callable[..., "subprocess.Popen[str]"]


def eventually(holds: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie that waits for a parent."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False
    return runstate.is_alive(pid)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[subprocess.Popen[str]] = []

    def begin(*processes: str, wait: bool = True) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.launcher.site_stand_in", str(tmp_path), *processes]
        site = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        begun.append(site)
        if wait:
            eventually(lambda: (state := runstate.read(tmp_path)) and state.ready, "ready")
        return site

    yield begin
    for site in begun:
        site.kill()
        site.communicate()
    eventually(lambda: not runstate.is_held(tmp_path), "all stopped", seconds=20)


def pids(data: Path) -> dict[str, int]:
    state = runstate.read(data)
    assert state is not None
    return {child.name: child.pid for child in state.children if child.pid is not None}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_way_of_asking_stops_all_processes(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    site = start(f"one={SLEEP}", f"two={SLEEP}")
    running = pids(tmp_path)
    site.send_signal(number)
    said, _ = site.communicate(timeout=10)
    assert site.returncode == 0
    assert said.endswith("osprey: stopping\nosprey: stopped\n")
    assert not any(is_running(pid) for pid in running.values())
    assert runstate.read(tmp_path) is None


def test_a_process_that_does_not_want_to_stop_is_ended(start: Start, tmp_path: Path) -> None:
    site = start(f"deaf={DEAF}")
    pid = pids(tmp_path)["deaf"]
    time.sleep(0.2)  # its handler is set by then, or it ends at once, which is right too
    site.terminate()
    site.communicate(timeout=10)
    assert not is_running(pid)


def test_what_dies_is_started_again_and_what_it_left_behind_ends(start: Start, tmp_path: Path) -> None:
    start(f"one={SLEEP}", f"parent={WITH_CHILD}")
    before = pids(tmp_path)
    log = tmp_path / "logs" / "parent.log"
    eventually(lambda: log.exists() and log.read_text().endswith("\n"), "the grandchild")
    grandchild = int(log.read_text())
    os.kill(before["parent"], signal.SIGKILL)
    eventually(lambda: pids(tmp_path).get("parent", before["parent"]) != before["parent"], "a new process")
    eventually(lambda: not is_running(grandchild), "the old grandchild's end")
    assert pids(tmp_path)["one"] == before["one"]
    state = runstate.read(tmp_path)
    assert state is not None
    assert [(child.restarts, child.last_exit) for child in state.children] == [(0, None), (1, -9)]


def test_a_process_that_keeps_dying_is_started_ever_later(start: Start, tmp_path: Path) -> None:
    start(f"one={SLEEP}", "brief=import time; time.sleep(0.3)")
    eventually(lambda: (state := runstate.read(tmp_path)) and state.children[1].restarts >= 2, "two ends")
    begun = time.monotonic()
    eventually(lambda: (state := runstate.read(tmp_path)) and state.children[1].restarts >= 4, "four ends", 20)
    assert time.monotonic() - begun > 1.0 + 2.0 * 0.5  # 0.5 and 1 s of waiting lie between them, 0.3 s of life each


def test_nothing_outlives_a_supervisor_that_was_killed(start: Start, tmp_path: Path) -> None:
    site = start(f"one={SLEEP}", f"parent={WITH_CHILD}", f"deaf={DEAF}")
    running = pids(tmp_path)
    log = tmp_path / "logs" / "parent.log"
    eventually(lambda: log.read_text().endswith("\n"), "the grandchild")
    grandchild = int(log.read_text())
    site.kill()
    everybody = [*running.values(), grandchild]
    eventually(lambda: not any(is_running(pid) for pid in everybody), "the end of all", seconds=20)
    eventually(lambda: not runstate.is_held(tmp_path), "the data folder is free again")


def test_a_second_supervisor_on_the_same_data_folder_does_not_start(start: Start, tmp_path: Path) -> None:
    start(f"one={SLEEP}")
    second = start(f"one={SLEEP}", wait=False)
    said, _ = second.communicate(timeout=10)
    assert (second.returncode, said) == (1, "held\n")


def test_a_long_log_is_cut_while_its_process_writes_on(start: Start, tmp_path: Path) -> None:
    script = "import time; print('x' * 11 * 2**20, flush=True)\nwhile True: time.sleep(0.2); print('y', flush=True)"
    start(f"one={SLEEP}", f"talker={script}")
    log, older = tmp_path / "logs" / "talker.log", tmp_path / "logs" / "talker.log.1"
    eventually(lambda: older.exists() and older.stat().st_size > 10 * 2**20, "the older log", seconds=20)
    eventually(lambda: log.read_bytes().startswith(b"y\n"), "new lines at the start of the new log")
