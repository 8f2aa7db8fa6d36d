"""Each page answers each role as the table of actions says; the signed-out are sent to sign in."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.pages.conftest import Cast
from webapp.images.models import Image

READS = {"viewer": 200, "reviewer": 200, "curator": 200, "trainer": 200, "admin": 200, "gus": 200}
SIGN_IN = 302
HIDDEN = 404


def address(cast: Cast, name: str) -> str:
    return {
        "project": reverse("project", args=["savanna"]),
        "models": reverse("models", args=["savanna"]),
        "recognise": reverse("recognise", args=["savanna"]),
        "images": reverse("images", args=["savanna"]),
        "review": reverse("review", args=["savanna"]),
        "upload": reverse("upload", args=[cast.upload.uid]),
        "image": reverse("image", args=[cast.image.pk]),
    }.get(name) or reverse(name)


EXPECTED = {
    "project": {**READS, "stranger": HIDDEN, "nobody": SIGN_IN},
    "models": {**READS, "stranger": HIDDEN, "nobody": SIGN_IN},
    "recognise": {**READS, "viewer": 403, "stranger": HIDDEN, "nobody": SIGN_IN},
    "images": {**READS, "stranger": HIDDEN, "nobody": SIGN_IN},
    "review": {**READS, "viewer": 403, "stranger": HIDDEN, "nobody": SIGN_IN},
    "upload": {**READS, "stranger": HIDDEN, "nobody": HIDDEN},
    "image": {**READS, "stranger": HIDDEN, "nobody": HIDDEN},
    "home": {"reviewer": 200, "viewer": 200, "stranger": 200, "gus": 200, "nobody": SIGN_IN},
    "projects": {"viewer": 200, "stranger": 200, "gus": 200, "nobody": SIGN_IN},
    "project-new": {"admin": 403, "stranger": 403, "gus": 200, "nobody": SIGN_IN},
    "account": {"viewer": 200, "stranger": 200, "nobody": SIGN_IN},
    "status": {"viewer": 200, "stranger": 200, "gus": 200, "nobody": SIGN_IN},
    "sign-in": {"nobody": 200, "viewer": SIGN_IN},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_page_answers_each_role_as_it_should(cast: Cast, name: str) -> None:
    answered = {who: cast.browser(who).get(address(cast, name)).status_code for who in EXPECTED[name]}
    assert answered == EXPECTED[name]


FORMS = {
    "label-add": ({"name": "Gnu"}, "curator", "reviewer"),
    "site-add": ({"name": "River", "latitude": "-3.1", "longitude": "35,2"}, "curator", "reviewer"),
    "visit-add": ({"name": "May"}, "curator", "reviewer"),
    "person-add": ({"username": "nina", "role": "viewer"}, "admin", "trainer"),
    "models-back": ({}, "admin", "trainer"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_works_for_its_role_and_not_for_the_one_below(cast: Cast, name: str) -> None:
    body, may, may_not = FORMS[name]
    form = reverse(name, args=["savanna"])
    assert cast.browser(may_not).post(form, body).status_code == 403
    assert cast.browser("stranger").post(form, body).status_code == 404
    assert cast.browser(may).post(form, body).status_code == 302
    assert cast.browser(may).get(form).status_code == 405


def test_a_form_without_its_csrf_token_is_refused_in_words(cast: Cast) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.people["curator"], backend="django.contrib.auth.backends.ModelBackend")
    refused = client.post(reverse("label-add", args=["savanna"]), {"name": "Gnu"})
    assert refused.status_code == 403
    assert "reload the page" in refused.content.decode()


def test_open_mode_lets_a_guest_recognise_and_nothing_more(open_mode: Cast) -> None:
    guest = Client(headers={"host": "127.0.0.1"})
    for name in ("home", "recognise", "project", "models", "upload", "image", "projects"):
        assert guest.get(address(open_mode, name)).status_code == 200, name
    assert guest.get(reverse("account")).status_code == SIGN_IN
    assert guest.get(reverse("status")).status_code == SIGN_IN
    page = guest.get(address(open_mode, "project")).content.decode()
    assert "curator" not in page and "latest change" not in page.lower()


def test_open_mode_is_not_for_those_who_come_from_elsewhere(open_mode: Cast) -> None:
    for told in ({"x-forwarded-for": "10.0.0.9"}, {"origin": "http://evil.example"}):
        assert Client(headers={"host": "127.0.0.1", **told}).get("/").status_code == SIGN_IN


def test_an_address_nobody_knows_says_so_in_the_frame_of_the_site(cast: Cast) -> None:
    missing = cast.browser("viewer").get("/nothing/here/")
    assert missing.status_code == 404
    assert "There is no page at /nothing/here/" in missing.content.decode()


def test_the_admin_of_the_site_can_read_every_kind_of_row(cast: Cast) -> None:
    browser = cast.browser("gus")
    index = browser.get("/admin/")
    lists = {line.split('"')[0] for line in index.content.decode().split('href="')[1:] if line.startswith("/admin/")}
    tables = [link for link in lists if link.count("/") == 4 and "auth" not in link and not link.endswith("/add/")]
    assert len(tables) > 25
    assert {link: browser.get(link).status_code for link in tables} == dict.fromkeys(tables, 200)


def test_nobody_changes_history_in_the_admin(cast: Cast) -> None:
    browser = cast.browser("gus")
    assert browser.post(f"/admin/images/image/{cast.image.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.post(f"/admin/images/image/{cast.image.pk}/change/", {"path": "x"}).status_code == 403
    assert Image.objects.get(pk=cast.image.pk).path == cast.image.path


def test_the_admin_asks_people_to_sign_in_on_our_page(cast: Cast) -> None:
    asked = cast.browser("nobody").get("/admin/", follow=True)
    assert asked.request["PATH_INFO"] == reverse("sign-in")
    assert cast.browser("viewer").get("/admin/", follow=True).status_code == 403
