"""Whole real sites for tests: the launcher's own supervisor, broker, web and workers on a data folder of their own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webapp import runstate

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(data: Path) -> Path:
    """A data folder as `./osprey up` makes it at its first start, starter versions included."""
    subprocess.run([str(ROOT / "osprey"), "manage", "prepare"], env=environment(data), check=True, capture_output=True)
    return data


def copy_of(prepared: Path, data: Path) -> Path:
    """A prepared data folder of one's own; model folders never change, so they are linked."""
    shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("versions", "run", "logs"), symlinks=True)
    shutil.copytree(prepared / "versions", data / "versions", copy_function=os.link)
    (data / "logs").mkdir()
    (data / "run").mkdir(mode=0o700)
    shutil.copy(prepared / "run" / "prepared", data / "run" / "prepared")
    return data


def environment(data: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OSPREY_", "COVERAGE_"))}
    return {**kept, "OSPREY_DATA": str(data), **more}


def wait_until(met: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `met` gives once it is true; fails loudly when that does not come."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = met()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """One running site. Use as a context manager."""

    data: Path
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()  # more for `./osprey up`, such as --lan
    process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Site:
        command = [str(ROOT / "osprey"), "up", "--port", str(self.port), "--data", str(self.data), *self.words]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(self.data, **self.settings),
        )
        said = []
        for line in self.process.stdout or ():
            said.append(line)
            if line.startswith("Osprey is ready: "):
                return self
        raise AssertionError("the site did not become ready:\n" + "".join(said))

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pid_of(self, name: str) -> int:
        """The process id of a child of the supervisor, such as `gpu`; waits while it is being started again."""

        def running() -> int | None:
            state = runstate.read(self.data)
            child = next((child for child in state.children if child.name == name), None) if state else None
            return child.pid if child and child.pid and runstate.is_alive(child.pid) else None

        return int(wait_until(running, f"{name} to run"))

    def kill(self, name: str) -> int:
        """kill -9 on a child of the supervisor."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid_of(name) != pid, f"{name} to be started again")
        return pid

    def command(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """An `./osprey` command on this site's data."""
        return subprocess.run(
            [str(ROOT / "osprey"), *words],
            env=environment(self.data, **self.settings),
            check=check,
            capture_output=True,
            text=True,
            **options,
        )

    def python(self, code: str) -> str:
        """Run code inside Django on this site's data, and give what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{code}"],
            env=environment(
                self.data, **{**self.settings, "DJANGO_SETTINGS_MODULE": "webapp.settings", "PYTHONPATH": str(ROOT)}
            ),
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        return done.stdout.strip()

    def ask(self, method: str, path: str, body: bytes = b"", timeout: float = 40.0, **headers: str) -> Reply:
        """One HTTP request; header names with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def classify(self, picture: bytes, query: str = "", **headers: str) -> Reply:
        return self.ask("POST", f"/api/v1/classify{query}", picture, **headers)
