"""Versions between sites: a folder out, a folder in, the digest the same on both."""

from __future__ import annotations

from pathlib import Path

from classifier import adding
from classifier.errors import ModelError
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid, NotFound
from webapp.projects.models import Project
from webapp.versions.fetch import verified_folder
from webapp.versions.models import Version

SHORTEST_DIGEST = 6


def find_version(text: str, *, project: Project | None = None) -> Version:
    """The version with this id, digest (six characters are enough) or name, in a project where one is given."""
    versions = Version.objects.order_by("-pk")
    if project is not None:
        versions = versions.filter(project__in=[project]) | versions.filter(project=None)
    found = list(versions.filter(pk=int(text))) if text.isascii() and text.isdigit() else []
    if not found and len(text) >= SHORTEST_DIGEST:
        found = list(versions.filter(digest__startswith=text.lower())[:5])
    found = found or list(versions.filter(name=text)[:5])
    if not found:
        where = f" in {project.slug}" if project is not None else ""
        raise NotFound(f"There is no version {text!r}{where}: ./osprey models list shows id, digest and name of each.")
    if len({version.digest for version in found}) > 1:
        each = ", ".join(f"{version.pk} ({version.name})" for version in found)
        raise Conflict(f"{text!r} fits several versions: {each}. Say which by its id.")
    return found[0]


def export_version(*, actor: Actor, version: Version, folder: Path) -> str:
    """Write a verified copy of the version as `folder`, which must not exist yet; returns its digest."""
    require(actor, Action.VIEW_VERSIONS, version.project)
    if folder.exists():
        raise Conflict(f"{folder} exists already: name a new folder.")
    try:
        adding.export_version(verified_folder(version), folder)
    except ModelError as error:
        raise Invalid(f"{version.name} was not exported: {error}", code="version-broken") from error
    audit.record(
        actor=actor,
        action="export version",
        project_id=version.project_id,
        subject=f"version:{version.pk}",
        digest=version.digest,
    )
    return version.digest
