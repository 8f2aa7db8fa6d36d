"""Who belongs to a project, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from webapp.access import audit
from webapp.access.actors import SYSTEM, Actor
from webapp.access.models import Membership, Role, User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.access.tokens import make_sign_in_link
from webapp.errors import Conflict, Invalid, NotFound
from webapp.projects.models import Project


@dataclass(frozen=True)
class Invitation:
    """`secret` signs a new person in once; None for somebody who could sign in before."""

    membership: Membership
    secret: str | None


@transaction.atomic
def set_role(*, actor: Actor, project: Project, user: User, role: str) -> Membership:
    """Make `user` a member, or give a member another role. A project never loses its last admin."""
    require(actor, Action.MANAGE_PEOPLE, project)
    if role not in Role.values:
        raise Invalid(f"A role is one of {', '.join(Role.values)}, not {role!r}.")
    Project.objects.select_for_update().get(pk=project.pk)
    membership = Membership.objects.filter(project=project, user=user).first()
    before = membership.role if membership else None
    if membership is None:
        membership = Membership.objects.create(project=project, user=user, role=role)
    elif before != role:
        if role != Role.ADMIN:
            _keep_an_admin(project, user)
        membership.role = role
        membership.save(update_fields=["role"])
    _record(actor, "set role", project, user, before=before, after=role)
    return membership


@transaction.atomic
def remove_member(*, actor: Actor, project: Project, user: User) -> None:
    """Take somebody out of a project; what they did there stays."""
    require(actor, Action.MANAGE_PEOPLE, project)
    Project.objects.select_for_update().get(pk=project.pk)
    membership = Membership.objects.filter(project=project, user=user).first()
    if membership is None:
        raise NotFound(f"{user} is not a member of {project}.")
    _keep_an_admin(project, user)
    membership.delete()
    _record(actor, "remove member", project, user, before=membership.role, after=None)


def _keep_an_admin(project: Project, leaving: User) -> None:
    admins = Membership.objects.filter(project=project, role=Role.ADMIN, user__is_active=True)
    if admins.filter(user=leaving).exists() and not admins.exclude(user=leaving).exists():
        raise Conflict(f"{leaving} is the last admin of {project}: make somebody else admin first.", code="last-admin")


@transaction.atomic
def invite(*, actor: Actor, project: Project, username: str, role: str = Role.VIEWER, email: str = "") -> Invitation:
    """Bring in somebody by name; a person the site does not know yet gets an account and a one-time link."""
    require(actor, Action.MANAGE_PEOPLE, project)
    user = User.objects.filter(username=username).first()
    secret = None
    if user is None:
        user = _new_person(username, email)
        secret = make_sign_in_link(actor=SYSTEM, user=user)
        audit.record(actor=actor, action="add person", project_id=project.pk, subject=f"user:{user.pk}")
    elif Membership.objects.filter(project=project, user=user).exists():
        raise Conflict(f"{user} is a member of {project} already: change the role instead.", code="member-already")
    return Invitation(set_role(actor=actor, project=project, user=user, role=role), secret)


def _new_person(username: str, email: str) -> User:
    try:
        UnicodeUsernameValidator()(username)
        if email:
            validate_email(email)
    except ValidationError as error:
        raise Invalid(f"{error.messages[0]}") from error
    if len(username) > 150:
        raise Invalid("A user name has at most 150 characters.")
    user = User(username=username, email=email)
    user.set_unusable_password()
    user.save()
    return user


def _record(actor: Actor, action: str, project: Project, user: User, **detail: str | None) -> None:
    audit.record(
        actor=actor, action=action, project_id=project.pk, subject=f"user:{user.pk}", username=user.username, **detail
    )
