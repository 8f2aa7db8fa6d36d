"""Issue, find and revoke tokens and one-time sign-in links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.access.models import LAST_USED_GRAIN, TOKEN_MARK, ApiToken, SignInLink, User, digest_of
from webapp.access.require import require
from webapp.access.table import Action, Scope
from webapp.errors import Forbidden, Invalid, NotFound
from webapp.rows import read_joined

LINK_LIFETIME = timedelta(hours=24)


@transaction.atomic
def issue_token(
    *,
    actor: Actor,
    user: User,
    name: str,
    scopes: Sequence[str],
    project_id: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token for `user`; the secret is returned once and not stored."""
    require(actor, Action.OWN_TOKENS)
    if not actor.is_trusted and actor.user != user and not (actor.user and actor.user.is_superuser):
        raise Forbidden("Only an admin of the site makes tokens for somebody else.")
    known = {scope.value for scope in Scope}
    unknown = [scope for scope in scopes if scope not in known]
    if unknown or not scopes:
        raise Invalid(f"Unknown scope {', '.join(unknown) or '(none given)'}: choose from {', '.join(sorted(known))}.")
    secret = ApiToken.make_secret()
    token = ApiToken.objects.create(
        user=user,
        project_id=project_id,
        name=name,
        prefix=secret[:10],
        digest=digest_of(secret),
        scopes=list(scopes),
        expires_at=expires_at,
    )
    audit.record(actor=actor, action="issue token", project_id=project_id, subject=f"token:{token.pk}", scopes=scopes)
    return token, secret


@transaction.atomic
def revoke_token(*, actor: Actor, token: ApiToken) -> None:
    require(actor, Action.OWN_TOKENS)
    if not actor.is_trusted and actor.user != token.user and not (actor.user and actor.user.is_superuser):
        raise Forbidden("This token belongs to somebody else.")
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    audit.record(actor=actor, action="revoke token", project_id=token.project_id, subject=f"token:{token.pk}")


def actor_of_secret(secret: str) -> Actor | None:
    """The actor a token stands for, or None when it is unknown, expired, revoked or its owner inactive."""
    if not secret.startswith(TOKEN_MARK):
        return None
    found = read_joined(ApiToken, "digest", digest_of(secret), "user")
    now = timezone.now()
    if not found or not found[0].is_valid(now) or not found[0].user.is_active:
        return None
    token = found[0]
    if token.last_used_at is None or now - token.last_used_at > LAST_USED_GRAIN:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return Actor(Via.TOKEN, user=token.user, token=token)


def make_sign_in_link(*, actor: Actor, user: User) -> str:
    """A secret that signs `user` in once within a day."""
    if not actor.is_trusted:
        raise Forbidden("Sign-in links are made on the machine itself: ./osprey manage signin_link")
    secret = ApiToken.make_secret()
    SignInLink.objects.create(user=user, digest=digest_of(secret), expires_at=timezone.now() + LINK_LIFETIME)
    return secret


def spend_sign_in_link(*, secret: str) -> User:
    """The person a link signs in; by compare-and-set, so that it works exactly once."""
    link = SignInLink.objects.select_related("user").filter(digest=digest_of(secret)).first()
    now = timezone.now()
    spent = link and SignInLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now)
    if not link or not spent:
        raise NotFound("This sign-in link was used or has expired. Make a new one: ./osprey manage signin_link")
    return link.user
