"""Tokens and one-time sign-in links: made, spent, expired, revoked, and never stored in the clear."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.access.conftest import Cast
from webapp.access.actors import OPERATOR, Via
from webapp.access.models import ApiToken, AuditEvent, SignInLink
from webapp.access.tokens import (
    actor_of_secret,
    issue_token,
    make_sign_in_link,
    revoke_token,
    spend_sign_in_link,
)
from webapp.errors import Forbidden, Invalid, NotFound


def issued(cast: Cast, who: str = "curator", **more: object) -> tuple[ApiToken, str]:
    fields = {"name": "boat 7", "scopes": ["upload"], **more}
    return issue_token(actor=cast.session(who), user=cast.people[who], **fields)  # type: ignore[arg-type]


def test_a_token_speaks_for_its_owner(cast: Cast) -> None:
    token, secret = issued(cast)
    actor = actor_of_secret(secret)
    assert actor is not None
    assert (actor.via, actor.user, actor.token) == (Via.TOKEN, cast.people["curator"], token)


def test_only_a_digest_of_a_token_is_stored(cast: Cast) -> None:
    _, secret = issued(cast)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM access_apitoken")
        row = cursor.fetchone()
    assert not any(secret in str(value) or secret[12:] in str(value) for value in row)
    assert secret not in str(list(AuditEvent.objects.values()))


def test_an_expired_token_is_nobody(cast: Cast) -> None:
    _, gone = issued(cast, expires_at=timezone.now() - timedelta(seconds=1))
    _, lasting = issued(cast, expires_at=timezone.now() + timedelta(minutes=1))
    assert actor_of_secret(gone) is None
    assert actor_of_secret(lasting) is not None


def test_a_revoked_token_is_nobody_at_once_and_the_log_says_who_revoked_it(cast: Cast) -> None:
    token, secret = issued(cast)
    revoke_token(actor=cast.session("curator"), token=token)
    assert actor_of_secret(secret) is None
    event = AuditEvent.objects.get(action="revoke token")
    assert (event.user, event.subject) == (cast.people["curator"], f"token:{token.pk}")


def test_a_token_dies_with_its_owners_account(cast: Cast) -> None:
    _, secret = issued(cast)
    cast.people["curator"].is_active = False
    cast.people["curator"].save()
    assert actor_of_secret(secret) is None


@pytest.mark.parametrize("secret", ["", "osp_", "osp_wrong", "something else", "osp_" + "x" * 5000])
def test_a_wrong_secret_is_nobody(cast: Cast, secret: str) -> None:
    issued(cast)
    assert actor_of_secret(secret) is None


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", "root"]])
def test_a_token_needs_scopes_that_exist(cast: Cast, scopes: list[str]) -> None:
    with pytest.raises(Invalid, match="choose from"):
        issued(cast, scopes=scopes)


def test_nobody_but_an_admin_of_the_site_makes_or_revokes_somebody_elses_token(cast: Cast) -> None:
    with pytest.raises(Forbidden):
        issue_token(actor=cast.session("admin"), user=cast.people["viewer"], name="x", scopes=["read"])
    token, _ = issued(cast)
    with pytest.raises(Forbidden):
        revoke_token(actor=cast.session("admin"), token=token)
    revoke_token(actor=cast.session("superuser"), token=token)
    issue_token(actor=OPERATOR, user=cast.people["viewer"], name="x", scopes=["read"])


def test_a_token_cannot_make_a_mightier_token(cast: Cast) -> None:
    _, secret = issued(cast, scopes=["train"])
    actor = actor_of_secret(secret)
    assert actor is not None
    with pytest.raises(Forbidden):
        issue_token(actor=actor, user=cast.people["curator"], name="more", scopes=["admin"])


def test_using_a_token_often_does_not_write_often(cast: Cast) -> None:
    _, secret = issued(cast)
    actor_of_secret(secret)
    with CaptureQueriesContext(connection) as queries:
        actor_of_secret(secret)
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]
    assert ApiToken.objects.get().last_used_at is not None


def test_a_sign_in_link_works_exactly_once(cast: Cast) -> None:
    secret = make_sign_in_link(actor=OPERATOR, user=cast.people["superuser"])
    assert spend_sign_in_link(secret=secret) == cast.people["superuser"]
    with pytest.raises(NotFound, match="used or has expired"):
        spend_sign_in_link(secret=secret)


def test_an_old_or_invented_sign_in_link_does_nothing(cast: Cast) -> None:
    secret = make_sign_in_link(actor=OPERATOR, user=cast.people["superuser"])
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for wrong in (secret, "", "osp_invented"):
        with pytest.raises(NotFound):
            spend_sign_in_link(secret=wrong)


def test_sign_in_links_are_made_on_the_machine_only(cast: Cast) -> None:
    with pytest.raises(Forbidden, match="machine itself"):
        make_sign_in_link(actor=cast.session("superuser"), user=cast.people["viewer"])


def test_a_sign_in_link_is_stored_as_a_digest(cast: Cast) -> None:
    secret = make_sign_in_link(actor=OPERATOR, user=cast.people["superuser"])
    assert secret not in str(list(SignInLink.objects.values()))
