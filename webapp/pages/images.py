"""Images: the grid of a project. Its filters live in the address; the page's script reads the images through REST."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.pages.answering import page
from webapp.pages.review import quick_labels
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.reviews.models import Finding
from webapp.versions.models import Version

VERSIONS_SHOWN = 50


@page()
def images(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_IMAGES)
    if actor.user is not None:
        request.session["project"] = slug
    versions = version_choices(project)
    names = {"finding": dict(Finding.Kind.choices), "version": dict(versions)}
    context = {
        "project": project,
        "versions": versions,
        "findings": Finding.Kind.choices,
        "script": _script(actor, project) | {"names": names},
    }
    return render(request, "pages/images.html", context)


def _script(actor: Actor, project: Project) -> dict[str, Any]:
    may_review = actor.user is not None and allowed(actor, Action.REVIEW, project)
    return {
        "project": project.slug,
        "person": actor.user.get_username() if actor.user else "",
        "rights": {"review": may_review, "curate": may_review and allowed(actor, Action.CURATE, project)},
        "pinned": quick_labels(project) if may_review else [],
        "reviewPage": reverse("review", args=[project.slug]),
    }


def version_choices(project: Project) -> list[tuple[str, str]]:
    """Versions that may have answered, newest first."""
    rows = Version.objects.filter(project=project).order_by("-pk")[:VERSIONS_SHOWN]
    return [(str(one.pk), str(one)) for one in rows]
