"""Results of a project: what people verified and what only a machine says, apart."""

from __future__ import annotations

import io

from django.http import HttpResponse, HttpResponseBase
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.shapes.results import ResultsQuery, ResultsShape
from webapp.api.views import View, read_query, shown
from webapp.datasets import results
from webapp.datasets.formats.cells import TableWriter
from webapp.projects.find import project_by_slug


class Results(View):
    @describe(
        "results.read",
        "Images by label, site and visit: verified, by rule, and machine-only apart",
        query=[ResultsQuery],
        answers={200: ResultsShape, (200, "text/csv"): s.CharField},
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        asked = read_query(ResultsQuery, request)
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        rows = results.results(project, by=asked["by"])
        if asked["format"] == "csv":
            return csv_answer(rows, f"{project.slug}-results.csv")
        return Response(shown(ResultsShape, {"totals": results.totals(project), "results": rows}))


def csv_answer(rows: list[results.ResultRow], name: str) -> HttpResponse:
    """A table whose cells no spreadsheet runs."""
    text = io.StringIO(newline="")
    writer = TableWriter(text, list(results.HEADING))
    for line in results.table(rows):
        writer.write(line)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
