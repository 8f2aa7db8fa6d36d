"""Results of a project: what people verified and what only a machine says, apart."""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.shapes.results import ResultsQuery, ResultsShape
from webapp.api.tables import csv_answer
from webapp.api.views import View, read_query, shown
from webapp.datasets import results
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
            return csv_answer((results.HEADING, results.table(rows)), f"{project.slug}-results.csv")
        return Response(shown(ResultsShape, {"totals": results.totals(project), "results": rows}))
