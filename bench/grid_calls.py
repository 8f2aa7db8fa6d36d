"""One filled database and the calls that are measured on it: a child of `bench grid`."""

from __future__ import annotations

import itertools
import json
import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

import django
from django.conf import settings

from bench.grid import decision_on

PAGE = 100


def make_database() -> None:
    """On PostgreSQL the named database is made through the server's own one."""
    parts = settings.DATABASES["default"]
    if parts["ENGINE"].endswith("postgresql"):
        import psycopg

        with psycopg.connect(host=parts["HOST"], user=parts["USER"], dbname="postgres", autocommit=True) as server:
            server.execute(f'CREATE DATABASE "{parts["NAME"]}"')


class Calls:
    """The calls by name. Each makes one request and fails loudly unless it is answered as it should be."""

    def __init__(self, filled: Any, rows: int) -> None:
        from django.test import Client

        from webapp.access.models import User

        self.filled, self.rows = filled, rows
        self.client = Client(SERVER_NAME="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {filled.token}")
        self.base = "/api/v1/projects/grid"
        self.browser = Client(SERVER_NAME="127.0.0.1")  # signed in as a person, since pages hear no token
        self.browser.force_login(User.objects.get(username="bench"))
        self.turn = itertools.count()
        self.after = {order: self._deep(order) for order in ("newest", "captured", "least-sure", "priority")}

    def _deep(self, order: str) -> str:
        """The cursor of a page nine tenths down, as `next` gives it."""
        from webapp.api.paging import _cursor
        from webapp.datasets import selection

        keys = selection.ORDERS[order]
        rows = selection.apply(self.filled.project, selection.Selection(order=order))
        place = rows.count() * 9 // 10
        # The keys alone lie in the index: whole rows would be read from the table, on SQLite for minutes.
        return _cursor(rows.values(*(key.lstrip("-") for key in keys))[place : place + 1].get(), keys)

    def grid(self) -> dict[str, Callable[[], None]]:
        from bench.grid_rows import LABELS

        pages: dict[str, Callable[[int], dict[str, Any]]] = {
            "first page": lambda n: {},
            "deep page": lambda n: {"after": self.after["newest"]},
            "by time, deep": lambda n: {"order": "captured", "after": self.after["captured"]},
            "least sure first": lambda n: {"order": "least-sure"},
            "least sure, deep": lambda n: {"order": "least-sure", "after": self.after["least-sure"]},
            "priority": lambda n: {"order": "priority"},
            "priority, deep": lambda n: {"order": "priority", "after": self.after["priority"]},
            "label": lambda n: {"label": f"label-{n % LABELS}"},
            "machine label": lambda n: {"machine_label": f"label-{n % LABELS}"},
            "label, not reviewed": lambda n: {"label": f"label-{n % LABELS}", "review_state": "unreviewed"},
            "review state": lambda n: {"review_state": ("reviewed", "unreviewed")[n % 2]},
            "source": lambda n: {"source": ("human", "machine")[n % 2]},
            "site": lambda n: {"site": self.filled.sites[n % len(self.filled.sites)]},
            "visit": lambda n: {"visit": self.filled.visits[n % len(self.filled.visits)]},
            "upload": lambda n: {"upload": self.filled.uploads[n % len(self.filled.uploads)]},
            "failed": lambda n: {"failed": "1"},
            "damaged": lambda n: {"damaged": "1"},
            "score below": lambda n: {"below": "0.1"},
            "score above": lambda n: {"above": "0.9"},
            "captured from to": lambda n: {
                "captured_from": "2024-01-02", "captured_to": "2024-01-05", "order": "captured",
            },
            "version": lambda n: {"version": self.filled.version},
            "dark": lambda n: {"quality": "dark"},
            "text": lambda n: {"text": f"IMG_{self.rows}"[:7]},
            "text, oldest": lambda n: {"text": f"IMG_{self.rows}"[:7], "order": "oldest"},
            "text, nowhere": lambda n: {"text": "nowhere"},
            "empty answer": lambda n: {"individual": "-", "label": "-"},
        }  # fmt: skip
        calls: dict[str, Callable[[], None]] = {name: self._turned(make) for name, make in pages.items()}
        calls["facets"] = partial(self._get, f"{self.base}/facets")
        return calls

    def others(self) -> dict[str, Callable[[], None]]:
        calls: dict[str, Callable[[], None]] = {
            "health": partial(self._get, f"{self.base}/health"),
            "results by visit": partial(self._get, f"{self.base}/results"),
            "results by label": partial(self._get, f"{self.base}/results?by=project"),
        }
        addresses = {
            "project": "",
            "Places": "places/",
            "Data": "data/",
            "Results": "results/",
            "Snapshots": "snapshots/",
            "Export": "export/",
        }
        for name, path in addresses.items():
            calls[f"{name} page"] = partial(self._open, f"/p/grid/{path}")
        return calls

    def _turned(self, make: Callable[[int], dict[str, Any]]) -> Callable[[], None]:
        return lambda: self._page(**make(next(self.turn)))

    def _get(self, path: str) -> Any:
        answer = self.client.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:500]!r}")
        return answer.json()

    def _open(self, path: str) -> None:
        answer = self.browser.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code}")

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.client.post(path, json.dumps(body), content_type="application/json")
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.content[:500]!r}")
        return answer.json()

    def _page(self, **query: Any) -> None:
        self._get("/api/v1/images?" + urlencode({"project": "grid", "limit": PAGE, **query}))

    def queues(self) -> None:
        self._get(f"{self.base}/queues")

    def review(self, key: str) -> Iterator[tuple[str, float]]:
        """Units and a decision as a reviewer's page asks for them, each with its seconds."""
        began = time.perf_counter()
        given = self._post(f"{self.base}/queues/{key}/next", {"limit": 8, "have": []})
        yield f"queue next, {key}", time.perf_counter() - began
        if not given["units"]:
            raise RuntimeError(f"the queue {key} gave no units")
        if key == "uncertain":
            yield from self._decide(given["units"][0])
        self._post(f"{self.base}/queues/{key}/release", {"units": [one["unit"] for one in given["units"]]})

    def _decide(self, unit: dict[str, Any]) -> Iterator[tuple[str, float]]:
        decision = decision_on(unit)
        began = time.perf_counter()
        answer = self._post(f"{self.base}/decisions", {"decisions": [decision]})
        yield "one decision", time.perf_counter() - began
        if answer["results"][0]["state"] != "saved":
            raise RuntimeError(str(answer))
        began = time.perf_counter()
        self._post(f"/api/v1/changes/{decision['client_id']}/undo", {"client_id": str(uuid.uuid4())})
        yield "undo", time.perf_counter() - began


