"""Open mode serves this machine's own browser and curl, and each violation of that is refused."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from webapp.access.actors import GUEST, NOBODY
from webapp.access.identify import identify
from webapp.access.open_mode import violation

OWN = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.53", {}),
        ("::1", {"host": "[::1]:8000"}),
        ("127.0.0.1", {"host": "localhost:8000"}),
        ("127.0.0.1", {"host": "LOCALHOST"}),
        ("127.0.0.1", {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}),
        ("127.0.0.1", {"sec-fetch-site": "none"}),
    ],
)
def test_this_machines_own_requests_pass(peer: str, headers: dict[str, str]) -> None:
    assert violation(peer=peer, headers={**OWN, **headers}) is None


@pytest.mark.parametrize(
    ("peer", "headers", "why"),
    [
        (None, {}, "another machine"),
        ("", {}, "another machine"),
        ("192.168.1.20", {}, "another machine"),
        ("not an address", {}, "another machine"),
        ("127.0.0.1", {"host": "osprey.example.org"}, "name"),
        ("127.0.0.1", {"host": "192.168.1.5:8000"}, "name"),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}, "name"),
        ("127.0.0.1", {"host": ""}, "name"),
        ("127.0.0.1", {"forwarded": "for=10.0.0.1"}, "proxy"),
        ("127.0.0.1", {"x-forwarded-for": "10.0.0.1"}, "proxy"),
        ("127.0.0.1", {"x-forwarded-host": "a"}, "proxy"),
        ("127.0.0.1", {"x-forwarded-proto": "https"}, "proxy"),
        ("127.0.0.1", {"x-real-ip": "10.0.0.1"}, "proxy"),
        ("127.0.0.1", {"via": "1.1 cache"}, "proxy"),
        ("127.0.0.1", {"origin": "https://evil.example"}, "Origin"),
        ("127.0.0.1", {"origin": "null"}, "Origin"),
        ("127.0.0.1", {"origin": "http://127.0.0.1:9999"}, "Origin"),
        ("127.0.0.1", {"origin": "http://127.0.0.1:8000.evil.example"}, "Origin"),
        ("127.0.0.1", {"sec-fetch-site": "cross-site"}, "Sec-Fetch-Site"),
        ("127.0.0.1", {"sec-fetch-site": "same-site"}, "Sec-Fetch-Site"),
    ],
)
def test_each_violation_is_found_and_named(peer: str | None, headers: dict[str, str], why: str) -> None:
    found = violation(peer=peer, headers={**OWN, **headers})
    assert found is not None
    assert why in found


def test_a_local_caller_is_a_guest_only_where_open_mode_is_on(settings: Settings) -> None:
    settings.OPEN_MODE = True
    assert identify(peer="127.0.0.1", headers=OWN) == GUEST
    assert identify(peer="10.0.0.1", headers=OWN) == NOBODY
    settings.OPEN_MODE = False
    assert identify(peer="127.0.0.1", headers=OWN) == NOBODY


@pytest.mark.django_db
def test_a_wrong_token_is_nobody_even_in_open_mode(settings: Settings) -> None:
    settings.OPEN_MODE = True
    for scheme in ("Bearer", "Token", "bearer"):
        headers = {**OWN, "authorization": f"{scheme} osp_wrong"}
        assert identify(peer="127.0.0.1", headers=headers) == NOBODY
