"""Which projects an actor may see."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.db.models import QuerySet

from webapp.access.actors import Actor, Via
from webapp.access.require import require, role_in
from webapp.access.table import Action
from webapp.errors import NotFound, NotSignedIn
from webapp.projects.models import Project
from webapp.rows import read_rows

NAMED_IN_ERRORS = 12


def visible_projects(actor: Actor) -> QuerySet[Project]:
    """The projects whose existence `actor` may know of, by name; archived ones are left out."""
    projects = Project.objects.filter(archived_at=None).order_by("name", "pk")
    if actor.is_trusted:
        return projects
    if actor.via is Via.GUEST:
        return projects.filter(open_to_guests=True)
    if actor.user is None or not actor.user.is_active:
        return projects.none()
    if actor.token is not None and actor.token.project_id is not None:
        projects = projects.filter(pk=actor.token.project_id)
    if actor.user.is_superuser:
        return projects
    return projects.filter(memberships__user=actor.user)


def project_by_slug(actor: Actor, slug: str, action: Action = Action.VIEW_PROJECT) -> Project:
    """The project, if `actor` may do `action` there; NotFound where it is hidden, so that no name leaks."""
    if actor.via is Via.NOBODY:
        raise NotSignedIn("Sign in, or send a token: `Authorization: Bearer osp_…`.")
    found = read_rows(Project, "slug", [slug])  # every call passes here
    role = cache(lambda: role_in(actor, found[0]))
    if not found or not _is_visible(actor, found[0], role):
        names = ", ".join(visible_projects(actor).values_list("slug", flat=True)[:NAMED_IN_ERRORS]) or "none"
        how = " without signing in" if actor.user is None else ""
        raise NotFound(f"There is no project {slug[:64]!r} that you may use{how}. There are: {names}.")
    require(actor, action, found[0], role=role)
    return found[0]


def _is_visible(actor: Actor, project: Project, role: Callable[[], str | None]) -> bool:
    """What `visible_projects` says of one project that has been read; `role` is asked only where it matters."""
    if project.archived_at is not None:
        return False
    if actor.is_trusted:
        return True
    if actor.via is Via.GUEST:
        return project.open_to_guests
    if actor.user is None or not actor.user.is_active:
        return False
    if actor.token is not None and actor.token.project_id not in (None, project.pk):
        return False
    return actor.user.is_superuser or role() is not None
