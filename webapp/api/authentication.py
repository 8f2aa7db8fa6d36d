"""Who calls: a token, a session with its CSRF token, or this machine's guest. Nobody gets no further."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.middleware.csrf import CsrfViewMiddleware
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from webapp.access.actors import Actor, Via
from webapp.access.identify import actor_of, why_nobody
from webapp.access.models import User
from webapp.api.problems import csrf_failed
from webapp.errors import NotSignedIn
from webapp.images.keep import PARTS

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class CsrfCheck(CsrfViewMiddleware):
    """Django's check, handing back its reason instead of a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def caller_of(request: HttpRequest) -> Actor:
    """The actor of a call; raises NotSignedIn for nobody and Forbidden for a session without its CSRF token."""
    actor = actor_of(request)
    if actor.via is Via.NOBODY:
        headers = {name.lower(): value for name, value in request.headers.items()}
        raise NotSignedIn(why_nobody(peer=request.META.get("REMOTE_ADDR"), headers=headers))
    if actor.via is Via.SESSION:
        check_csrf(request)
    return actor


def check_csrf(request: HttpRequest) -> None:
    """A cookie alone proves nothing: another site's page could have sent it along."""
    if request.method in SAFE_METHODS:
        return
    if "X-CSRFToken" not in request.headers:
        csrf_failed(request, "The X-CSRFToken header is missing.")
    if getattr(request, "scope", {}).get(PARTS) is not None:
        # The intake took the body, and Django's check would try to read a form out of it.
        request.POST = QueryDict()
    check = CsrfCheck(lambda request: None)  # type: ignore[arg-type]
    check.process_request(request)
    reason = check.process_view(request, check_csrf, (), {})  # type: ignore[arg-type]
    if reason:
        csrf_failed(request, str(reason))


class ActorAuthentication(BaseAuthentication):
    """For DRF: `request.auth` is the actor, `request.user` its person, if any."""

    def authenticate(self, request: Request) -> tuple[User | None, Actor]:
        actor = caller_of(request._request)
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="osprey"'


class ActorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How callers identify themselves, for the OpenAPI description."""

    target_class = "webapp.api.authentication.ActorAuthentication"
    name = ["token", "session"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "osp_…"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]
