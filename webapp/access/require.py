"""The one gate that every act goes through."""

from __future__ import annotations

from typing import Protocol

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
    return Membership.objects.filter(user=actor.user, project_id=project.pk).values_list("role", flat=True).first()


def allowed(actor: Actor, action: Action, project: HasMembers | None = None) -> bool:
    """Whether `actor` may do `action`, in `project` where the action belongs to one."""
    need = TABLE[action]
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
    if project is None:
        return False
    held = role_in(actor, project)
    return held is not None and role_suffices(held, need.role)


def _token_allows(actor: Actor, need: Need, project: HasMembers | None) -> bool:
    if actor.token is None:
        return True
    if not scope_suffices(actor.scopes, need.scope):
        return False
    bound = actor.token.project_id
    return bound is None or (project is not None and project.pk == bound)


def require(actor: Actor, action: Action, project: HasMembers | None = None) -> None:
    """Raise NotSignedIn or Forbidden unless `actor` may do `action`."""
    if allowed(actor, action, project):
        return
    if actor.user is None:
        raise NotSignedIn("Sign in, or send a token: `Authorization: Bearer osp_…`.")
    where = f" in {project}" if project is not None else ""
    how = "this token" if actor.token is not None else str(actor)
    raise Forbidden(f"{how} may not {action.value}{where}. An admin of the project can change that.")
