"""The first run of ./osprey on a machine: check it, make `.venv` in the checkout, install the lock, ready the data.

Standard library only, and no syntax newer than Python 3.7: an old Python must be able to read its own remedy.
Everything it says goes to standard error. Nothing is written outside the checkout and the data folder.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shlex import quote

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.txt"
OLDEST = (3, 11)
DISK_GB = 8  # what is installed, and the largest download beside its unpacked copy
OWN_COMMANDS = ("classify", "augment_data")  # of ./osprey, and installed in .venv/bin as well
AT_ONCE = 8  # packages to a call of pip: an interrupted set-up repeats little, and downloads need little room


class Problem(Exception):
    """The text says what is wrong with this machine and what to do."""


def say(text: str) -> None:
    sys.stderr.write(f"osprey: {text}\n")
    sys.stderr.flush()


def set_up(is_done: Callable[[], bool], stamp: Callable[[], bytes]) -> str | None:
    """Make `.venv` and install the lock; the answer is what stands in the way, None when all is well.

    Safe to interrupt, to repeat, and to run from two commands at once.
    """
    try:
        use_new_enough_python()
        check_machine()
        folder = os.open(str(ROOT), os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another osprey command is setting this folder up: waiting for it")
                fcntl.flock(folder, fcntl.LOCK_EX)
            if not is_done():
                install()
                write_beside(VENV / "osprey.stamp", stamp())
        finally:
            os.close(folder)
    except Problem as problem:
        return str(problem)
    return None


# ---- the machine -----------------------------------------------------------------------------------------------------


def use_new_enough_python() -> None:
    """Carry on under a newer interpreter where `python3` itself is too old."""
    if sys.version_info >= OLDEST:
        return
    for minor in (13, 12, 11, 14):
        found = shutil.which(f"python3.{minor}")
        if found:
            os.execv(found, [found, str(ROOT / "osprey"), *sys.argv[1:]])
    have = ".".join(str(part) for part in sys.version_info[:3])
    raise Problem(
        f"Python 3.11 or newer is needed, this is {have} ({sys.executable}).\n"
        "  Debian or Ubuntu: sudo apt-get install python3.11 python3.11-venv\n"
        "  Fedora: sudo dnf install python3.11; macOS: brew install python@3.13\n"
        "  Then run the same command again."
    )


def check_machine() -> None:
    """Refuse what the locked packages cannot run on, with the remedy, before anything is downloaded."""
    system, machine = platform.system(), platform.machine().lower()
    if system not in ("Linux", "Darwin"):
        raise Problem(
            f"{system} is not supported: use Linux or macOS (on Windows: `wsl --install`, then this inside it)"
        )
    if system == "Darwin" and machine != "arm64":
        raise Problem("PyTorch has no packages for Macs with an Intel processor: use a Linux machine")
    if system == "Linux":
        if machine not in ("x86_64", "amd64", "aarch64", "arm64"):
            raise Problem(f"there are no packages for the processor {machine}: use x86_64 or aarch64")
        check_c_library()
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise Problem(f"this Python has no {module} module. Debian or Ubuntu: sudo apt-get install {package}")
    free = shutil.disk_usage(ROOT).free / 1e9
    needed = 3 if PYTHON.exists() and (site_packages() / "torch").exists() else DISK_GB
    if free < needed:
        raise Problem(
            f"{free:.1f} GB are free where {ROOT} is, about {needed} GB are needed: make room, or move the folder"
        )


def check_c_library() -> None:
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        name, version = "another C library (musl?)", ""
    if name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= (2, 28):
        return
    raise Problem(
        f"the packages need glibc 2.28 or newer, this system has {name} {version}\n"
        "  Use Debian 10, Ubuntu 20.04, RHEL 8 or newer (not Alpine), or the container: docker compose up"
    )


# ---- the environment -------------------------------------------------------------------------------------------------


def install() -> None:
    started = time.monotonic()
    if not has_pip():
        say(f"making the Python environment {VENV}")
        if VENV.exists():
            shutil.rmtree(str(VENV))
        if subprocess.call([sys.executable, "-m", "venv", str(VENV)], stdout=sys.stderr) != 0:
            raise Problem(f"`{sys.executable} -m venv` failed, see above (Debian: sudo apt-get install python3-venv)")
    forget_half_installed()
    missing = missing_packages()
    if len(missing) > 50:
        say("downloading about 2.5 GB of packages, once (6 GB on disk); interrupt when you like, it resumes")
    install_packages(missing)
    write_own_commands()
    say(f"the environment is ready ({time.monotonic() - started:.0f} s)")


def has_pip() -> bool:

    command = [str(PYTHON), "-m", "pip", "--version"]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def site_packages() -> Path:
    return next((VENV / "lib").glob("python3*/site-packages"))


def forget_half_installed() -> None:
    """pip writes INSTALLER last: a package without it was cut off, yet pip would take it for installed."""
    for folder in site_packages().glob("*.dist-info"):
        if not (folder / "INSTALLER").exists():
            shutil.rmtree(str(folder))


MISSING = """
import sys
from importlib.metadata import distributions
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name
have = {canonicalize_name(found.metadata["Name"]): found.version for found in distributions()}
for line in open(sys.argv[1], encoding="utf-8"):
    line = line.split("#")[0].strip()
    if line:
        wish = Requirement(line)
        version = have.get(canonicalize_name(wish.name))
        if (wish.marker is None or wish.marker.evaluate()) and (version is None or version not in wish.specifier):
            print(line)
