"""The Results page: what to report, by label and visit, each number a link to its images."""

from __future__ import annotations

from itertools import groupby
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.tables import csv_answer
from webapp.datasets import results as reporting
from webapp.datasets.results import GROUPS, ResultRow
from webapp.pages.answering import page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project

SHOWN = 2000
WORDS = {"visit": "site and visit", "site": "site", "project": "the whole project"}


@page()
def results(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_IMAGES)
    by = request.GET.get("by", "visit")
    rows = reporting.results(project, by=by)
    places = [
        (place, [_linked(project, by, row) for row in group])
        for place, group in groupby(rows[:SHOWN], key=lambda row: (row.site, row.visit))
    ]
    context = {
        "project": project,
        "by": by,
        "groups": [(name, WORDS[name]) for name in GROUPS],
        "places": places,
        "total_rows": len(rows),
        "shown": SHOWN,
        "totals": reporting.totals(project),
        "grid": reverse("images", args=[slug]),
    }
    return render(request, "pages/results.html", context)


@page()
def results_csv(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_IMAGES)
    by = request.GET.get("by", "visit")
    table = reporting.HEADING, reporting.table(reporting.results(project, by=by))
    return csv_answer(table, f"{project.slug}-results-by-{by}.csv")


def _linked(project: Project, by: str, row: ResultRow) -> tuple[ResultRow, str]:
    """The row and the address of its images, to which the source is added."""
    filters = {"label": row.label_key}
    if by in ("site", "visit"):
        filters["site"] = row.site_uid or "-"
    if by == "visit":
        filters["visit"] = row.visit_uid or "-"
    return row, f"{reverse('images', args=[project.slug])}?{urlencode(filters)}"
