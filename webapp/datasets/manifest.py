"""Where manifests lie: in the store under their digest, written once, never changed."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.conf import settings

import training.contract as contract
from training.contract import ManifestHead, ManifestLine
from webapp.datasets.models import Snapshot
from webapp.errors import Unavailable

FOLDER = "snapshots"
LEVEL = 6


def key_of(digest: str) -> str:
    return f"{FOLDER}/{digest}.jsonl.gz"


def write(
    head: ManifestHead, lines: Iterable[ManifestLine | str], *, before_keeping: Callable[[], None] = lambda: None
) -> str:
    """Write a manifest beside its place, durably, then rename it; returns its digest. The same data is one file.

    A line may be given as its text.
    What `before_keeping` raises, once all lines were seen, leaves nothing behind.
    """
    folder = Path(settings.STORE_DIR) / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=".gz", dir=folder)
    beside, digest = Path(name), hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as raw:
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=LEVEL, mtime=0) as file:
                for text in _texts(head, lines):
                    row = text.encode()
                    digest.update(row)
                    file.write(row)
            raw.flush()
            os.fsync(raw.fileno())
        before_keeping()
        final = folder / f"{digest.hexdigest()}.jsonl.gz"
        beside.rename(final)
        _sync(folder)
    finally:
        beside.unlink(missing_ok=True)
    return digest.hexdigest()


def path_of(snapshot: Snapshot) -> Path:
    path = Path(settings.STORE_DIR) / snapshot.manifest_key
    if not path.is_file():
        raise Unavailable(
            f"The manifest of {snapshot} is not in the store ({snapshot.manifest_key}): restore it from a backup.",
            code="manifest-missing",
        )
    return path


def read(snapshot: Snapshot) -> tuple[ManifestHead, Iterator[ManifestLine]]:
    """Head and lines, read as they are asked for."""
    return contract.read_manifest(path_of(snapshot))


def texts(snapshot: Snapshot) -> Iterator[bytes]:
    """The text of the manifest in pieces, for a download."""
    with gzip.open(path_of(snapshot), "rb") as file:
        while piece := file.read(1 << 18):
            yield piece


def _texts(head: ManifestHead, lines: Iterable[ManifestLine | str]) -> Iterator[str]:
    yield contract.head_text(head)
    for line in lines:
        yield line if isinstance(line, str) else contract.line_text(line)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
