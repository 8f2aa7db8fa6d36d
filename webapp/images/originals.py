"""Originals that are read in place: is each still there, and still the same? Whoever finds out writes it down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from django.utils import timezone

from webapp.images.models import File

MISSING = "original-missing"
CHANGED = "original-changed"
MISSING_WORDS = "The original is not where it was stored: a disk may be unplugged. Bring it back, then retry."
CHANGED_WORDS = (
    "Another file lies where the original was: it was changed since it was imported in place. Put the original back, "
    "or import the changed file, which is another picture."
)


class OriginalChanged(OSError):
    """The bytes at its path have another digest than the file that was imported."""


def check_unchanged(path: Path, sha256: str) -> None:
    """Raise OriginalChanged unless the bytes are those that were imported; FileNotFoundError where there are none."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise OriginalChanged(str(path))


def mark_missing(*, image_ids: Iterable[int] = (), file_ids: Iterable[int] = ()) -> int:
    """From now on these originals are known to be missing; those that are stored cannot be."""
    files = File.objects.filter(missing_since=None).exclude(in_place_path="")
    marked = files.filter(images__in=list(image_ids)) | files.filter(pk__in=list(file_ids))
    return File.objects.filter(pk__in=list(marked.values_list("pk", flat=True))).update(missing_since=timezone.now())
