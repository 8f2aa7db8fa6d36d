"""The text of a table that somebody pasted from a spreadsheet, or sent: commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from webapp.errors import Invalid

MARGIN = "\ufeff\n\r"


def cells_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines with their numbers, cells stripped; the heading comes first, empty lines do not come.

    Strict, so that a quotation mark left open is told and does not swallow the lines below it: how long a cell may
    get is a setting of the whole process, which other libraries raise.
    """
    whole = text.strip(MARGIN)
    reader = csv.reader(io.StringIO(whole), delimiter=_delimiter(whole), strict=True)
    whole_until = 0
    try:
        for row in reader:
            whole_until = reader.line_num
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise Invalid(f"line {whole_until + 1}: {error}. Is a quotation mark open there?") from error


def _delimiter(whole: str) -> str:
    first = whole.split("\n", 1)[0]
    return max("\t;,", key=first.count)
