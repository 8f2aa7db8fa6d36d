"""`./osprey test`: style, types, migrations, then the tests on SQLite and on a real PostgreSQL.

./osprey test                         everything but the long tests, side by side, with coverage
./osprey test --long --budget 40m     the long tests, none begun once the time is spent
./osprey test tests/launcher -k port  pytest alone, with these words
"""

# ruff: noqa: T201  (a command: printing is what it does)
from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.postgres import PostgresMissing, postgres

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_AT_ONCE = 4
"""Each test process has its own databases, data folder, site and browser: about 2 GB."""
WAITING = 1
"""Test processes beyond one for each processor: a quarter of their time goes by in waiting for a site or a browser."""
MEASURED = {"COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml")}
"""Has every test process measured for coverage; children of tests are not (tests/data_folder.py)."""


@dataclass(frozen=True)
class Part:
    name: str
    passed: bool
    seconds: float


class Checks:
    """Runs part after part, whatever fails, and says at the end what failed and what could not be tested here."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._begun = time.monotonic()
        self._told: dict[int, IO[str]] = {}
        self.parts: list[Part] = []
        self.untested: list[str] = []

    @contextmanager
    def beside(self, act: Callable[..., None], *words: str) -> Iterator[None]:
        """`act` in a thread; what it prints is shown when both are through."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as told, ThreadPoolExecutor(1) as thread:

            def aside() -> None:
                self._told[threading.get_ident()] = told
                act(*words)

            ending = thread.submit(aside)
            try:
                yield
            finally:
                ending.result()
                told.seek(0)
                print(told.read(), flush=True)

    def run(self, name: str, *words: str, environment: dict[str, str] | None = None, ok: Sequence[int] = (0,)) -> None:
        out = self._told.get(threading.get_ident())
        told = f"\n=== {name}: {' '.join(Path(word).name for word in words[:1])} {' '.join(words[1:])}"
        print(told, file=out, flush=True)
        begun = time.monotonic()
        given = {**self._environment, **(environment or {})}
        ended = subprocess.run(words, cwd=ROOT, env=given, stdout=out, stderr=out and subprocess.STDOUT, check=False)
        self.parts.append(Part(name, ended.returncode in ok, time.monotonic() - begun))

    def pytest(self, name: str, marks: str, *words: str, environment: dict[str, str] | None = None) -> None:
        given = dict(environment or {})
        if "-n" in words:
            # Threads of one network that wait for each other while other tests have the processors turn in circles.
            given |= {"OMP_NUM_THREADS": "1"}
        # pytest's status 5 means that no test has these marks.
        self.run(name, PYTHON, "-m", "pytest", "-m", marks, *words, environment=given, ok=(0, 5))

    def on_postgres(self, marks: str, *words: str) -> None:
        """Not measured for coverage, which costs a third more time: most of these tests run on SQLite as well."""
        try:
            with postgres() as url:
                self.pytest("tests on PostgreSQL", marks, *words, environment={"DATABASE_URL": url})
        except PostgresMissing as error:
            self.untested.append(f"PostgreSQL: {error}")

    def report(self) -> int:
        print("\n=== parts")
        for part in self.parts:
            print(f"  {part.name:<24}{'passed' if part.passed else 'FAILED':<10}{part.seconds:7.1f} s")
        print(f"  {'all':<24}{'':<10}{time.monotonic() - self._begun:7.1f} s")
        if self.untested:
            bar = "!" * 100
            print(f"\n{bar}\n!! NOT TESTED")
            for line in self.untested:
                print(f"!!   {line}")
            print(bar)
        failed = [part.name for part in self.parts if not part.passed]
        print(f"\nFAILED: {', '.join(failed)}" if failed else "\nAll parts that could run passed.")
        return 1 if failed else 0


def seconds(text: str) -> float:
    """`90`, `90s`, `40m` or `2h`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: use 90s, 40m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./osprey test", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--long", action="store_true", help="the long tests instead of the quick ones")
    parser.add_argument("--budget", type=seconds, default=None, metavar="TIME", help="begin no test after it: 40m")
    parser.add_argument("--postgres", action="store_true", help="with pytest's words: on a real PostgreSQL")
    options, rest = parser.parse_known_args(words)
    if options.budget is not None and not options.long:
        parser.error("--budget belongs to --long")
    with tempfile.TemporaryDirectory(prefix="osprey-test-") as data:
        # No test touches the data folder of the person who runs it.
        environment = {**os.environ, "OSPREY_DATA": data}
        if rest:
            return pytest_alone(rest, environment, on_postgres=options.postgres)
        checks = Checks(environment)
        unavailable = "" if any(map(shutil.which, BROWSERS)) else " and not browser"
        if unavailable:
            checks.untested.append("the pages in a browser: no Chromium found (Debian: apt-get install chromium)")
        subprocess.run([PYTHON, "-m", "coverage", "erase"], cwd=ROOT, check=True)
        if options.long:
            long_parts(checks, unavailable, options.budget)
        else:
            quick_parts(checks, unavailable)
        return checks.report()


def quick_parts(checks: Checks, unavailable: str) -> None:
    checks.run("style", PYTHON, "-m", "ruff", "check", ".", "osprey")
    checks.run("format", PYTHON, "-m", "ruff", "format", "--check", ".", "osprey")
    checks.run("types", PYTHON, "-m", "mypy")
    checks.run("migrations", PYTHON, "manage.py", "makemigrations", "--check", "--dry-run")
    # The last files of one leave processors idle that the other can use.
    with checks.beside(checks.on_postgres, f"(postgres or databases) and not long{unavailable}", "-n", "1"):
        marks = f"not postgres and not long{unavailable}"
        checks.pytest("tests", marks, "--durations=10", *side_by_side(), environment=MEASURED)
    coverage(checks)


def side_by_side() -> list[str]:
    """Options to run whole test files side by side. The long tests are not: they load the machine by themselves."""
    at_once = min((os.cpu_count() or 1) + WAITING, MOST_AT_ONCE)
    return ["-n", str(at_once), "--dist", "loadfile"]


def long_parts(checks: Checks, unavailable: str, budget: float | None) -> None:
    with tempfile.NamedTemporaryFile("r", suffix=".txt") as left_out:
        until: list[str] = []
        if budget is not None:
            until = ["-p", "tests.budget", f"--until={time.time() + budget:.0f}", f"--left-out={left_out.name}"]
        marks = f"long and not proof and not postgres{unavailable}"
        checks.pytest("long tests", marks, "--durations=10", *until, environment=MEASURED)
        checks.on_postgres(f"long and not proof and postgres{unavailable}", *until)
        names = left_out.read().splitlines()
    if names:
        checks.untested.append(f"{len(names)} long tests: the time budget was spent before they began (named above)")
    coverage(checks)


def coverage(checks: Checks) -> None:
    checks.run("coverage, combined", PYTHON, "-m", "coverage", "combine", "--quiet")
    checks.run("coverage", PYTHON, "-m", "coverage", "report")


def pytest_alone(words: list[str], environment: dict[str, str], *, on_postgres: bool) -> int:
    command = [PYTHON, "-m", "pytest", *words]
    if not on_postgres:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    with postgres() as url:
        return subprocess.run(command, cwd=ROOT, env={**environment, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
