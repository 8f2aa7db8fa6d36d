"""Files that the intake has written and hashed, on their way into the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from django.http import HttpRequest

PARTS = "osprey.received"
FIELDS = "osprey.fields"


@dataclass(frozen=True)
class ReceivedFile:
    """Bytes in a temporary file inside the store. Whoever takes it renames it; leftovers are removed."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Part(ReceivedFile):
    """One file of a request, with what the sender said of it; `field` is empty for a raw body."""

    field: str = ""
    filename: str = ""
    content_type: str = ""


def received(request: HttpRequest) -> list[Part]:
    """The files that came with this request."""
    scope = getattr(request, "scope", {})
    return cast("list[Part]", scope.get(PARTS, []))


def received_fields(request: HttpRequest) -> dict[str, str]:
    """The plain form fields that came beside them."""
    scope = getattr(request, "scope", {})
    return cast("dict[str, str]", scope.get(FIELDS, {}))
