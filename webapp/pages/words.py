"""Forms of the Project page that change its labels, sites, visits and people: each does one act and goes back."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.models import User
from webapp.access.table import Action
from webapp.errors import Invalid, NotFound
from webapp.pages.answering import attempt, page
from webapp.projects import labels, people, places
from webapp.projects.find import project_by_slug
from webapp.projects.models import Label, Project
from webapp.reviews.merge_labels import merge_labels


def back_to(project: Project, part: str) -> str:
    return f"{reverse('project', args=[project.slug])}#{part}"


@page("POST")
def add_label(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    name = request.POST.get("name", "")
    return attempt(
        request,
        back_to(project, "labels"),
        f"Added {name}.",
        lambda: labels.add_label(
            actor=actor,
            project=project,
            name=name,
            kind=request.POST.get("kind", Label.Kind.NORMAL),
            synonyms=_names(request.POST.get("synonyms", "")),
            scientific_name=request.POST.get("scientific_name", "").strip(),
        ),
    )


@page("POST")
def rename_label(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    label = _label(project, pk)
    before, name = label.name, request.POST.get("name", "")
    latin = request.POST.get("scientific_name", label.scientific_name).strip()
    return attempt(
        request,
        back_to(project, "labels"),
        f"{before} is called {name} now. The old name still finds it.",
        lambda: labels.rename_label(actor=actor, label=label, name=name, scientific_name=latin),
    )


@page("POST")
def merge_label(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    label, name = _label(project, pk), request.POST.get("into", "")
    return attempt(
        request,
        back_to(project, "labels"),
        f"{label} means {name} from now on. Verdicts keep the word they were given.",
        lambda: merge_labels(actor=actor, label=label, into=labels.label_by_key_or_name(project, name)),
    )


@page("POST")
def add_site(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    return attempt(
        request,
        back_to(project, "sites"),
        "The site was added.",
        lambda: places.create_site(
            actor=actor,
            project=project,
            name=request.POST.get("name", ""),
            latitude=_number(request.POST.get("latitude", ""), "latitude"),
            longitude=_number(request.POST.get("longitude", ""), "longitude"),
            time_zone=request.POST.get("time_zone", "").strip(),
            sensitive="sensitive" in request.POST,
        ),
    )


@page("POST")
def add_visit(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    chosen = request.POST.get("site", "")
    site = project.sites.filter(pk=int(chosen)).first() if chosen.isdecimal() else None
    return attempt(
        request,
        back_to(project, "sites"),
        "The visit was added.",
        lambda: places.create_visit(
            actor=actor,
            project=project,
            name=request.POST.get("name", ""),
            site=site,
            device=request.POST.get("device", "").strip(),
        ),
    )


@page("POST")
def invite(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    """Somebody new gets a one-time link, shown to the admin once."""
    project = project_by_slug(actor, slug, Action.MANAGE_PEOPLE)
    username = request.POST.get("username", "").strip()

    def bring_in() -> None:
        role, email = request.POST.get("role", ""), request.POST.get("email", "").strip()
        invitation = people.invite(actor=actor, project=project, username=username, role=role, email=email)
        if invitation.secret:
            link = request.build_absolute_uri(reverse("sign-in-link", args=[invitation.secret]))
            messages.info(request, f"Give {username} this link; it works once, within a day: {link}")

    return attempt(request, back_to(project, "people"), f"{username} belongs to {project} now.", bring_in)


@page("POST")
def set_role(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.MANAGE_PEOPLE)
    user = get_object_or_404(User, pk=pk, memberships__project=project)
    role = request.POST.get("role", "")
    back = back_to(project, "people")
    if role == "remove":
        act = lambda: people.remove_member(actor=actor, project=project, user=user)  # noqa: E731
        return attempt(request, back, f"{user} does not belong to {project} any more.", act)
    return attempt(
        request,
        back,
        f"{user} is {role} now.",
        lambda: people.set_role(actor=actor, project=project, user=user, role=role),
    )


def _label(project: Project, pk: int) -> Label:
    label = project.labels.filter(pk=pk).first()
    if label is None:
        raise NotFound(f"The project {project} has no such label any more.")
    return label


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.replace(";", ",").split(",") if name.strip()]


def _number(text: str, what: str) -> float | None:
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise Invalid(f"The {what} {text[:20]!r} is not a number: write decimal degrees, such as -3.07.") from None
