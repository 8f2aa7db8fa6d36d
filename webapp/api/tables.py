"""A table as a CSV file to download."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from django.http import HttpResponse

from webapp.datasets.formats.cells import TableWriter


def csv_answer(table: tuple[Sequence[str], Iterable[Sequence[object]]], name: str) -> HttpResponse:
    """Heading and lines, in cells that no spreadsheet runs."""
    heading, lines = table
    text = io.StringIO(newline="")
    writer = TableWriter(text, list(heading))
    for line in lines:
        writer.write(line)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
