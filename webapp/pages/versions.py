"""Models: the versions of a project, where each is in use, and the way back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import NotFound
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.versions.activate import activate, newest_activation, roll_back
from webapp.versions.models import Activation, Version
from webapp.versions.pipelines import versions_of, with_version

TIMELINE = 30


@page()
def models(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_VERSIONS)
    now = newest_activation(project)
    pipeline = now.pipeline if now else None
    context = {
        "project": project,
        "now": now,
        "pipeline": pipeline,
        "in_use": versions_of(pipeline) if pipeline else [],
        "versions": versions_for(project),
        "timeline": timeline(project),
        "may_activate": allowed(actor, Action.ACTIVATE, project),
    }
    return render(request, "pages/models.html", context)


def versions_for(project: Project) -> list[Version]:
    """The project's own versions, and shared ones that its pipelines use; newest first."""
    own = Version.objects.filter(project=project)
    used: set[int] = set()
    for row in project.pipelines.values_list("detector", "classifier", "identifier", "external"):
        used.update(pk for pk in row if pk)
    shared = Version.objects.filter(project=None, pk__in=used)
    return list((own | shared).select_related("parent", "created_by").order_by("-pk"))


def timeline(project: Project) -> list[Activation]:
    parts = ("by", "pipeline__classifier", "pipeline__detector", "pipeline__identifier", "previous__classifier")
    return list(Activation.objects.filter(project=project).select_related(*parts).order_by("-pk")[:TIMELINE])


@page("POST")
def use_version(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    """Let this version answer, in the place its role has in the pipeline."""
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    version = next((one for one in versions_for(project) if one.pk == pk), None)
    if version is None:
        raise NotFound(f"The project {project} has no such version.")
    now = newest_activation(project)

    def put_in_use() -> None:
        pipeline = with_version(project, now.pipeline if now else None, version)
        activate(actor=actor, project=project, pipeline=pipeline, note=request.POST.get("note", ""))

    return attempt(request, reverse("models", args=[slug]), f"{version} answers from now on.", put_in_use)


@page("POST")
def step_back(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    return attempt(
        request,
        reverse("models", args=[slug]),
        "The pipeline before answers again.",
        lambda: roll_back(actor=actor, project=project, note=request.POST.get("note", "")),
    )
