"""The first page after signing in: where does this project stand?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership, Role
from webapp.access.require import allowed, role_in
from webapp.access.table import Action
from webapp.errors import NotSignedIn
from webapp.images.models import Upload
from webapp.pages import progress
from webapp.pages.answering import page
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Label, Project
from webapp.versions.activate import newest_activation

RECENT = 8
LABELS_SHOWN = 400
PLACES_SHOWN = 100


@page()
def projects(request: HttpRequest, actor: Actor) -> HttpResponse:
    if actor.via is Via.NOBODY:
        raise NotSignedIn("Sign in to see your projects.")
    found = list(visible_projects(actor))
    rows = [{"project": one, "role": _role(actor, one), "images": _images(one)} for one in found]
    return render(request, "pages/projects.html", {"rows": rows, "can_create": allowed(actor, Action.CREATE_PROJECT)})


@page()
def project(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    found = project_by_slug(actor, slug)
    if actor.user is not None:
        request.session["project"] = slug
    context = {"project": found, **_standing(actor, found), **_words(found), **_rights(actor, found)}
    return render(request, "pages/project.html", context)


def _images(project: Project) -> int:
    return sum(progress.facet(project, "all").values())


def _role(actor: Actor, project: Project) -> str:
    if actor.user is None:
        return "guest"
    return role_in(actor, project) or ("site admin" if actor.user.is_superuser else "")


def _standing(actor: Actor, project: Project) -> dict[str, Any]:
    sites = progress.by_site(project)
    total = progress.total_of(sites)
    pace = progress.seconds_a_review(actor, project)
    activation = newest_activation(project)
    pipeline = activation.pipeline if activation else None
    uploads = Upload.objects.filter(project=project).exclude(kind=Upload.Kind.CALL).order_by("-pk")
    return {
        "sites_progress": sites,
        "total": total,
        "minutes_left": round(total.left * pace / 60) if pace else None,
        "pace": pace,
        "next_action": progress.next_action(actor, project, pipeline),
        "latest": progress.latest_change(project) if actor.user else None,
        "activation": activation,
        "uploads": uploads.select_related("created_by")[:RECENT],
        "my_role": _role(actor, project),
    }


def _words(project: Project) -> dict[str, Any]:
    """Labels with how many images show them, sites, visits, fields."""
    counts = progress.facet(project, "label")
    labels = list(project.labels.filter(merged_into=None).select_related("parent").prefetch_related("names"))
    for label in labels:
        label.images = counts.get(str(label.pk), 0)  # type: ignore[attr-defined]
    labels.sort(key=lambda label: (-label.images, label.position, label.name))  # type: ignore[attr-defined]
    return {
        "labels": labels[:LABELS_SHOWN],
        "labels_total": len(labels),
        "kinds": Label.Kind.choices,
        "sites": project.sites.order_by("name")[:PLACES_SHOWN],
        "visits": project.visits.select_related("site", "project").order_by("-start", "name")[:PLACES_SHOWN],
        "fields": project.fields.all(),
    }


def _rights(actor: Actor, project: Project) -> dict[str, Any]:
    may_manage = allowed(actor, Action.MANAGE_PEOPLE, project)
    members = Membership.objects.filter(project=project).select_related("user").order_by("user__username")
    return {
        "may_recognise": allowed(actor, Action.RECOGNISE, project),
        "may_review": allowed(actor, Action.REVIEW, project),
        "may_curate": allowed(actor, Action.CURATE, project),
        "may_manage": may_manage,
        "members": members if actor.user else members.none(),
        "roles": Role.choices,
    }
