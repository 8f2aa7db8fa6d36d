"""How much of each label a project wants at least; the Data page warns below it and says what to collect next."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.projects.models import Project

MOST = 1_000_000


@dataclass(frozen=True)
class Minimums:
    """Of each normal label: labelled images, and sites they come from."""

    images: int = 30
    sites: int = 2


def minimums_of(project: Project) -> Minimums:
    given = project.options.get("minimum", {})
    return Minimums(images=given.get("images", Minimums.images), sites=given.get("sites", Minimums.sites))


def set_minimums(*, actor: Actor, project: Project, images: int, sites: int) -> Minimums:
    """Change what counts as enough; the next analysis goes by it."""
    require(actor, Action.CURATE, project)
    for name, value in (("images", images), ("sites", sites)):
        if not 0 <= value <= MOST:
            raise Invalid(f"The least number of {name} is 0 to {MOST:,}, not {value}.")
    project.refresh_from_db(fields=["options"])
    project.options = {**project.options, "minimum": {"images": images, "sites": sites}}
    project.save(update_fields=["options"])
    audit.record(actor=actor, action="set minimums", project_id=project.pk, images=images, sites=sites)
    return Minimums(images, sites)
