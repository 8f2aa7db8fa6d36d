"""Nobody adds an address without saying who may call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from webapp.access.routes import ROUTES
from webapp.access.table import Action

OUTSIDE = ("admin", "djdt")  # Django's own admin asks for staff by itself


def named_routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(address, name) of every pattern; the name is '' where somebody forgot it."""
    for pattern in resolver.url_patterns:
        address = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield address, pattern.name or ""
        elif pattern.namespace not in OUTSIDE:
            yield from named_routes(pattern, address)


ALL = list(named_routes(get_resolver()))


def test_there_are_routes() -> None:
    assert len(ALL) > 20


@pytest.mark.parametrize(("address", "name"), ALL, ids=[address or "/" for address, _ in ALL])
def test_every_route_says_who_may_call_it(address: str, name: str) -> None:
    assert name, f"{address} needs a name"
    assert name in ROUTES, f"add {name!r} ({address}) to webapp/access/routes.py"
    assert ROUTES[name] in (*Action, "public", "signed in")


def test_the_list_names_no_route_that_is_gone() -> None:
    assert sorted(set(ROUTES) - {name for _, name in ALL}) == []
