"""The whole site as `./osprey up` starts it, in a data folder whose path is too long for a socket."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.pictures import encoded, photograph
from webapp import broker, runstate

pytestmark = [pytest.mark.processes, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class RunningSite:
    data: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> dict[str, int | None]:
        state = runstate.read(self.data)
        return {child.name: child.pid for child in state.children} if state else {}

    def classify(self) -> dict[str, object]:
        picture = encoded(photograph(), "JPEG")
        request = urllib.request.Request(f"{self.url}/api/v1/classify", data=picture, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, object] = json.load(answer)
        return found

    def is_well(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz?workers=1", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(holds: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def up(data: Path, port: int) -> RunningSite:
    """Start it and read its lines up to the one that promises."""
    command = [sys.executable, str(ROOT / "osprey"), "up", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == f"Osprey is ready: http://127.0.0.1:{port}\n":
            return RunningSite(data, port, process)
    raise AssertionError("".join(lines))


def osprey(*words: str, data: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "osprey"), *words]
    environment = {**os.environ, "OSPREY_DATA": str(data)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("site") / ("long path " * 11)
    assert len(os.fsencode(broker.socket_path(data))) <= 100 < len(os.fsencode(data))
    said = osprey("prepare", data=data)
    assert said.returncode == 0, said.stderr
    assert said.stdout == ""
    return data


@pytest.fixture(scope="module")
def site(prepared: Path) -> Iterator[RunningSite]:
    running = up(prepared, free_port())
    yield running
    osprey("down", data=prepared)
    running.process.communicate(timeout=60)


def test_the_first_picture_is_answered_when_the_site_says_ready(site: RunningSite) -> None:
    assert site.classify()["state"] == "done"


def test_the_processes_are_light(site: RunningSite) -> None:
    def resident(pid: int | None) -> int:
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) // 1024

    site.classify()
    assert resident(site.process.pid) < 40
    assert resident(site.pids()["web"]) < 150


def test_a_second_start_on_the_same_data_says_where_the_first_is(site: RunningSite) -> None:
    said = osprey("up", "--port", str(free_port()), data=site.data)
    assert said.returncode == 1
    assert f"already running at {site.url}" in said.stderr


@pytest.mark.parametrize("name", ["broker", "web", "gpu", "io", "train", "beat"])
def test_a_killed_process_comes_back_and_the_site_works_on(name: str, site: RunningSite) -> None:
    pid = site.pids()[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: site.pids().get(name) not in (None, pid), f"a new {name}")
    eventually(site.is_well, "healthy again")
    assert site.classify()["state"] == "done"
    told = json.loads(osprey("status", "--json", data=site.data).stdout)
    assert next(child for child in told["children"] if child["name"] == name)["restarts"] == 1


def test_two_data_folders_run_side_by_side(site: RunningSite, tmp_path: Path) -> None:
    data = tmp_path / "other"
    shutil.copytree(site.data, data, ignore=shutil.ignore_patterns("run", "broker", "logs"))
    other = up(data, free_port())
    try:
        assert other.classify()["state"] == site.classify()["state"] == "done"
        assert not set(other.pids().values()) & set(site.pids().values())
    finally:
        assert osprey("down", data=data).stdout == "stopped\n"
        other.process.communicate(timeout=60)
    assert site.is_well(), "stopping one site must not touch the other"


def test_it_starts_again_after_its_supervisor_was_killed(site: RunningSite) -> None:
    site.process.kill()
    site.process.communicate()
    again = up(site.data, site.port)
    site.process = again.process
    assert site.classify()["state"] == "done"
