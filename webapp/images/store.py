"""Where bytes lie: originals under their SHA-256, derived pictures beside them, neither ever served as it came."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from django.conf import settings

from webapp.images.models import File

ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/avif": ".avif",
}


COPY_BYTES = 2**20


def key_of(sha256: str, media_type: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}{ENDINGS.get(media_type, '')}"


def holds(key: str) -> bool:
    return (Path(settings.STORE_DIR) / key).exists()


def keep(path: Path, *, sha256: str, media_type: str) -> str:
    """Move a temporary file of the store to its final key, durably; the same bytes twice are one file."""
    key = key_of(sha256, media_type)
    final = settings.STORE_DIR / key
    if final.exists():
        path.unlink(missing_ok=True)
        return key
    _sync(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    path.rename(final)
    _sync(final.parent)
    return key


class Changed(OSError):
    """The bytes were others when they were read again."""


def keep_copy(source: Path, *, sha256: str, media_type: str, may_link: bool = False) -> str:
    """Copy a file of somebody else's folder to its final key, durably; the source is only ever read.

    `may_link` is for files that are ours and that nobody will write to. Raises Changed when the bytes read now have
    another digest.
    """
    key = key_of(sha256, media_type)
    final = Path(settings.STORE_DIR) / key
    if final.exists():
        return key
    final.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(settings.INCOMING_DIR) / f"copy-{sha256[:16]}-{secrets.token_hex(4)}"
    try:
        if not (may_link and _linked(source, beside)):
            _copy(source, beside, sha256)
        beside.rename(final)
    finally:
        beside.unlink(missing_ok=True)
    _sync(final.parent)
    return key


def _linked(source: Path, target: Path) -> bool:
    """False where the file system knows no links."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    _sync(target)
    return True


def _copy(source: Path, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as file, target.open("xb") as out:
        while piece := file.read(COPY_BYTES):
            digest.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != sha256:
        raise Changed(f"{source.name} changed while it was read")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_original(file: File) -> Path:
    """A local path to the original bytes, to be read and never changed."""
    if file.in_place_path:
        return Path(file.in_place_path)
    return Path(settings.STORE_DIR) / file.storage_key


def derived_path(sha256: str, name: str) -> Path:
    """Where a picture made from an original lies, e.g. `256.jpg`; it may be missing and can be made again."""
    return Path(settings.DERIVED_DIR) / sha256[:2] / sha256[2:4] / f"{sha256}-{name}"


def write_derived(sha256: str, name: str, content: bytes) -> None:
    """Write beside, then rename: a reader never sees half a picture. Not synced, since it can be made again."""
    final = derived_path(sha256, name)
    beside = final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
    except FileNotFoundError:
        final.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
    beside.rename(final)
