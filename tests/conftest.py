"""Fixtures that many parts share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests import sites


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the starter versions, made once for all processes of a run; copy it with `sites.copy_of`."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = shared / "prepared" / "data"
        if not (shared / "prepared.whole").exists():
            data.parent.mkdir(exist_ok=True)
            sites.prepare(data)
            (shared / "prepared.whole").touch()
    return data


@pytest.fixture(scope="session")
def shared_site(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sites.Site]:
    """One running site for all tests that leave it as healthy as they found it."""
    with sites.Site(sites.copy_of(prepared, tmp_path_factory.mktemp("shared") / "data")) as site:
        yield site


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite's tests use a file, as the site does: in memory, threads would not wait for each other's locks."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
        # A test's rows need not outlive a loss of power; without this every commit waits for the disk.
        options = connection.settings_dict["OPTIONS"]
        options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
