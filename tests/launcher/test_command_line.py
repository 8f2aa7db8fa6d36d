"""./osprey as a person types it, with the environment already set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def osprey(*words: str, data: Path | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"OSPREY_DATA": str(data)} if data else {})}
    command = [sys.executable, str(ROOT / "osprey"), *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, check=False, timeout=60)


def test_help_lists_every_command_with_an_example() -> None:
    said = osprey("--help")
    assert said.returncode == 0
    for name in ("up", "status", "down", "test", "token", "manage", "models", "classify", "bench", "rebuild-state"):
        assert f"  ./osprey {name}" in said.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    said = osprey("fly")
    assert (said.returncode, said.stdout) == (2, "")
    assert "there is no command 'fly'" in said.stderr


def test_no_command_at_all_shows_the_help_as_a_usage_error() -> None:
    assert osprey().returncode == 2


def test_data_without_a_folder_is_a_usage_error() -> None:
    said = osprey("status", "--data")
    assert said.returncode == 2
    assert "--data needs a folder" in said.stderr


def test_an_unknown_bench_names_the_known_ones() -> None:
    said = osprey("bench", "nonesuch")
    assert said.returncode == 2
    assert "NAME is one of" in said.stderr


@pytest.mark.parametrize(
    "words", [("status", "--data", "mine"), ("status", "--data=mine"), ("--data", "mine", "status")]
)
def test_the_data_folder_may_be_named_before_or_after_the_command(words: tuple[str, ...], tmp_path: Path) -> None:
    said = osprey(*words, cwd=tmp_path)
    assert said.returncode == 3
    assert said.stdout == f"not running (data in {tmp_path / 'mine'})\n"
    assert not (tmp_path / "mine").exists(), "asking must not create anything"


@pytest.mark.parametrize("words", [("classify", "cat.jpg"), ("up",), ("manage", "check"), ("prepare",)])
def test_a_data_folder_that_cannot_be_made_is_one_clear_line(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"")
    for name in ("cat.jpg", "cat.jpg/data"):
        said = osprey(*words, "--data", name, cwd=tmp_path)
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr.startswith(f"osprey: the data folder {tmp_path / name} cannot be made or written to (")
        assert said.stderr.count("\n") == 1


def test_settings_name_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    environment = {**os.environ, "OSPREY_DATA": str(tmp_path / "data"), "OSPREY_STORE": str(tmp_path / "file")}
    command = [sys.executable, str(ROOT / "manage.py"), "check"]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (said.returncode, said.stdout) == (1, "")
    assert (
        said.stderr
        == f"osprey: the folder {tmp_path / 'file' / 'incoming'} cannot be made (Not a directory): name another one\n"
    )


def test_status_can_speak_json(tmp_path: Path) -> None:
    said = osprey("status", "--json", data=tmp_path)
    assert json.loads(said.stdout) == {"running": False, "data": str(tmp_path)}


def test_down_on_a_stopped_site_is_no_error(tmp_path: Path) -> None:
    said = osprey("down", data=tmp_path)
    assert (said.returncode, said.stdout) == (0, f"not running (data in {tmp_path})\n")


def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = osprey("up", "--port", str(port), data=tmp_path)
    assert said.returncode == 1
    assert f"port {port} cannot be used" in said.stderr
    assert f"./osprey up --port {port + 1}" in said.stderr


def test_modules_of_the_current_folder_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("raise SystemExit('taken from the current folder')")
    assert osprey("status", cwd=tmp_path, data=tmp_path / "data").returncode == 3
