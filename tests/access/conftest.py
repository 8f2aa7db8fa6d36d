"""The cast of the access tests: one person for each role, and two projects."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.projects.models import Project


@dataclass(frozen=True)
class Cast:
    project: Project
    other: Project
    people: dict[str, User]

    def session(self, who: str) -> Actor:
        return Actor(Via.SESSION, user=self.people[who])


@pytest.fixture
def cast(db: None) -> Cast:
    """`people`: one for each role in `project` (only), a stranger, a staff member, a superuser and one who left."""
    project = Project.objects.create(slug="savanna", name="Savanna")
    other = Project.objects.create(slug="reef", name="Reef", open_to_guests=True)
    people = {role.value: User.objects.create(username=f"the {role.value}") for role in Role}
    for role in Role:
        Membership.objects.create(user=people[role.value], project=project, role=role)
    people["stranger"] = User.objects.create(username="stranger")
    people["staff"] = User.objects.create(username="staff", is_staff=True)
    people["superuser"] = User.objects.create(username="superuser", is_superuser=True, is_staff=True)
    people["left"] = User.objects.create(username="left", is_superuser=True, is_active=False)
    Membership.objects.create(user=people["left"], project=project, role=Role.ADMIN)
    return Cast(project, other, people)
