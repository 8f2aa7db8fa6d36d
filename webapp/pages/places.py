"""The Sites page: where and when, what belongs nowhere yet, tables pasted in, and clocks put right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from webapp import queue
from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import Invalid, NotFound, OspreyError
from webapp.images import clock, finding_sites, visits
from webapp.images.arrange import TASK as ARRANGE
from webapp.images.finding_sites import Levels, Proposal
from webapp.images.models import ClockRepair, Image, ImageState
from webapp.images.times import clock_zone, zone_of
from webapp.pages import progress
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.label_tree import read_tree, take_tree
from webapp.projects.models import Project, Site, Visit
from webapp.projects.place_rule import PlaceRule, ShownPlace
from webapp.projects.visits_table import read_visits, take_visits

SHOWN = 500
EXAMPLES = 5
NEWEST = 500
"""Images without a site that are looked through for examples."""


@dataclass(frozen=True)
class SiteRow:
    site: Site
    place: ShownPlace
    images: int
    visits: Sequence[tuple[Visit, int]]


@page()
def places(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    return render(request, "pages/places.html", _context(actor, project_by_slug(actor, slug)))


@page("POST")
def from_folders(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    """First a look at what would be made; a second press makes it."""
    project = project_by_slug(actor, slug, Action.CURATE)
    levels = Levels(_whole(request, "site") or 0, _whole(request, "visit"))
    if "make" not in request.POST:
        proposal = finding_sites.propose_from_folders(project, levels)
        return render(
            request, "pages/places.html", _context(actor, project) | {"proposal": _shown(proposal), "levels": levels}
        )
    also = "also_later" in request.POST
    return attempt(
        request,
        reverse("places", args=[slug]),
        "The images are at their sites now.",
        lambda: finding_sites.sites_from_folders(actor=actor, project=project, levels=levels, also_later=also),
    )


@page("POST")
def from_coordinates(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    metres = float(_whole(request, "metres") or 100)
    return attempt(
        request,
        reverse("places", args=[slug]),
        "Images with coordinates are at their sites now.",
        lambda: finding_sites.sites_from_coordinates(actor=actor, project=project, metres=metres),
    )


@page("POST")
def take_table(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    text = request.POST.get("text", "")
    try:
        table = read_visits(project, text)
    except OspreyError as error:
        messages.error(request, error.what)
        return render(request, "pages/places.html", _context(actor, project) | {"text": text})
    if table.problems or "make" not in request.POST:
        return render(request, "pages/places.html", _context(actor, project) | {"table": table, "text": text})

    def take() -> None:
        take_visits(actor=actor, project=project, table=table)
        queue.send(ARRANGE, project.pk, queue="io")

    done = f"{len(table.rows):,} lines taken. Images find their visits in a moment."
    return attempt(request, reverse("places", args=[slug]), done, take)


@page("GET", "HEAD", "POST")
def labels_table(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    text = request.POST.get("text", "")
    tree = None
    if request.method == "POST":
        try:
            tree = read_tree(project, text)
        except OspreyError as error:
            messages.error(request, error.what)
    if tree is not None and not tree.problems and "make" in request.POST:
        back = f"{reverse('project', args=[slug])}#labels"
        return attempt(
            request,
            back,
            f"{len(tree.rows):,} labels are as the table says.",
            lambda: take_tree(actor=actor, project=project, tree=tree),
        )
    return render(request, "pages/labels_table.html", {"project": project, "text": text, "tree": tree})


@page()
def visit(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    found = _visit(project_by_slug(actor, slug), uid)
    context = {
        "project": found.project,
        "visit": found,
        "images": progress.facet(found.project, "visit").get(str(found.pk), 0),
        "hint": clock.clock_hint(found),
        "repairs": found.clock_repairs.select_related("by").prefetch_related("undone_by").order_by("-pk"),
        "zone": clock_zone(found, found.site, found.project),
        "example": Image.objects.filter(visit=found).exclude(captured_at="").order_by("pk").first(),
        "may_curate": allowed(actor, Action.CURATE, found.project),
    }
    return render(request, "pages/visit.html", context)


@page("POST")
def repair_clock(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    """By how far it was behind, or by what it showed at a moment whose true time is known."""
    found = _visit(project_by_slug(actor, slug, Action.CURATE), uid)
    back = reverse("visit", args=[slug, uid])
    try:
        offset = _offset(request, found)
    except OspreyError as error:
        messages.error(request, error.what)
        return HttpResponseRedirect(back)
    zone, note = request.POST.get("time_zone", "").strip(), request.POST.get("note", "")
    return attempt(
        request,
        back,
        "The clock is put right. What the cameras wrote is kept.",
        lambda: clock.repair_clock(actor=actor, visit=found, offset_seconds=offset, time_zone=zone, note=note),
    )


@page("POST")
def undo_clock(request: HttpRequest, actor: Actor, slug: str, uid: UUID, pk: int) -> HttpResponse:
    found = _visit(project_by_slug(actor, slug, Action.CURATE), uid)
    repair = ClockRepair.objects.filter(visit=found, pk=pk).first()
    if repair is None:
        raise NotFound("There is no such repair of this clock.")
    return attempt(
        request,
        reverse("visit", args=[slug, uid]),
        "The clock is as it was before.",
        lambda: clock.undo_repair(actor=actor, repair=repair),
    )


def _context(actor: Actor, project: Project) -> dict[str, Any]:
    homeless = Image.objects.filter(project=project, site=None, withdrawn_at=None)
    return {
        "project": project,
        "rows": _rows(actor, project),
        "loose_visits": project.visits.filter(site=None).order_by("-start", "name")[:SHOWN],
        "orphans": visits.orphans(project),
        "overlaps": visits.overlaps(project)[:SHOWN],
        "examples": _examples(project),
        "with_coordinates": homeless.filter(latitude__isnull=False).exists(),
        "rule": project.options.get(finding_sites.RULE),
        "may_curate": allowed(actor, Action.CURATE, project),
    }


def _examples(project: Project) -> list[str]:
    """Paths with folders among the newest images without a site; in the order of the index, which holds the site."""
    newest = ImageState.objects.filter(project=project, site=None).order_by("site_id", "-image")
    paths = newest.values_list("image__path", flat=True)[:NEWEST]
    return [path for path in paths if "/" in path][:EXAMPLES]


def _rows(actor: Actor, project: Project) -> list[SiteRow]:
    by_site, by_visit = progress.facet(project, "site"), progress.facet(project, "visit")
    rule = PlaceRule(actor, project)
    rows = []
    for site in project.sites.prefetch_related("visits__project").order_by("name")[:SHOWN]:
        stays = sorted(site.visits.all(), key=lambda one: (one.start is None, one.start or one.created_at))
        rows.append(
            SiteRow(
                site=site,
                place=rule.shown(site, sensitive=site.sensitive),
                images=by_site.get(str(site.pk), 0),
                visits=[(one, by_visit.get(str(one.pk), 0)) for one in stays],
            )
        )
    return rows


def _shown(proposal: Proposal) -> dict[str, Any]:
    return {
        "sites": list(proposal.sites.items())[:SHOWN],
        "total": len(proposal.sites),
        "visits": len(proposal.visits),
        "without": proposal.without,
    }


def _visit(project: Project, uid: UUID) -> Visit:
    found = Visit.objects.select_related("project", "site").filter(project=project, uid=uid).first()
    if found is None:
        raise NotFound("There is no such visit in this project.")
    return found


def _offset(request: HttpRequest, found: Visit) -> int | None:
    shown, true = request.POST.get("shown", ""), request.POST.get("true", "")
    if not shown and not true:
        hours = request.POST.get("hours", "").replace(",", ".").strip()
        try:
            return round(float(hours) * 3600) if hours else None
        except ValueError:
            raise Invalid(f"{hours!r} is not a number of hours.") from None
    try:
        zone = zone_of(clock_zone(found, found.site, found.project))
        there, here = (datetime.fromisoformat(text).replace(tzinfo=zone) for text in (shown, true))
    except ValueError:
        raise Invalid("Give both times: what the camera showed, and what it should have shown.") from None
    return round((here - there).total_seconds())


def _whole(request: HttpRequest, name: str) -> int | None:
    text = request.POST.get(name, "").strip()
    try:
        return int(text) if text else None
    except ValueError:
        raise Invalid(f"{text[:40]!r} is not a whole number.") from None
