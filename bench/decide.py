"""The server's share of one decision: from the request's bytes to the answer's, without a client or a network.

    ./osprey bench decide [--rows 100000] [--databases postgresql,sqlite] [--decisions 200] [--json]

Decisions on bursts of five go, one after the other, through the whole ASGI application that the site serves (limits,
token, throttle, rights, transaction, commit). Prints milliseconds and processor time of each at p50 and p95, how many
statements it took, and what a plain loop took between the decisions: on a busy machine that grows as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.grid import ROOT, _share, decision_on, postgres

BASE = "/api/v1/projects/grid"
WARM_UP = 10


class Caller:
    """Makes requests of the ASGI application as its server would."""

    def __init__(self, application: Any, token: str) -> None:
        self.application, self.token = application, token
        self.wall, self.processor = 0.0, 0.0

    async def post(self, path: str, body: Any) -> Any:
        sent = json.dumps(body).encode()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000),
            "headers": [
                (b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json"),
                (b"content-length", str(len(sent)).encode()), (b"authorization", f"Bearer {self.token}".encode()),
            ],
        }  # fmt: skip
        waiting = [{"type": "http.request", "body": sent, "more_body": False}]
        answered: list[dict[str, Any]] = []
        is_over = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        began, spent = time.perf_counter(), time.process_time()
        await self.application(scope, receive, send)
        self.wall, self.processor = time.perf_counter() - began, time.process_time() - spent
        is_over.set()
        text = b"".join(message.get("body", b"") for message in answered)
        if answered[0]["status"] != 200:
            raise RuntimeError(f"{path}: {answered[0]['status']} {text[:500]!r}")
        return json.loads(text)


def plain_loop() -> float:
    """Milliseconds of a loop that always does the same."""
    began, total = time.perf_counter(), 0
    for number in range(100_000):
        total += number
    return 1000 * (time.perf_counter() - began)


def count_statements() -> list[int]:
    """The count goes on in the list's one number, whichever thread the statements come from."""
    from django.db.backends.utils import CursorWrapper

    counted = [0]

    def counting(inner: Any) -> Any:
        def execute(self: Any, *arguments: Any) -> Any:
            counted[0] += 1
            return inner(self, *arguments)

        return execute

    for name in ("execute", "executemany"):
        setattr(CursorWrapper, name, counting(getattr(CursorWrapper, name)))
    return counted


async def decide(application: Any, token: str, decisions: int) -> dict[str, Any]:
    caller, counted = Caller(application, token), count_statements()
    wall, processor, loop, statements = [], [], [], 0
    for number in range(decisions + WARM_UP):
        given = await caller.post(f"{BASE}/queues/uncertain/next", {"limit": 1, "have": []})
        unit = given["units"][0]
        decision = decision_on(unit)
        loop.append(plain_loop())
        before = counted[0]
        answer = await caller.post(f"{BASE}/decisions", {"decisions": [decision]})
        statements = counted[0] - before
        if answer["results"][0]["state"] != "saved":
            raise RuntimeError(str(answer))
        if number >= WARM_UP:
            wall.append(1000 * caller.wall)
            processor.append(1000 * caller.processor)
    return {
        **{f"p{share * 100:.0f}_ms": round(_share(wall, share), 1) for share in (0.50, 0.95)},
        **{f"processor_p{share * 100:.0f}_ms": round(_share(processor, share), 1) for share in (0.50, 0.95)},
        "statements": statements,
        **{f"plain_loop_p{share * 100:.0f}_ms": round(_share(loop, share), 1) for share in (0.50, 0.95)},
        "decisions": decisions,
    }


def child(rows: int, decisions: int) -> None:
    """Fills the database that DATABASE_URL names and measures on it."""
    from bench.grid_calls import make_database

    make_database()
    from webapp.asgi import application

    logging.disable(logging.WARNING)
    from django.core.management import call_command
    from django.db import connection

    from bench.grid_rows import fill

    call_command("migrate", verbosity=0)
    filled = fill(rows)
    connection.close()
    print(json.dumps(asyncio.run(decide(application, filled.token, decisions))))


def measure(url: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "OSPREY_DATA": str(folder / "data"),
        "OSPREY_CALLS_PER_MINUTE": "100000000",
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "OSPREY_LOG": "ERROR",
    }
    command = [sys.executable, "-m", "bench.decide", "--child", "--rows", str(arguments.rows)]
    command += ["--decisions", str(arguments.decisions)]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench decide", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["postgresql", "sqlite"])
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.rows, arguments.decisions)
        return
    result: dict[str, Any] = {"rows": arguments.rows}
    for database in arguments.databases:
        folder = Path(tempfile.mkdtemp(prefix="osprey-decide-"))
        try:
            if database == "postgresql":
                with postgres(folder / "server") as url:
                    found = measure(f"{url.removesuffix('postgres')}decide", folder, arguments)
            else:
                found = measure(f"sqlite:///{folder}/decide.sqlite3", folder, arguments)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        result[database] = found
        print(f"{database}: {json.dumps(found)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
