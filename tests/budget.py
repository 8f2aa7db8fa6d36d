"""A pytest plug-in: begin no test after a given moment, and say loudly which ones were left out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

left_out: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--until", type=float, default=None, help="seconds since 1970 after which no test begins")
    parser.addoption("--left-out", type=Path, default=None, help="a file to add the names of tests left out to")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    until = item.config.getoption("--until")
    if until is not None and time.time() > until:
        left_out.append(item.nodeid)
        if names := item.config.getoption("--left-out"):
            with names.open("a", encoding="utf-8") as file:
                file.write(f"{item.nodeid}\n")
        pytest.skip("the time budget is spent")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if left_out:
        terminalreporter.section("NOT RUN: the time budget was spent", sep="!", red=True, bold=True)
        for name in left_out:
            terminalreporter.line(name)
