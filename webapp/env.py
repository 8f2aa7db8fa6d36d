"""Loud readers of the environment: nonsense stops the start instead of meaning something by accident."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def flag(name: str, default: bool) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.lower() in TRUE:
        return True
    if raw.lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={raw!r} is neither yes nor no: use 1 or 0")


def integer(name: str, default: int) -> int:
    raw = os.environ.get(name)
    if raw is None or raw == "":
        return default
    try:
        return int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r} is not a whole number") from None


def names(name: str) -> list[str]:
    """A comma-separated list, spaces ignored."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def folders(name: str) -> list[str]:
    """Absolute folders with colons between them, as in PATH; one that is not absolute stops the start."""
    found = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
    for folder in found:
        if not Path(folder).is_absolute():
            raise ImproperlyConfigured(f"{name}: {folder!r} is not an absolute folder")
        if len(Path(folder).parts) == 1:
            raise ImproperlyConfigured(f"{name}: {folder!r} is everything: name the folders of pictures")
    return found


def secret(name: str) -> str | None:
    """The value of NAME, or the content of the file that NAME_FILE points to."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}") from error
    return os.environ.get(name) or None
