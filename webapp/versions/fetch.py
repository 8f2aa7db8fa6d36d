"""Where a version's folder lies on this machine."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from classifier.card import CARD, folder_digest, verify_folder
from classifier.errors import DigestMismatch
from webapp.errors import Unavailable
from webapp.versions.models import Version


def folder_of(version: Version) -> Path:
    """The model folder; whoever loads it verifies the digests of the files it reads."""
    folder = settings.VERSIONS_DIR / version.digest
    if not (folder / CARD).is_file():
        raise Unavailable(
            f"The folder of version {version.name} ({version.digest[:12]}) is missing in {settings.VERSIONS_DIR}. "
            "Bring it back from a backup, or import it again: ./osprey models import FOLDER",
            code="version-missing",
        )
    return Path(folder)


def verified_folder(version: Version) -> Path:
    """The same, every byte compared with what was published; whatever is wrong comes as a ModelError in words."""
    try:
        folder = folder_of(version)
    except Unavailable as error:
        raise DigestMismatch(error.what) from error
    if folder_digest(folder) != version.digest:
        raise DigestMismatch(f"{folder / CARD} is damaged: it is not the card that was published.")
    verify_folder(folder)
    return folder
