"""Which folders of this machine may be read: what the site's own operator allowed, and nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from webapp.access.actors import Actor, Via
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Forbidden, NotFound
from webapp.projects.models import Project


def allowed_roots() -> tuple[Path, ...]:
    return tuple(Path(root) for root in settings.IMPORT_ROOTS)


def check_folder(actor: Actor, project: Project, path: str | Path) -> Path:
    """The real path of a folder or file that `actor` may import from.

    The operator at the command line may read what they may read anyway. Everybody else needs to be an admin, and the
    folder to lie under an allowed root once every link on the way is followed.
    """
    require(actor, Action.MANAGE_PROJECT, project)
    asked = Path(path).expanduser() if actor.via is Via.COMMAND else Path(path)
    if actor.via is not Via.COMMAND:
        _check_allowed(asked)
    real = asked.resolve()
    if not real.exists():
        raise NotFound(f"There is no file or folder {asked} on this server: look at the spelling, or mount its disk.")
    return real


def _check_allowed(asked: Path) -> None:
    roots = allowed_roots()
    if not roots:
        raise Forbidden(
            "No folder of this server may be read from here. Its admin names those that may in OSPREY_IMPORT_ROOTS; "
            "without that, send a zip, or use ./osprey import on the server.",
            code="no-import-roots",
        )
    if not asked.is_absolute() or not is_under(asked, roots):
        raise Forbidden(
            f"{asked} is not under a folder that may be read: {', '.join(map(str, roots))} (OSPREY_IMPORT_ROOTS).",
            code="outside-import-roots",
        )


def is_under(path: Path, roots: Sequence[Path]) -> bool:
    """Whether the file itself, links followed, lies under one of the roots."""
    real = path.resolve()
    return any(real == root.resolve() or real.is_relative_to(root.resolve()) for root in roots)
