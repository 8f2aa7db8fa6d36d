"""A token is for programs: on pages it is not heard, whatever its scopes."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.middleware.csrf import _get_new_csrf_string

from tests.api.client import Client
from tests.api.conftest import Cast
from webapp.access.models import User


def test_a_token_that_may_only_read_sets_no_password(cast: Cast) -> None:
    secret = _get_new_csrf_string()
    word = "a-long-one-of-mine-7"
    asked = {"new_password1": word, "new_password2": word, "csrfmiddlewaretoken": secret}
    cookie = f"{settings.CSRF_COOKIE_NAME}={secret}"
    program = Client({**cast.token("gus", "read").headers, "cookie": cookie})
    reply = program.post(
        "/account/password/", urlencode(asked).encode(), content_type="application/x-www-form-urlencoded"
    )
    assert (reply.status, reply.headers["location"].partition("?")[0]) == (302, "/sign-in/")
    assert not User.objects.get(username="gus").has_usable_password()


def test_a_token_opens_no_page_of_its_owner(cast: Cast) -> None:
    for path in ("/account/", "/projects/", "/status/", f"/p/{cast.project.slug}/"):
        reply = cast.token("gus").get(path)
        assert reply.status in (302, 404), path
