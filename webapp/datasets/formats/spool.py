"""Keeps what must be put in order on disk, so that memory stays flat: rows by image, and names that are taken."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any


class Spool:
    """A temporary SQLite file that goes when the object goes. One thread writes, then any number read."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="osprey-formats-")
        self._connection = sqlite3.connect(Path(self._folder.name) / "rows.sqlite3", check_same_thread=False)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-8000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE image (key TEXT PRIMARY KEY, first INTEGER, body TEXT) WITHOUT ROWID")
        self._connection.execute("CREATE TABLE row (place INTEGER PRIMARY KEY, key TEXT, body TEXT)")
        self._rows = 0
        self._images = 0

    def add_image(self, key: str, body: Any = None) -> bool:
        """Remember an image in the order of the calls; False when it is there already (the first body stays)."""
        self._images += 1
        values = (key, self._images, json.dumps(body))
        return self._connection.execute("INSERT OR IGNORE INTO image VALUES (?, ?, ?)", values).rowcount == 1

    def add_row(self, key: str, body: Any) -> None:
        """Remember something of an image, which may come before the image does."""
        self._rows += 1
        self._connection.execute("INSERT INTO row VALUES (?, ?, ?)", (self._rows, key, json.dumps(body)))

    def finish(self) -> None:
        """After the last row: make it quick to read."""
        self._connection.execute("CREATE INDEX row_key ON row (key, place)")
        self._connection.execute("CREATE INDEX image_first ON image (first)")
        self._connection.commit()

    def images(self) -> Iterator[tuple[str, Any, list[Any]]]:
        """Each image with its rows, in the order in which the images came."""
        joined = self._connection.execute(
            "SELECT image.first, image.key, image.body, row.body FROM image LEFT JOIN row ON row.key = image.key"
            " ORDER BY image.first, row.place"
        )
        for _, group in groupby(joined, key=lambda found: found[0]):
            rows = list(group)
            bodies = [json.loads(row[3]) for row in rows if row[3] is not None]
            yield rows[0][1], json.loads(rows[0][2]), bodies

    def rows_of(self, key: str) -> list[Any]:
        """What was remembered of one key, in order."""
        found = self._connection.execute("SELECT body FROM row WHERE key = ? ORDER BY place", (key,))
        return [json.loads(body) for (body,) in found]

    def orphans(self) -> tuple[int, list[str]]:
        """How many rows belong to no image, and some of their keys."""
        query = "FROM row WHERE key NOT IN (SELECT key FROM image)"
        count = self._connection.execute(f"SELECT COUNT(*) {query}").fetchone()[0]
        return count, [key for (key,) in self._connection.execute(f"SELECT DISTINCT key {query} LIMIT 5")]

    def count(self) -> int:
        return int(self._connection.execute("SELECT COUNT(*) FROM image").fetchone()[0])
