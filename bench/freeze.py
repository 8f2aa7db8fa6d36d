"""Freezing a whole project into a snapshot: time and memory of each step, and what its pages take afterwards.

    ./osprey bench freeze [--rows 10000,1000000] [--databases postgresql,sqlite] [--group-by site] [--json]

Every image is reviewed and may be used. After freezing, clusters join across parts and labels change, so that the
snapshot's page has something to tell. Each size has a process of its own, whose resident memory is watched.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.grid import ROOT, postgres

LOOK_SECONDS = 0.05
OPENED = 5
TWINS, RELABELLED_EACH = 10_000, 50


class Watch:
    """Seconds, processor time and peak resident memory of each step; `step` is a `Progress` of `freeze`."""

    def __init__(self) -> None:
        self.now, self.began, self.spent = "", time.monotonic(), time.process_time()
        self.seconds: dict[str, float] = {}
        self.processor: dict[str, float] = {}
        self.peak_mb: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def step(self, name: str, done: int = 0, total: int = 0) -> None:
        if name != self.now:
            self._close()
            self.now = name

    def end(self) -> dict[str, Any]:
        self._close()
        self._over.set()
        self._thread.join()
        return {
            name: {
                "seconds": round(seconds, 1),
                "processor_seconds": round(self.processor[name], 1),
                "peak_mb": self.peak_mb.get(name, 0),
            }
            for name, seconds in self.seconds.items()
        }

    def _close(self) -> None:
        moment, spent = time.monotonic(), time.process_time()
        if self.now:
            self.seconds[self.now] = self.seconds.get(self.now, 0.0) + moment - self.began
            self.processor[self.now] = self.processor.get(self.now, 0.0) + spent - self.spent
        self.began, self.spent = moment, spent

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self.peak_mb[self.now] = max(self.peak_mb.get(self.now, 0), resident_mb())


def resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def plant(project_id: int, rows: int) -> None:
    """Pairs of near-duplicates anywhere, and another label today on one image in fifty."""
    from django.db import connection

    from bench.grid_rows import POSTGRES, SQLITE

    twins = min(TWINS, rows // 4)
    dialect = POSTGRES if connection.vendor == "postgresql" else SQLITE
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM reviews_nearduplicate WHERE project_id = {project_id}")  # a few of chance
        cursor.execute(
            "INSERT INTO reviews_nearduplicate (image_id, project_id, cluster, how) "
            f"SELECT n, {project_id}, (n - 1) % {twins} + 1, 'hash' FROM {dialect.series.format(rows=2 * twins)}"
        )
        cursor.execute(
            f"UPDATE images_imagestate SET label_id = label_id + 1 WHERE image_id % {RELABELLED_EACH} = 0 "
            f"AND label_id < (SELECT MAX(id) FROM projects_label WHERE project_id = {project_id})"
        )
        cursor.execute("ANALYZE")


def open_pages(slug: str, uid: str) -> dict[str, float]:
    """Milliseconds of each page, the median of a few."""
    from django.test import Client

    from webapp.access.models import User

    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(User.objects.get(username="bench"))
    found: dict[str, float] = {}
    for name, path in {
        "project": "", "Places": "places/", "Data": "data/", "Snapshots": "snapshots/", "Snapshot": f"snapshots/{uid}/",
    }.items():  # fmt: skip
        taken = []
        for _ in range(OPENED):
            began = time.perf_counter()
            answer = browser.get(f"/p/{slug}/{path}")
            taken.append(1000 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code}")
        found[name] = round(statistics.median(taken), 1)
    return found


def child(rows: int, group_by: list[str]) -> None:
    """Fills the database that DATABASE_URL names, freezes it and opens its pages."""
    import django

    from bench.grid_calls import make_database

    make_database()
    django.setup()
    logging.disable(logging.WARNING)
    from django.core.management import call_command

    from bench.grid_rows import fill
    from webapp.access.actors import OPERATOR
    from webapp.datasets import since
    from webapp.datasets.freeze import freeze
    from webapp.datasets.freeze_options import read_options

    call_command("migrate", verbosity=0)
    project = fill(rows, reviewed_each=1).project
    options = read_options({"test_labels": "any", "group_by": group_by})
    watch, before = Watch(), resident_mb()
    snapshot = freeze(actor=OPERATOR, project=project, options=options, progress=watch.step)
    steps = watch.end()
    plant(project.pk, rows)
    first = open_pages(project.slug, str(snapshot.uid))
    began = time.perf_counter()
    since.count_again(snapshot.pk)
    counting = time.perf_counter() - began
    snapshot.refresh_from_db()
    print(
        json.dumps(
            {
                "rows": rows,
                "used": snapshot.counts["used"],
                "parts": snapshot.counts["parts"],
                "before_mb": before,
                "steps": steps,
                "seconds": round(sum(step["seconds"] for step in steps.values()), 1),
                "pages_ms": first,
                "counting_since_seconds": round(counting, 2),
                "pages_counted_ms": open_pages(project.slug, str(snapshot.uid)),
                "leaks": snapshot.since.get("leaks"),
                "relabelled": snapshot.since.get("relabelled"),
            }
        )
    )


def measure(url: str, folder: Path, rows: int, group_by: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "OSPREY_DATA": str(folder / f"data-{rows}"),
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "OSPREY_LOG": "ERROR",
    }
    command = [sys.executable, "-m", "bench.freeze", "--child", "--rows", str(rows), "--group-by", group_by]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(database: str, found: dict[str, Any]) -> None:
    print(f"{database}: {found['used']:,} of {found['rows']:,} images in {found['seconds']} s", file=sys.stderr)
    for name, step in found["steps"].items():
        took = f"{step['seconds']:>8} s, {step['processor_seconds']:>7} s of processor"
        print(f"  {name:<30}{took}{step['peak_mb']:>8,} MB", file=sys.stderr)
    for name, milliseconds in found["pages_ms"].items():
        later = found["pages_counted_ms"][name]
        print(f"  {name + ' page':<30}{milliseconds:>8} ms, then {later} ms", file=sys.stderr)
    print(f"  a worker counts since          {found['counting_since_seconds']:>6} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench freeze", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--rows", default="10000,1000000")
    parser.add_argument("--databases", type=lambda text: text.split(","), default=["postgresql"])
    parser.add_argument("--group-by", default="", help="site, visit ...; without it bursts and near-duplicates alone")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [int(part) for part in arguments.rows.split(",")]
    if arguments.child:
        child(sizes[0], [key for key in arguments.group_by.split(",") if key])
        return
    result: dict[str, Any] = {}
    for database in arguments.databases:
        folder = Path(tempfile.mkdtemp(prefix="osprey-freeze-"))
        result[database] = []
        try:
            for rows in sizes:
                if database == "postgresql":
                    with postgres(folder / f"server-{rows}") as url:
                        found = measure(f"{url.removesuffix('postgres')}freeze", folder, rows, arguments.group_by)
                else:
                    found = measure(f"sqlite:///{folder}/freeze_{rows}.sqlite3", folder, rows, arguments.group_by)
                result[database].append(found)
                show(database, found)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
