"""From a request's headers to an actor, the same way in the intake and in Django."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from webapp.access import open_mode
from webapp.access.actors import GUEST, NOBODY, Actor, Via
from webapp.access.models import User
from webapp.access.tokens import actor_of_secret

ACTOR = "osprey.actor"
"""Where the intake leaves the actor it admitted, in the ASGI scope."""


def bearer(headers: Mapping[str, str]) -> str | None:
    """The secret of an `Authorization: Bearer …` or `Token …` header."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() in ("bearer", "token") else None


def identify(*, peer: str | None, headers: Mapping[str, str], user: User | None = None) -> Actor:
    """A token that was sent speaks alone; then the session; then open mode; else nobody."""
    secret = bearer(headers)
    if secret is not None:
        return actor_of_secret(secret) or NOBODY
    if user is not None:
        return Actor(Via.SESSION, user=user)
    if settings.OPEN_MODE and open_mode.violation(peer=peer, headers=headers) is None:
        return GUEST
    return NOBODY


def why_nobody(*, peer: str | None, headers: Mapping[str, str]) -> str:
    """Why `identify` found nobody, and what to do."""
    if bearer(headers) is not None:
        return "This token is unknown, expired or revoked. Make a new one on your account page or by ./osprey token."
    how = "Sign in, or send a token: `Authorization: Bearer osp_…`."
    broken = open_mode.violation(peer=peer, headers=headers) if settings.OPEN_MODE else None
    if broken is None:
        return how
    return f"Without signing in, only this machine's own browser and curl are served, and {broken}. {how}"


def session_user(headers: Mapping[str, str]) -> User | None:
    """The person of the session cookie, checked as Django's own middleware checks it."""
    cookie = SimpleCookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    if cookie is None:
        return None
    request = HttpRequest()
    engine = import_module(settings.SESSION_ENGINE)
    request.session = engine.SessionStore(cookie.value)
    user = get_user(request)
    return user if isinstance(user, User) else None


def is_for_programs(path: str) -> bool:
    """Whether tokens are heard at this path. Pages hear none: they set passwords, which no scope stands for."""
    return path.startswith("/api/") or path == "/classifyfish"


def actor_of(request: HttpRequest) -> Actor:
    """The actor behind a request; found once, kept on the request."""
    actor: Actor | None = getattr(request, "_osprey_actor", None) or getattr(request, "scope", {}).get(ACTOR)
    if actor is None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not is_for_programs(request.path):
            headers.pop("authorization", None)
        user = getattr(request, "user", None)
        person = user if isinstance(user, User) else None
        actor = identify(peer=request.META.get("REMOTE_ADDR"), headers=headers, user=person)
        request._osprey_actor = actor  # type: ignore[attr-defined]
    return actor
