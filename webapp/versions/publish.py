"""From a model folder to a version: verified, copied under its digest, sealed, recorded."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db import transaction

from classifier.card import CARD, Card, folder_digest, read_card, seal_folder, verify_folder
from classifier.errors import ModelError
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid, NoSpace
from webapp.projects.models import Project
from webapp.versions.locks import file_lock
from webapp.versions.models import Version

INCOMING = ".incoming-"
NAME_LENGTH = 120


def publish_folder(
    *,
    actor: Actor,
    folder: Path,
    project: Project | None,
    is_starter: bool = False,
    parent: Version | None = None,
    name: str = "",
    share_files: bool = False,
) -> Version:
    """The version of a model folder, for one project or (None) for all; publishing twice gives the same version.

    The folder is copied, and the copy is verified, so that nothing can change between check and use. `share_files`
    links instead of copying: only for folders that we made ourselves and that nobody will write to.
    """
    require(actor, Action.ADD_VERSION, project)
    try:
        digest, card = store_folder(folder, share_files=share_files)
    except ModelError as error:
        raise Invalid(f"{folder.name} was not published: {error}", code="model-folder") from error
    with file_lock(settings.VERSIONS_DIR / ".rows-lock"), transaction.atomic():
        there = Version.objects.filter(project=project, digest=digest).first()
        if there is not None:
            return _mended(there)
        version = _insert(actor, project, digest, card, is_starter=is_starter, parent=parent, name=name)
        audit.record(
            actor=actor,
            action="add version",
            project_id=project.pk if project else None,
            subject=f"version:{version.pk}",
            name=version.name,
            digest=digest,
        )
    return version


def _mended(version: Version) -> Version:
    """A version whose folder was damaged is whole again once the same folder was published again."""
    if version.broken_at is not None:
        version.broken_at, version.broken_reason = None, ""
        version.save(update_fields=["broken_at", "broken_reason"])
    return version


def _insert(
    actor: Actor,
    project: Project | None,
    digest: str,
    card: Card,
    *,
    is_starter: bool,
    parent: Version | None,
    name: str,
) -> Version:
    folder = settings.VERSIONS_DIR / digest
    if parent is None and card.parent_version:
        parent = Version.objects.filter(digest=card.parent_version).order_by("pk").first()
    return Version.objects.create(
        project=project,
        name=(name or card.name)[:NAME_LENGTH],
        role=card.role,
        digest=digest,
        storage_key=f"versions/{digest}",
        architecture=card.architecture[:NAME_LENGTH],
        card=json.loads((folder / CARD).read_text(encoding="utf-8")),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        is_starter=is_starter,
        origin=" ".join(part for part in (card.origin.source, card.origin.revision) if part),
        licence=card.origin.licence[:200],
        parent=parent,
        created_by=actor.user,
    )


def store_folder(folder: Path, *, share_files: bool = False) -> tuple[str, Card]:
    """A sealed, read-only copy in VERSIONS_DIR under its digest, which is returned with the card."""
    settings.VERSIONS_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.VERSIONS_DIR, prefix=INCOMING) as made:
        copy = Path(made) / "folder"
        card = _copy(folder, copy, share_files=share_files)
        digest = folder_digest(copy)
        with file_lock(settings.VERSIONS_DIR / ".lock"):
            final = settings.VERSIONS_DIR / digest
            if final.exists() and not is_whole(final):
                # Same name, other bytes: it was damaged since. The good copy takes its place.
                final.rename(Path(made) / "damaged")
            seal_folder(copy, final)
    return digest, card


def _copy(folder: Path, copy: Path, *, share_files: bool) -> Card:
    """Copy the files that the card lists, and nothing else; verify what was copied."""
    card = read_card(folder)
    names = [CARD, *card.files]
    for name in names:
        _refuse_odd_path(folder, name)
    needed = sum((folder / name).stat().st_size for name in names if (folder / name).is_file())
    free = shutil.disk_usage(settings.VERSIONS_DIR).free
    if free < needed + settings.FREE_DISK_FLOOR_BYTES:
        raise NoSpace(f"{needed / 1e6:.0f} MB are needed for this version, {free / 1e6:.0f} MB are free. Make room.")
    extra = sorted(
        path.name for path in folder.iterdir() if path.name not in {PurePosixPath(n).parts[0] for n in names}
    )
    if extra:
        raise ModelError(f"{extra[0]} is not listed in {CARD}: remove it, or write the card anew.")
    place = _share_file if share_files else shutil.copyfile
    for name in names:
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).is_file():
            place(folder / name, target)
    card = verify_folder(copy)
    for name in names:
        (copy / name).chmod(0o444)
    return card


def _refuse_odd_path(folder: Path, name: str) -> None:
    """A card may come from anywhere: no file of it may lie, or lead, outside its folder."""
    parts = PurePosixPath(name).parts
    if name != "/".join(parts) or not parts or ".." in parts or name.startswith("/") or "\\" in name or "\0" in name:
        raise ModelError(f"{CARD} lists the file {name!r}, which is no plain path inside the folder.")
    for depth in range(1, len(parts) + 1):
        if folder.joinpath(*parts[:depth]).is_symlink():
            raise ModelError(f"{name} is a link. A model folder holds plain files only.")


def _share_file(source: Path, target: Path) -> None:
    """A second name of the same bytes, where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def is_whole(folder: Path) -> bool:
    """Whether a stored folder is still what its name, the digest, says."""
    try:
        verify_folder(folder)
    except ModelError:
        return False
    return folder_digest(folder) == folder.name