Measured = Callable[[], Iterator[tuple[str, float]]]
"""Makes a call once and yields what was measured, with its seconds."""


def measured(calls: Calls) -> dict[str, dict[str, Measured]]:
    """By the part of the site that makes the call, and by the call's name."""

    def timed(name: str, call: Callable[[], None]) -> Iterator[tuple[str, float]]:
        began = time.perf_counter()
        call()
        yield name, time.perf_counter() - began

    reviewed = {f"queue next, {key}": partial(calls.review, key) for key in ("uncertain", "unreviewed", "empty")}
    return {
        "grid": {name: partial(timed, name, call) for name, call in calls.grid().items()},
        "review queue": {"queues": partial(timed, "queues", calls.queues), **reviewed},
        "other": {name: partial(timed, name, call) for name, call in calls.others().items()},
    }


def times_of(call: Measured, repeats: int) -> dict[str, list[float]]:
    """Milliseconds by what was measured, after one that is not counted: the other size has just had the processor."""
    found: dict[str, list[float]] = {}
    list(call())
    for _ in range(repeats):
        for name, seconds in call():
            found.setdefault(name, []).append(1000 * seconds)
    return found


def main() -> None:
    rows = int(sys.argv[1])
    make_database()
    django.setup()
    logging.disable(logging.WARNING)
    from django.core.management import call_command
    from django.db import connection

    from bench.grid_rows import fill
    from webapp import planner_statistics

    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")  # for the fill; a connection of the site sets its own
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    filled = fill(rows)
    planner_statistics.refresh()  # as beat has it done every ten minutes
    connection.close()
    calls = Calls(filled, rows)
    parts = measured(calls)
    by_name = {name: call for some in parts.values() for name, call in some.items()}
    part_of = {name: part for part, some in parts.items() for name in some}
    print(json.dumps({"seconds": time.monotonic() - began, "calls": part_of}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(times_of(by_name[asked["call"]], asked["repeats"])), flush=True)


if __name__ == "__main__":
    main()
