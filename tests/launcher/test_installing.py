"""The set-up's decisions; a full set-up from the package index is proved by a fresh clone, not here."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from webapp import installing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, with an empty lock."""
    monkeypatch.setattr(installing, "ROOT", tmp_path)
    monkeypatch.setattr(installing, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(installing, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setattr(installing, "LOCK", tmp_path / "requirements.txt")
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", ["osprey", "webapp/installing.py", "webapp/__init__.py"])
def test_an_old_python_can_read_what_it_is_told(name: str) -> None:
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_the_first_run_needs_only_the_standard_library() -> None:
    for name in ("osprey", "webapp/installing.py"):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(module.split(".")[0] in {*sys.stdlib_module_names, "webapp"} for module in modules), name


def test_an_old_c_library_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing.os, "confstr", lambda name: "glibc 2.17")
    with pytest.raises(installing.Problem, match=r"glibc 2\.28 or newer, this system has glibc 2\.17"):
        installing.check_c_library()


def test_a_system_without_glibc_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise ValueError(name)

    monkeypatch.setattr(installing.os, "confstr", unknown)
    with pytest.raises(installing.Problem, match="docker compose up"):
        installing.check_c_library()


def test_a_full_disk_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    usage = installing.shutil.disk_usage(checkout)
    monkeypatch.setattr(installing.shutil, "disk_usage", lambda path: usage._replace(free=int(2e9)))
    with pytest.raises(installing.Problem, match=r"2\.0 GB are free .* about 8 GB are needed"):
        installing.check_machine()


def test_a_python_without_venv_is_refused_with_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(installing.Problem, match=r"apt-get install python3\.\d+-venv"):
        installing.check_machine()


def test_a_package_that_was_cut_off_is_installed_again(checkout: Path) -> None:
    packages = checkout / ".venv" / "lib" / "python3.11" / "site-packages"
    whole, cut_off = packages / "whole-1.0.dist-info", packages / "cut_off-1.0.dist-info"
    for folder in (whole, cut_off):
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("")
    (whole / "INSTALLER").write_text("pip\n")
    installing.forget_half_installed()
    assert (whole.exists(), cut_off.exists()) == (True, False)


@pytest.mark.long
def test_a_set_up_makes_an_environment_with_our_command_and_knows_what_the_lock_still_wants(checkout: Path) -> None:
    assert installing.set_up(lambda: False, lambda: b"stamp") is None
    assert (checkout / ".venv" / "osprey.stamp").read_bytes() == b"stamp"
    assert str(checkout / "osprey") in (checkout / ".venv" / "bin" / "classify").read_text()
    told = subprocess.check_output(
        [installing.PYTHON, "-c", "import sys, pip; print(pip.__version__, *sys.path)"], text=True
    )
    version, *paths = told.split()
    assert str(checkout) in paths
    installing.LOCK.write_text(
        f"# a comment\npip=={version}\nnonesuch==1.0\nfar-away==2.0 ; sys_platform == 'amiga'\npip==0.1\n"
    )
    assert installing.missing_packages() == ["nonesuch==1.0", "pip==0.1"]
