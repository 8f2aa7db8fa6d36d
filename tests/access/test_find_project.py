"""One project by its name: found by exactly those whose list names it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.access.conftest import Cast
from webapp.access.actors import GUEST, OPERATOR, SYSTEM, Actor, Via
from webapp.access.models import ApiToken
from webapp.errors import Forbidden, NotFound
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Project


def finds(actor: Actor, project: Project) -> bool:
    try:
        return project_by_slug(actor, project.slug) == project
    except NotFound:
        return False
    except Forbidden:
        return True  # known, though closed to what was asked


@pytest.mark.parametrize("state", ["plain", "open", "archived"])
def test_a_project_is_found_by_those_whose_list_names_it(cast: Cast, state: str) -> None:
    project, other = cast.project, cast.other
    project.open_to_guests = state == "open"
    project.archived_at = timezone.now() if state == "archived" else None
    project.save()
    people = [Actor(Via.SESSION, user=user) for user in cast.people.values()]
    tokens = [
        Actor(Via.TOKEN, user=user, token=ApiToken(user=user, scopes=["read"], project=bound_to))
        for user in cast.people.values()
        for bound_to in (None, project, other)
    ]
    for actor in [*people, *tokens, GUEST, OPERATOR, SYSTEM]:
        for one in (project, other):
            assert finds(actor, one) == visible_projects(actor).filter(pk=one.pk).exists(), (str(actor), one.slug)


@pytest.mark.django_db
def test_who_has_no_project_is_told_so() -> None:
    with pytest.raises(NotFound, match="There are: none"):
        project_by_slug(OPERATOR, "nowhere")
