"""Observations of whole events: which of them holds at a deployment and a moment."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Events:
    """A temporary SQLite file, so that memory stays flat; it goes when the object goes."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="osprey-formats-")
        self._connection = sqlite3.connect(Path(self._folder.name) / "events.sqlite3", check_same_thread=False)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-4000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE event (deployment TEXT, start REAL, end REAL, body TEXT)")
        self._longest = 0.0

    def add(self, deployment: str, start: datetime, end: datetime, body: Any) -> None:
        values = (deployment, start.timestamp(), end.timestamp(), json.dumps(body))
        self._longest = max(self._longest, values[2] - values[1])
        self._connection.execute("INSERT INTO event VALUES (?, ?, ?, ?)", values)

    def finish(self) -> None:
        self._connection.execute("CREATE INDEX event_start ON event (deployment, start)")
        self._connection.commit()

    def at(self, deployment: str, taken: str) -> list[Any]:
        """The observations whose event lasts at that time, in the order of the table."""
        moment = datetime.fromisoformat(taken)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        found = self._connection.execute(
            "SELECT body FROM event WHERE deployment = ? AND start <= ? AND start >= ? AND end >= ? ORDER BY rowid",
            (deployment, at, at - self._longest, at),
        )
        return [json.loads(body) for (body,) in found]
