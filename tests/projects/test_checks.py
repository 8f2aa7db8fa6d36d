"""System checks that really try."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from webapp import checks


@pytest.fixture
def data(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR, settings.RUN_DIR = tmp_path, tmp_path / "run"
    settings.STORE_DIR, settings.INCOMING_DIR = tmp_path / "store", tmp_path / "store" / "incoming"
    settings.VERSIONS_DIR = tmp_path / "versions"
    settings.BROKER_URL = "filesystem://"
    settings.OPEN_MODE = False
    settings.FREE_DISK_FLOOR_BYTES = 0
    settings.RUN_DIR.mkdir(mode=0o700)
    return tmp_path


def found() -> list[str]:
    return [f"{message.id} {message.msg}" for message in run_checks(tags=[checks.TAG])]


def test_a_healthy_site_has_nothing_to_say(data: Path) -> None:
    assert found() == []
    assert list(data.rglob(".check-*")) == []


def test_a_folder_that_cannot_be_written_to_is_found_by_writing(data: Path, settings: Settings) -> None:

    (data / "versions").write_text("a file where the folder should be")
    [message] = found()
    assert message.startswith("osprey.E001 VERSIONS_DIR")
    assert str(data / "versions") in message


def test_a_full_disk_is_an_error_and_a_filling_one_a_warning(data: Path, settings: Settings) -> None:
    settings.FREE_DISK_FLOOR_BYTES = 10**18
    assert any(message.startswith("osprey.E003") for message in found())
    settings.FREE_DISK_FLOOR_BYTES = checks.shutil.disk_usage(data).free // 2
    assert any(message.startswith("osprey.W003") for message in found())


def test_secrets_that_others_can_read_are_named(data: Path) -> None:
    (data / "secret_key").write_text("secret")
    (data / "secret_key").chmod(0o644)
    [message] = found()
    assert message.startswith("osprey.E004")
    (data / "secret_key").chmod(0o600)
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ALLOWED_HOSTS", ["localhost", "osprey.example.org"], "osprey.example.org"),
        ("BEHIND_TLS", True, "proxy"),
        ("CSRF_TRUSTED_ORIGINS", ["https://osprey.example.org"], "may call"),
    ],
)
def test_open_mode_beside_a_setting_that_opens_the_site_to_others_is_an_error(
    data: Path, settings: Settings, name: str, value: object, why: str
) -> None:
    settings.OPEN_MODE = True
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    assert found() == []
    setattr(settings, name, value)
    [message] = found()
    assert message.startswith("osprey.E005")
    assert why in message


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_broker_that_answers_is_fine_and_one_that_does_not_is_only_a_warning(
    data: Path, settings: Settings, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    settings.BROKER_URL = f"redis://127.0.0.1:{port}/0"
    assert found() == []
    listener.close()
    [message] = found()
    assert message.startswith("osprey.W006")
    settings.BROKER_URL = f"redis+socket://{data}/run/broker.sock?virtual_host=0"
    assert "broker.sock" in found()[0]
