"""Coming in by password or link, being locked out, going out."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.pages.conftest import PASSWORD, Cast
from webapp.access.actors import OPERATOR
from webapp.access.models import ApiToken, User
from webapp.access.tokens import actor_of_secret, make_sign_in_link


def sign_in(client: Client, name: str, password: str, **more: str) -> int:
    return client.post(reverse("sign-in"), {"username": name, "password": password, **more}).status_code


def test_a_password_leads_to_the_project_where_something_happened_last(cast: Cast) -> None:
    answer = Client().post(reverse("sign-in"), {"username": "viewer", "password": PASSWORD})
    assert answer.url == reverse("project", args=["savanna"])


def test_one_comes_back_to_the_page_one_wanted_but_never_to_another_site(cast: Cast) -> None:
    wanted = reverse("models", args=["savanna"])
    body = {"username": "viewer", "password": PASSWORD}
    assert Client().post(reverse("sign-in"), {**body, "next": wanted}).url == wanted
    assert Client().post(reverse("sign-in"), {**body, "next": "//evil.example/"}).url.startswith("/p/")


def test_a_wrong_password_says_so_and_too_many_lock_with_words(cast: Cast) -> None:
    client = Client()
    first = client.post(reverse("sign-in"), {"username": "viewer", "password": "wrong"})
    assert first.status_code == 200
    assert "do not fit together" in first.content.decode()
    statuses = [sign_in(client, "viewer", "wrong") for _ in range(8)]
    assert statuses[-1] == 429
    locked = client.post(reverse("sign-in"), {"username": "viewer", "password": PASSWORD})
    assert locked.status_code == 429
    assert "Wait 15 minutes" in locked.content.decode()
    assert sign_in(client, "curator", PASSWORD) == 302


def test_a_link_is_spent_by_its_button_and_not_by_looking_at_it(cast: Cast) -> None:
    person = User.objects.create_user("new")
    link = reverse("sign-in-link", args=[make_sign_in_link(actor=OPERATOR, user=person)])
    assert Client().get(link).status_code == 200
    browser = Client()
    assert browser.post(link).url == f"{reverse('account')}#password"
    assert "You have no password yet" in browser.get(reverse("account")).content.decode()
    again = Client().post(link)
    assert again.status_code == 404
    assert "was used or has expired" in again.content.decode()


def test_signing_out_ends_the_session_and_needs_a_form(cast: Cast) -> None:
    browser = cast.browser("viewer")
    assert browser.get(reverse("sign-out")).status_code == 405
    browser.post(reverse("sign-out"))
    assert browser.get(reverse("account")).status_code == 302


def test_a_token_is_shown_once_and_works_until_it_is_ended(cast: Cast) -> None:
    browser = cast.browser("reviewer")
    body = {"token-name": "boat", "token-scope": "upload", "token-project": str(cast.project.pk), "token-days": "30"}
    shown = browser.post(reverse("account-token"), body)
    token = ApiToken.objects.get(name="boat")
    secret = next(line for line in shown.content.decode().split(">") if line.startswith("osp_")).split("<")[0]
    assert shown["Cache-Control"] == "no-store"
    assert actor_of_secret(secret) is not None
    assert secret not in browser.get(reverse("account")).content.decode()
    assert cast.browser("viewer").post(reverse("account-token-end", args=[token.pk])).status_code == 404
    browser.post(reverse("account-token-end", args=[token.pk]))
    assert actor_of_secret(secret) is None


@pytest.mark.parametrize(("zone", "status"), [("Africa/Nairobi", 302), ("", 302), ("Mars/Olympus", 422)])
def test_a_time_zone_must_be_one(cast: Cast, zone: str, status: int) -> None:
    browser = cast.browser("viewer")
    assert browser.post(reverse("account-zone"), {"time_zone": zone}).status_code == status
    if status == 302:
        assert f'data-zone="{zone}"' in browser.get("/projects/").content.decode() or not zone


def test_a_weak_password_is_refused_with_the_reason(cast: Cast) -> None:
    body = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}
    refused = cast.browser("viewer").post(reverse("account-password"), body)
    assert refused.status_code == 422
    assert "at least 10 characters" in refused.content.decode()