"""


def missing_packages() -> list[str]:
    """The lines of the lock that this environment lacks or has in another version."""
    command = [str(PYTHON), "-I", "-c", MISSING, str(LOCK)]
    return subprocess.check_output(command, universal_newlines=True).splitlines()


def install_packages(missing: list[str]) -> None:
    """A few lines at a time; the lock is complete, so pip need not look for dependencies.

    Downloads and their unpacked copies stay inside `.venv` unless the user chose other places.
    """

    cache, scratch = VENV / "pip-cache", VENV / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment.setdefault("PIP_CACHE_DIR", str(cache))
    environment.setdefault("TMPDIR", str(scratch))
    # pip asks `rustc` for its version, and where that is rustup's stand-in it would write to the home folder.
    environment.setdefault("RUSTUP_HOME", str(scratch / "rustup"))
    progress = [] if sys.stderr.isatty() else ["--progress-bar", "off"]
    for start in range(0, len(missing), AT_ONCE):
        lines = missing[start : start + AT_ONCE]
        names = ", ".join(line.split("==")[0] for line in lines)
        say(f"packages {start + 1} to {start + len(lines)} of {len(missing)}: {names}")
        part = scratch / "requirements.txt"
        part.write_text("\n".join(lines) + "\n")
        command = [str(PYTHON), "-m", "pip", "install", "--no-deps", *progress, "-r", str(part)]
        if subprocess.call(command, env=environment, stdout=sys.stderr) != 0:
            raise Problem(
                "pip could not install the packages, see above. If the package index is out of reach, set HTTPS_PROXY\n"
                "  or PIP_INDEX_URL. Then run the same command again: it goes on where it stopped."
            )
        shutil.rmtree(str(cache), ignore_errors=True)
    shutil.rmtree(str(scratch), ignore_errors=True)


def write_own_commands() -> None:
    """Make this checkout importable in its environment and its own commands there, without any network."""
    write_beside(site_packages() / "osprey.pth", os.fsencode(f"{ROOT}\n"))
    for name in OWN_COMMANDS:
        script = VENV / "bin" / name
        words = f'#!/bin/sh\nexec {quote(str(PYTHON))} {quote(str(ROOT / "osprey"))} {name} "$@"\n'
        write_beside(script, os.fsencode(words))
        script.chmod(0o755)


def write_beside(path: Path, text: bytes) -> None:
    """A reader, or the next start after a power cut, never sees half a file."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_bytes(text)
    beside.replace(path)


# ---- the data folder -------------------------------------------------------------------------------------------------


def prepare(data: str, stamp: bytes, environment: dict[str, str]) -> str | None:
    """Make database, projects and starter version; the answer is what stands in the way, None when all is well."""
    say(f"preparing the data folder {data}")
    command = [str(PYTHON), str(ROOT / "manage.py"), "prepare"]
    if subprocess.call(command, env=environment, stdout=sys.stderr, stdin=subprocess.DEVNULL) != 0:
        return f"the data folder {data} could not be prepared, see above"
    run = Path(data) / "run"
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_beside(run / "prepared", stamp)
    return None
