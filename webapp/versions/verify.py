"""Whether versions are still the bytes they were published as; a broken one is marked, in words, and never used."""

from __future__ import annotations

from classifier.errors import ModelError
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.versions.broken import mark_broken, mark_whole
from webapp.versions.fetch import verified_folder
from webapp.versions.models import Version


def verify(*, actor: Actor, version: Version) -> bool:
    """Hash every file of the version's folder; mark it broken, or whole again. True when it is whole."""
    require(actor, Action.ADD_VERSION, version.project)
    try:
        verified_folder(version)
    except ModelError as error:
        mark_broken(actor=actor, version=version, reason=str(error))
        return False
    mark_whole(actor=actor, version=version)
    return True
