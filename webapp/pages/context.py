"""What the frame of every page shows: the person, the projects, and whether the site stands open."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from webapp.access.actors import Via
from webapp.access.identify import actor_of
from webapp.pages.confidence import WORDS
from webapp.projects.find import visible_projects
from webapp.projects.models import Project

LONGEST_MENU = 30


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of base.html; the projects are read only if the page draws its menu."""
    actor = actor_of(request)
    return {
        "actor": actor,
        "person": actor.user,
        "is_guest": actor.via is Via.GUEST,
        "is_site_admin": bool(actor.user and actor.user.is_superuser),
        "menu_projects": SimpleLazyObject(lambda: menu_projects(request)),
        "confidence_words": WORDS,
    }


def menu_projects(request: HttpRequest) -> list[Project]:
    return list(visible_projects(actor_of(request)).only("slug", "name")[:LONGEST_MENU])
