"""Where rare animals live is not everybody's business: coordinates by role, project and site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.projects.models import Project

WITHHELD = -1


class HasPlace(Protocol):
    @property
    def latitude(self) -> float | None: ...
    @property
    def longitude(self) -> float | None: ...


@dataclass(frozen=True)
class ShownPlace:
    latitude: float | None
    longitude: float | None
    coordinates: str


class PlaceRule:
    """What one actor sees of the coordinates of one project."""

    def __init__(self, actor: Actor, project: Project) -> None:
        self.sees_all = allowed(actor, Action.VIEW_PLACES, project)
        self.decimals = project.coordinates_decimals

    def shown(self, place: HasPlace, *, sensitive: bool) -> ShownPlace:
        latitude, longitude = place.latitude, place.longitude
        if latitude is None or longitude is None:
            return ShownPlace(None, None, "unknown")
        if self.sees_all:
            return ShownPlace(latitude, longitude, "exact")
        if sensitive or self.decimals == WITHHELD:
            return ShownPlace(None, None, "withheld")
        if self.decimals is None:
            return ShownPlace(latitude, longitude, "exact")
        return ShownPlace(round(latitude, self.decimals), round(longitude, self.decimals), "coarse")

    def uncertainty_m(self, place: ShownPlace) -> int | None:
        """How far a coarse place may be from the true one, in metres; None where nothing was rounded."""
        if place.coordinates != "coarse" or self.decimals is None:
            return None
        return max(1, round(111_320 * 10.0**-self.decimals * 0.71))
