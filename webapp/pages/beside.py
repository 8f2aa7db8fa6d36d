"""Where a candidate tried beside differs from the version in use; and the Models page's forms to predict again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.pages.answering import attempt, page
from webapp.pages.versions import version_here
from webapp.predictions.beside import ALSO, start_beside, stop_beside
from webapp.predictions.disagreement import Differing
from webapp.predictions.disagreement import beside as compared
from webapp.projects.find import project_by_slug
from webapp.projects.models import Label, Project
from webapp.runs.backfills.ask import backfill_by_uid, predict_again, stop_backfill
from webapp.versions.activate import newest_activation

SHOWN = 24
MOST_PAIRS = 40


@dataclass(frozen=True)
class Pair:
    """Two answers by name, how many pictures got them, and the newest of those."""

    live: str
    beside: str
    count: int
    images: tuple[int, ...]


@page()
def beside(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_VERSIONS)
    found = compared(project)
    context = {
        "project": project,
        "tried": newest_activation(project, ALSO),
        "now": newest_activation(project),
        "beside": found,
        "pairs": _pairs(project, found.differing[:MOST_PAIRS]) if found else [],
        "more": max(0, len(found.differing) - MOST_PAIRS) if found else 0,
        "may_look": allowed(actor, Action.VIEW_IMAGES, project),
    }
    return render(request, "pages/beside.html", context)


def _pairs(project: Project, differing: Sequence[Differing]) -> list[Pair]:
    names = dict(Label.objects.filter(project=project).values_list("key", "name"))
    return [
        Pair(names.get(one.live, one.live), names.get(one.beside, one.beside), len(one.images), one.images[:SHOWN])
        for one in differing
    ]


@page("POST")
def start(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    version = version_here(project, pk)
    return attempt(
        request,
        _back(slug),
        f"{version} is asked about each new picture as well, once nobody waits for an answer.",
        lambda: start_beside(actor=actor, project=project, version=version, note=request.POST.get("note", "")),
    )


@page("POST")
def stop(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    return attempt(
        request,
        _back(slug),
        "Nothing is tried beside any more. What was said stays with each picture.",
        lambda: stop_beside(actor=actor, project=project, note=request.POST.get("note", "")),
    )


@page("POST")
def predict(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    words = "Pictures that another version answered are asked about again, behind everything else."
    return attempt(request, _back(slug), words, lambda: predict_again(actor=actor, project=project))


@page("POST")
def predict_with(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    """Ask a candidate about the pictures that are there: shown beside, never the answer."""
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    version = version_here(project, pk)
    words = f"{version} is asked about all pictures, behind everything else."
    return attempt(request, _back(slug), words, lambda: predict_again(actor=actor, project=project, version=version))


@page("POST")
def stop_predicting(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = backfill_by_uid(actor, uid, Action.ACTIVATE)
    words = "Stopped. What was answered again by now stays so."
    return attempt(request, _back(slug), words, lambda: stop_backfill(actor=actor, backfill=row))


def _back(slug: str) -> str:
    return reverse("models", args=[slug])
