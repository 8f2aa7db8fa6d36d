"""The text of a table that somebody pasted from a spreadsheet, or sent: commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

MARGIN = "\ufeff\n\r"


def cells_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines with their numbers, cells stripped; the heading comes first, empty lines do not come."""
    whole = text.strip(MARGIN)
    reader = csv.reader(io.StringIO(whole), delimiter=_delimiter(whole))
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield reader.line_num, cells


def _delimiter(whole: str) -> str:
    first = whole.split("\n", 1)[0]
    return max("\t;,", key=first.count)
