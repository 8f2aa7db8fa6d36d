"""Change what a project says of itself."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django.db import transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Invalid
from webapp.projects.models import Project

FIELDS = frozenset(("name", "description", "notice", "time_zone", "coordinates_decimals", "sequence_gap_seconds"))


@transaction.atomic
def edit_project(*, actor: Actor, project: Project, **fields: Any) -> Project:
    """Set some of FIELDS; the rest stays."""
    require(actor, Action.MANAGE_PROJECT, project)
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        raise Invalid(f"{unknown[0]!r} is not a field here; there are {', '.join(sorted(FIELDS))}.")
    if "time_zone" in fields and fields["time_zone"] not in available_timezones():
        raise Invalid(f"time_zone: {fields['time_zone']!r} is not an IANA name such as Africa/Nairobi.")
    if "name" in fields:
        fields["name"] = " ".join(fields["name"].split())
        if not 0 < len(fields["name"]) <= 120:
            raise Invalid("A project needs a name of 1 to 120 characters.")
    for name, value in fields.items():
        setattr(project, name, value)
    project.save(update_fields=sorted(fields) or None)
    audit.record(
        actor=actor,
        action="edit project",
        project_id=project.pk,
        subject=f"project:{project.pk}",
        changed=sorted(fields),
    )
    return project
