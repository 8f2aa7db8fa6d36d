"""Every service's very command of docker-compose.yml, by hand, on a real PostgreSQL and a Valkey with a password."""

from __future__ import annotations

import contextlib
import os
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

from tests.deploy.test_compose import OURS, SERVICES
from tests.pictures import encoded, photograph
from tests.postgres import postgres
from webapp import broker

pytestmark = [pytest.mark.postgres, pytest.mark.processes, pytest.mark.long]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Host:
    """Stands in for the container host: secrets as files, a volume for data, service names as addresses."""

    folder: Path
    port: int

    def words(self, words: list[str]) -> list[str]:
        """A command of the file, with this interpreter, and on a port that is free here."""
        told = [word.replace("/tmp", str(self.folder / "tmp")) for word in words]
        told = [sys.executable if word == "python" else word for word in told]
        told = [word.replace("0.0.0.0:8000", f"127.0.0.1:{self.port}") for word in told]
        return [word.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") for word in told]

    def environment(self, name: str) -> dict[str, str]:
        given = {key: str(value).replace("/run/secrets", str(self.folder)) for key, value in self.told(name)}
        kept = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
        ours = {"OSPREY_DATA": str(self.folder / "data"), "OSPREY_PORT": str(self.port), "PYTHONFAULTHANDLER": "1"}
        return {**kept, **given, **ours}

    def told(self, name: str) -> list[tuple[str, str]]:
        """The service's variables, with the defaults that the file gives them."""
        variables = OURS[name]["environment"].items()
        return [(key, value.partition(":-")[2].rstrip("}") if "${" in value else value) for key, value in variables]

    def is_healthy(self, name: str) -> bool:
        kind, *words = OURS[name]["healthcheck"]["test"]
        command = self.words(words if kind == "CMD" else ["sh", "-c", *words])
        said = subprocess.run(command, cwd=ROOT, env=self.environment(name), capture_output=True, check=False)
        return said.returncode == 0

    @contextlib.contextmanager
    def running(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.words(OURS[name]["command"]),
                cwd=ROOT,
                env=self.environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGABRT)  # its threads, by the fault handler, into the log
                process.wait(10)
                pytest.fail(f"{name} did not stop:\n{(self.folder / f'{name}.log').read_text()[-6000:]}")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def eventually(holds: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def valkey(folder: Path, port: int, password: str) -> Iterator[None]:
    """The service's own command, on a port of this machine."""
    (folder / "valkey_password").write_text(password + "\n")
    script = SERVICES["valkey"]["command"][-1].replace("$$", "$").replace("/run/secrets", str(folder))
    script = script.replace("--dir /data", f"--dir {folder} --bind 127.0.0.1 --port {port}")
    script = script.replace("valkey-server", str(broker.server_binary()))
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    port, password = free_port(), "a-word-for-the-broker"
    with postgres() as database_url, valkey(folder, port, password):
        (folder / "database_url").write_text(database_url + "\n")
        (folder / "redis_url").write_text(f"redis://:{password}@127.0.0.1:{port}/0\n")
        (folder / "secret_key").write_text("x" * 50 + "\n")
        (folder / "tmp").mkdir()
        found = Host(folder, free_port())
        made = subprocess.run(
            found.words(OURS["prepare"]["command"]), cwd=ROOT, env=found.environment("prepare"), check=False
        )
        assert made.returncode == 0
        yield found


@pytest.mark.parametrize("name", ["web", "gpu", "io", "train", "beat"])
def test_the_service_starts_becomes_healthy_and_stops_when_asked(name: str, host: Host) -> None:
    assert not host.is_healthy(name)
    with host.running(name) as process:
        eventually(lambda: host.is_healthy(name) or process.poll() is not None, f"{name} is healthy")
        assert process.poll() is None, (host.folder / f"{name}.log").read_text()[-2000:]
    assert process.returncode == 0


def test_a_picture_is_answered_by_web_and_gpu_service_with_a_token(host: Host) -> None:
    made = subprocess.run(
        [sys.executable, "manage.py", "token", "--scope", "upload", "--name", "deploy"],
        cwd=ROOT,
        env=host.environment("web"),
        capture_output=True,
        text=True,
        check=False,
    )
    token = made.stdout.split()[-1] if made.stdout.split() else ""
    assert token, made.stderr
    with host.running("web"), host.running("gpu"):
        eventually(lambda: host.is_healthy("web") and host.is_healthy("gpu"), "web and gpu")
        request = urllib.request.Request(
            f"http://127.0.0.1:{host.port}/api/v1/classify",
            data=encoded(photograph(), "JPEG"),
            headers={"Authorization": f"Bearer {token}"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
