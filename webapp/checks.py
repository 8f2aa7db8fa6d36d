"""System checks that really try: write to the folders, look at the disk, knock at the broker."""

from __future__ import annotations

import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from webapp.access.open_mode import LOOPBACK_NAMES

TAG = "site"
BROKER_SECONDS = 1.0
LOW_DISK_TIMES = 4


def folders_can_be_written(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A folder that only looks writable is found out by writing to it."""
    found: list[CheckMessage] = []
    for name in ("DATA_DIR", "STORE_DIR", "VERSIONS_DIR", "INCOMING_DIR"):
        folder = Path(getattr(settings, name))
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-") as file:
                file.write(b"osprey")
                file.flush()
        except OSError as error:
            hint = "Give this user the right to write there, or name another folder in OSPREY_DATA."
            found.append(Error(f"{name}: {folder} cannot be written to ({error}).", hint=hint, id="osprey.E001"))
    return found


def uploads_are_renamed_into_the_store(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Accepting an upload is a rename; between two file systems that would be a copy that can be cut off."""
    incoming, store = Path(settings.INCOMING_DIR), Path(settings.STORE_DIR)
    if incoming.is_dir() and store.is_dir() and incoming.stat().st_dev != store.stat().st_dev:
        text = f"{incoming} and {store} are on different file systems: an upload could be stored half."
        return [Error(text, hint="Mount one file system over both.", id="osprey.E002")]
    return []


def disk_has_room(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    floor = settings.FREE_DISK_FLOOR_BYTES
    for folder in {Path(settings.DATA_DIR), Path(settings.STORE_DIR)}:
        if not folder.is_dir():
            continue
        free = shutil.disk_usage(folder).free
        text = f"{free / 1e6:.0f} MB are free where {folder} is"
        if free < floor:
            text = f"{text}, less than OSPREY_FREE_DISK_MB allows: uploads are refused."
            found.append(Error(text, hint="Make room, or lower OSPREY_FREE_DISK_MB.", id="osprey.E003"))
        elif free < LOW_DISK_TIMES * floor:
            found.append(Warning(f"{text}: it is running low.", hint="Make room soon.", id="osprey.W003"))
    return found


def secrets_are_private(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Nobody else of this machine may read the secret key or reach the sockets in run/."""
    found: list[CheckMessage] = []
    for path in (settings.DATA_DIR / "secret_key", settings.RUN_DIR):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            hint = f"chmod go-rwx {path}"
            found.append(Error(f"{path} is open to other users of this machine.", hint=hint, id="osprey.E004"))
    return found


def open_mode_is_for_this_machine_only(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Says why open mode answers 401 where a setting makes its conditions impossible, or dangerous."""
    if not settings.OPEN_MODE:
        return []
    return [
        Error(f"Open mode is on, but {why}.", hint="Leave OSPREY_OPEN unset and sign in.", id="osprey.E005")
        for why in _open_mode_faults()
    ]


def _open_mode_faults() -> Iterator[str]:
    others = [host for host in settings.ALLOWED_HOSTS if host.strip("[]").lower() not in LOOPBACK_NAMES]
    if others:
        yield f"the site also answers to {others[0]} (OSPREY_HOSTS), which is not only this machine"
    if settings.BEHIND_TLS:
        yield "the site stands behind a proxy (OSPREY_TLS), so every caller would look like this machine"
    if settings.CSRF_TRUSTED_ORIGINS:
        yield f"pages of {settings.CSRF_TRUSTED_ORIGINS[0]} may call the site (OSPREY_ORIGINS)"


def broker_answers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Only a warning: without a broker workers look for work every two seconds, and nothing is lost."""
    fault = broker_fault(settings.BROKER_URL)
    if fault is None:
        return []
    hint = "./osprey up starts one; in production look at REDIS_URL. Until then answers come a little later."
    return [Warning(f"The broker does not answer: {fault}.", hint=hint, id="osprey.W006")]


def broker_fault(url: str) -> str | None:
    """Why no connection to the broker can be made, or None when one was."""
    if url.startswith("filesystem"):
        return None
    parts = urlsplit(url)
    try:
        if parts.scheme in ("redis+socket", "unix"):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(BROKER_SECONDS)
                client.connect(unquote(parts.path))
        else:
            with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), BROKER_SECONDS):
                pass
    except OSError as error:
        return f"{parts.hostname or unquote(parts.path)}: {error.strerror or error}"
    return None


def register_all() -> None:
    """Let `manage.py check --tag site`, and every command that checks first, run them."""
    for check in (
        folders_can_be_written,
        uploads_are_renamed_into_the_store,
        disk_has_room,
        secrets_are_private,
        open_mode_is_for_this_machine_only,
        broker_answers,
    ):
        register(check, TAG)
