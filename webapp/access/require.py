"""The one gate that every act goes through."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Protocol

from django.db import connection

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership
from webapp.access.table import TABLE, Action, Need, role_suffices, scope_suffices
from webapp.errors import Forbidden, NotSignedIn


class HasMembers(Protocol):
    """A project, seen from here."""

    pk: int
    open_to_guests: bool


def role_in(actor: Actor, project: HasMembers) -> str | None:
    if actor.user is None:
        return None
    with connection.cursor() as cursor:
        # By hand: every call asks, some three times, and the ORM writes this far longer than the database runs it.
        cursor.execute(
            f"SELECT role FROM {Membership._meta.db_table} WHERE user_id = %s AND project_id = %s",
            [actor.user.pk, project.pk],
        )
        row = cursor.fetchone()
    return row[0] if row is not None else None


def allowed(
    actor: Actor, action: Action, project: HasMembers | None = None, *, role: Callable[[], str | None] | None = None
) -> bool:
    """Whether `actor` may do `action`, in `project` where the action belongs to one.

    `role` gives what the actor is in the project, where a caller has just read it.
    """
    asked = role or (lambda: role_in(actor, project) if project is not None else None)
    return _allowed(actor, TABLE[action], project, asked)


def allowed_among(actor: Actor, actions: Collection[Action], project: HasMembers) -> frozenset[Action]:
    """Those of `actions` that `actor` may do in `project`, by one query."""
    role = cache(lambda: role_in(actor, project))
    return frozenset(action for action in actions if _allowed(actor, TABLE[action], project, role))


def _allowed(actor: Actor, need: Need, project: HasMembers | None, role: Callable[[], str | None]) -> bool:
    if actor.is_trusted:
        return True
    if actor.via is Via.GUEST:
        return need.guest and project is not None and project.open_to_guests
    if actor.user is None or not actor.user.is_active:
        return False
    if not _token_allows(actor, need, project):
        return False
    if actor.user.is_superuser:
        return True
    if need.role is None:
        return not need.superuser and (not need.staff or actor.user.is_staff)
    held = role()
    return held is not None and role_suffices(held, need.role)


def _token_allows(actor: Actor, need: Need, project: HasMembers | None) -> bool:
    if actor.token is None:
        return True
    if not scope_suffices(actor.scopes, need.scope):
        return False
    bound = actor.token.project_id
    return bound is None or (project is not None and project.pk == bound)


def require(
    actor: Actor, action: Action, project: HasMembers | None = None, *, role: Callable[[], str | None] | None = None
) -> None:
    """Raise NotSignedIn or Forbidden unless `actor` may do `action`; `role` as in `allowed`."""
    if allowed(actor, action, project, role=role):
        return
    if actor.user is None:
        raise NotSignedIn("Sign in, or send a token: `Authorization: Bearer osp_…`.")
    where = f" in {project}" if project is not None else ""
    how = "this token" if actor.token is not None else str(actor)
    raise Forbidden(f"{how} may not {action.value}{where}. An admin of the project can change that.")
