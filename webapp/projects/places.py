"""Sites and visits: made and edited by hand."""

from __future__ import annotations

from typing import Any, TypeVar
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict, Invalid
from webapp.projects.models import Project, Site, Visit

SITE_FIELDS = frozenset(
    ("name", "latitude", "longitude", "coordinate_uncertainty_m", "time_zone", "sensitive", "notes")
)
VISIT_FIELDS = frozenset(
    (
        "name", "site", "start", "end", "device", "clock_offset_seconds", "time_zone", "effort", "effort_unit", "notes",
    )
)  # fmt: skip

Place = TypeVar("Place", Site, Visit)


def create_site(*, actor: Actor, project: Project, **fields: Any) -> Site:
    """A place where pictures are taken; the fields are those of SITE_FIELDS."""
    return _write(actor, Site(project=project), fields, SITE_FIELDS, "create site")


def edit_site(*, actor: Actor, site: Site, **fields: Any) -> Site:
    return _write(actor, site, fields, SITE_FIELDS, "edit site")


def create_visit(*, actor: Actor, project: Project, **fields: Any) -> Visit:
    """A deployment, trip or encounter; the fields are those of VISIT_FIELDS."""
    return _write(actor, Visit(project=project), fields, VISIT_FIELDS, "create visit")


def edit_visit(*, actor: Actor, visit: Visit, **fields: Any) -> Visit:
    return _write(actor, visit, fields, VISIT_FIELDS, "edit visit")


def _write(actor: Actor, place: Place, fields: dict[str, Any], known: frozenset[str], action: str) -> Place:
    """Check and save; the audit event tells what changed, coordinates aside, which some may not see."""
    require(actor, Action.CURATE, place.project)
    unknown = sorted(set(fields) - known)
    if unknown:
        raise Invalid(f"{unknown[0]!r} is not a field here; there are {', '.join(sorted(known))}.")
    for name, value in fields.items():
        setattr(place, name, " ".join(value.split()) if name == "name" else value)
    try:
        place.clean_fields()
        _check(place)
        with transaction.atomic():
            place.save()
            audit.record(
                actor=actor,
                action=action,
                project_id=place.project_id,
                subject=f"{place._meta.model_name}:{place.pk}",
                name=place.name,
                changed=sorted(fields),
            )
    except ValidationError as error:
        field, faults = next(iter(error.message_dict.items()))
        raise Invalid(f"{field}: {faults[0]}") from error
    except IntegrityError as error:
        raise Conflict(f"{place.project} has a {place._meta.verbose_name} {place.name!r} here already.") from error
    return place


def _check(place: Site | Visit) -> None:
    if place.time_zone and place.time_zone not in available_timezones():
        raise Invalid(f"time_zone: {place.time_zone!r} is not an IANA name such as Africa/Nairobi.")
    if isinstance(place, Site):
        _check_site(place)
    else:
        _check_visit(place)


def _check_site(site: Site) -> None:
    if (site.latitude is None) != (site.longitude is None):
        raise Invalid("Latitude and longitude come together, or not at all.")
    if site.latitude is not None and not -90 <= site.latitude <= 90:
        raise Invalid(f"latitude: {site.latitude} is not in -90..90 degrees.")
    if site.longitude is not None and not -180 <= site.longitude <= 180:
        raise Invalid(f"longitude: {site.longitude} is not in -180..180 degrees.")


def _check_visit(visit: Visit) -> None:
    if visit.site is not None and visit.site.project_id != visit.project_id:
        raise Invalid(f"{visit.site} is a site of another project.")
    if visit.start is not None and visit.end is not None and visit.end < visit.start:
        raise Invalid("The visit ends before it starts.")
    twins = Visit.objects.filter(project=visit.project, site=visit.site, name=visit.name).exclude(pk=visit.pk)
    if twins.exists():
        raise Conflict(f"{visit.project} has a visit {visit.name!r} there already.")
