"""The Data page: is the training data any good? Every number is a link to its images.

All of it comes from the report of the last analysis and from stored counts: as quick for a million images as for ten.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp import leases
from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.datasets.whole_health import whole_health
from webapp.errors import Invalid
from webapp.images.models import FacetCount, Sequence
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.reviews import analysis, quality
from webapp.reviews.minimums import minimums_of, set_minimums
from webapp.reviews.models import Finding

ROWS = 200
WANTED = 40
SUSPECTS = 12
CLUSTERS = 8
LEAKS = 40
QUEUES = {"suspects": "suspect", "duplicates_disagree": "duplicates", "looks_new": "looks-new", "rare": "rare"}


@page()
def data(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_IMAGES)
    done = analysis.newest(project)
    report = whole_health(project, done) if done else {}
    context = {
        "project": project,
        "grid": reverse("images", args=[slug]),
        "images_now": _images_now(project),
        "analysis": done,
        "going": analysis.under_way(project),
        "failed": _failed(project, done),
        "minimum": minimums_of(project),
        "may_review": allowed(actor, Action.REVIEW, project),
        "may_curate": allowed(actor, Action.CURATE, project),
        "report": report,
        **(_shown(project, report) if report else {}),
    }
    return render(request, "pages/data.html", context)


def _images_now(project: Project) -> int:
    row = FacetCount.objects.filter(project=project, facet="all", value="").first()
    return row.count if row else 0


def _failed(project: Project, done: Any) -> Any:
    """The newest pass, where it failed."""
    last = project.analyses.exclude(state__in=leases.UNDER_WAY).order_by("-pk").first()
    return last if last is not None and last != done and last.state == last.State.FAILED else None


def _shown(project: Project, report: dict[str, Any]) -> dict[str, Any]:
    """The parts of the report that the page lists, cut to what a person reads."""
    rows = report["class_rows"]
    most = max((max(row["counts"], default=0) for row in report["matrix"]["rows"]), default=1)
    return {
        "class_rows": rows[:ROWS],
        "more_classes": max(0, len(rows) - ROWS),
        "most": most,
        "wanted": report["wanted"][:WANTED],
        "under_minimum": (too_few := report.get("under_minimum", len(report["wanted"]))),
        "more_wanted": max(0, too_few - WANTED),
        "clusters": report["largest_clusters"][:CLUSTERS],
        "suspects": list(_suspects(project)),
        "faults": [(kind, quality.WORDS[kind], report["quality"][kind]) for kind in quality.KINDS],
        "limits": report["quality_limits"],
        "tiny_side": quality.TINY_SIDE,
        "widest": quality.WIDEST,
        "one_image": [row for row in rows if row[2] == 1][:60],
        "leaks": _leaks(report["leaks"][:LEAKS]),
    }


def _leaks(leaks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What lies in several parts, with the filters of its images and, part by part, of those that are there."""
    asked = [one["id"] for one in leaks if one["kind"] == "sequence"]
    bursts = dict(Sequence.objects.filter(pk__in=asked).values_list("pk", "uid"))
    shown = []
    for one in leaks:
        if one["kind"] == "sequence" and one["id"] not in bursts:
            continue  # its images are in other bursts since
        here = {"sequence": bursts[one["id"]]} if one["kind"] == "sequence" else {"cluster": one["id"]}
        split = {"snapshot": one["snapshot"]} if "snapshot" in one else {}
        name = "snapshot_part" if split else "part"
        parts = [(part, count, urlencode(here | split | {name: part})) for part, count in one["parts"].items()]
        shown.append({**one, "query": urlencode(here | split), "parts": parts})
    return shown


def _suspects(project: Project) -> Any:
    open_ones = Finding.objects.filter(project=project, kind=Finding.Kind.SUSPECT, settled_at=None)
    rows = open_ones.filter(image__withdrawn_at=None).select_related("label", "image__state__label")
    return rows.order_by("-score", "image_id")[:SUSPECTS]


@page("POST")
def look_again(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.REVIEW)
    said = "The data is being looked at: this page shows the outcome when it is there."
    return attempt(request, reverse("data", args=[slug]), said, lambda: analysis.request(actor=actor, project=project))


@page("POST")
def change_minimums(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)

    def act() -> None:
        try:
            images, sites = (int(request.POST.get(name, "")) for name in ("images", "sites"))
        except ValueError as error:
            raise Invalid("Write both minimums as whole numbers.") from error
        set_minimums(actor=actor, project=project, images=images, sites=sites)
        analysis.request(actor=actor, project=project)

    return attempt(request, reverse("data", args=[slug]) + "#wanted", "Changed; the data is looked at anew.", act)
