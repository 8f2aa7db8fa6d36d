"""Recognise: drop pictures, see answers. It works for one picture and for a card of forty thousand."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import NotSignedIn
from webapp.images import side_files
from webapp.images.models import Upload
from webapp.pages.answering import page
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Project
from webapp.versions.activate import active_pipeline

FIRST_PROJECT = "animals"
RECENT = 6


@page()
def home(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Recognise in the project this browser used last, else the starter."""
    usable = _usable(actor)
    if not usable:
        return _nothing_yet(request, actor)
    last = request.session.get("project")
    chosen = next((one for one in usable if one.slug == last), None)
    chosen = chosen or next((one for one in usable if one.slug == FIRST_PROJECT), usable[0])
    return _recognise(request, actor, chosen, usable)


@page()
def recognise(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.RECOGNISE)
    if actor.user is not None:
        request.session["project"] = slug
    return _recognise(request, actor, project, _usable(actor))


def _usable(actor: Actor) -> list[Project]:
    """Where the actor may have pictures recognised."""
    return [project for project in visible_projects(actor) if allowed(actor, Action.RECOGNISE, project)]


def _nothing_yet(request: HttpRequest, actor: Actor) -> HttpResponse:
    if actor.user is None:
        raise NotSignedIn("Sign in to have pictures recognised.")
    return render(request, "pages/no_project.html", {"can_create": allowed(actor, Action.CREATE_PROJECT)})


def _recognise(request: HttpRequest, actor: Actor, project: Project, usable: list[Project]) -> HttpResponse:
    described = [_described(request, actor, one) for one in usable]
    context = {
        "project": project,
        "current": next(one for one in described if one["slug"] == project.slug),
        "projects": described,
        "recent": _recent(actor, project),
        "script": {
            "project": project.slug,
            "projects": described,
            "rights": {one.slug: {"review": allowed(actor, Action.REVIEW, one)} for one in usable},
            "signedIn": actor.user is not None,
            "signIn": f"{reverse('sign-in')}?{urlencode({'next': request.path})}",
        },
        "side_file_rules": side_file_rules(),
    }
    return render(request, "pages/recognise.html", context)


def _described(request: HttpRequest, actor: Actor, project: Project) -> dict[str, Any]:
    return {
        "slug": project.slug,
        "name": project.name,
        "notice": project.notice,
        "page": reverse("recognise", args=[project.slug]),
        "home": reverse("project", args=[project.slug]),
        "curl": curl_line(request, project, guest=actor.user is None),
        "answers": active_pipeline(project) is not None,
    }


def curl_line(request: HttpRequest, project: Project, *, guest: bool) -> str:
    """The same call for a program; open mode needs no token."""
    token = "" if guest and settings.OPEN_MODE else '-H "Authorization: Bearer $OSPREY_TOKEN" '
    where = request.build_absolute_uri("/api/v1/classify")
    return f'curl -X POST {token}--data-binary @picture.jpg "{where}?project={project.slug}"'


def _recent(actor: Actor, project: Project) -> list[Upload]:
    """One's own newest uploads; guests of open mode share one browser, so theirs are everybody's."""
    mine = Upload.objects.filter(project=project).exclude(kind=Upload.Kind.CALL)
    return list(mine.filter(created_by=actor.user).order_by("-pk")[:RECENT])


def side_file_rules() -> dict[str, list[str]]:
    """The server's own rules, so that page and server leave out the same files."""
    return {
        "endings": sorted(side_files.ENDINGS),
        "names": sorted(side_files.NAMES),
        "folders": sorted(side_files.FOLDERS),
        "raw": sorted(side_files.RAW),
        "jpeg": sorted(side_files.JPEG),
    }
