"""Finds the images of a project by the paths that somebody else's file names them by; memory stays flat.

A name fits when one path is the end of the other, folder by folder: `site1/a.jpg` is `D:/2024/site1/a.jpg`, and
never `site2/a.jpg`. A name that fits several images fits none.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

from webapp.images.models import Image
from webapp.images.paths import normalise_path
from webapp.projects.models import Project

BATCH = 2000


class KnownPaths:
    """A table of its own on disk, made from the project's images at the first question."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._table: sqlite3.Connection | None = None

    def find(self, path: str) -> Sequence[int]:
        """Ids of the images the path fits; more than one says that it is not clear."""
        wanted = normalise_path(path)
        name = wanted.rpartition("/")[2].casefold()
        rows = self._open().execute("SELECT id, path FROM known WHERE name = ?", [name]).fetchall()
        exact = [pk for pk, known in rows if known == wanted]
        if exact:
            return exact
        parts = _parts(wanted)
        return [pk for pk, known in rows if _one_ends_the_other(parts, _parts(known))]

    def by_digest(self, sha256: str) -> int | None:
        images = Image.objects.filter(project=self.project, file__sha256=sha256, withdrawn_at=None)
        return images.values_list("pk", flat=True).first()

    def close(self) -> None:
        if self._table is not None and self._folder is not None:
            self._table.close()
            self._folder.cleanup()
            self._table = self._folder = None

    def _open(self) -> sqlite3.Connection:
        if self._table is None:
            self._folder = tempfile.TemporaryDirectory(prefix="osprey-paths-")
            self._table = sqlite3.connect(Path(self._folder.name) / "known.sqlite3")
            self._table.execute("PRAGMA journal_mode=OFF")
            self._table.execute("CREATE TABLE known (id INTEGER PRIMARY KEY, name TEXT, path TEXT)")
            self._fill(self._table)
            self._table.execute("CREATE INDEX by_name ON known (name)")
            self._table.commit()
        return self._table

    def _fill(self, table: sqlite3.Connection) -> None:
        """By keyset, so that nothing holds the database while it is read."""
        after = 0
        images = Image.objects.filter(project=self.project, withdrawn_at=None).order_by("pk")
        while rows := list(images.filter(pk__gt=after).values_list("pk", "path")[:BATCH]):
            table.executemany(
                "INSERT INTO known VALUES (?, ?, ?)",
                [(pk, path.rpartition("/")[2].casefold(), path) for pk, path in rows],
            )
            after = rows[-1][0]


def _parts(path: str) -> list[str]:
    return path.casefold().split("/")


def _one_ends_the_other(one: list[str], other: list[str]) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return longer[-len(shorter) :] == shorter
