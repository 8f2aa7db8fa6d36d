"""What of a file cannot be read: a few lines or entries cost only themselves, many refuse the file."""

from __future__ import annotations

from pathlib import Path

from webapp.datasets.formats.records import SourceError
from webapp.datasets.formats.values import SOME_ENTRIES


class Faults:
    """Of one block of a file; `kind` is what its entries are called, `cost` what becomes of those."""

    def __init__(self, file: Path, kind: str, cost: str = "were left out") -> None:
        self._file, self._kind, self._cost = file, kind, cost
        self._entries = self._count = 0
        self._first = ""

    def next_entry(self) -> None:
        self._entries += 1

    def note(self, wrong: str, line: int = 0) -> str:
        said = f"line {line}: {wrong}" if line else f"{self._kind} number {self._entries} {wrong}"
        self._count += 1
        self._first = self._first or said
        return said

    def told(self) -> list[str]:
        """A sentence for the report, where there is any; SourceError where there are too many."""
        if self._count * SOME_ENTRIES > self._entries:
            many = f" ({self._count:,} of {self._entries:,} cannot be read)" if self._count > 1 else ""
            raise SourceError(f"{self._file}: {self._first}{many}.")
        if not self._count:
            return []
        if self._count > 1:
            return [
                f"{self._file.name}: {self._count:,} {self._kind}s {self._cost}, of which the first: {self._first}."
            ]
        return [f"{self._file.name}: {self._first}{': left out' if self._cost == 'were left out' else ''}."]
