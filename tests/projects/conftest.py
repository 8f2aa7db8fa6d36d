"""The cast of the project tests: Ana, who made the project, Ben, who reviews, and Eve, who does not belong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.projects.create import create_project
from webapp.projects.models import Project


@dataclass(frozen=True)
class Crew:
    ana: Actor
    ben: Actor
    eve: Actor
    project: Project

    def user(self, name: str) -> User:
        return User.objects.get(username=name)


@pytest.fixture
def crew(db: None) -> Crew:
    people = {name: User.objects.create(username=name) for name in ("ana", "ben", "eve")}
    project = create_project(actor=OPERATOR, name="Deck of the Albatros", slug="deck", pictures="deck", labels=["Tuna"])
    Membership.objects.create(user=people["ana"], project=project, role=Role.ADMIN)
    Membership.objects.create(user=people["ben"], project=project, role=Role.REVIEWER)
    ana, ben, eve = (Actor(Via.SESSION, user=people[name]) for name in ("ana", "ben", "eve"))
    return Crew(ana, ben, eve, project)
