"""Review: a sequence at a time, out of a queue or from the grid on. The page's script does the rest through REST."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import NotSignedIn
from webapp.pages import progress
from webapp.pages.answering import attempt, page
from webapp.projects.find import project_by_slug
from webapp.projects.models import Label, Project
from webapp.reviews.models import Change
from webapp.reviews.queues import queue_of
from webapp.runs.working_heads.decide import accept_head, dismiss_head, end_suggestions, head_by_uid
from webapp.runs.working_heads.offer import offered, sentence

SLOTS = 9
OWN = ("queue", "image")


@page()
def review(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.REVIEW)
    if actor.user is None:
        raise NotSignedIn("Sign in to review.")
    request.session["project"] = slug
    queue = request.GET.get("queue", "")[:40]
    selection = {name: value for name, value in request.GET.items() if name not in OWN}
    context = {
        "project": project,
        "queue_name": queue_of(queue).name if queue else "",
        "offer": _offer(actor, project),
        "narrowed": urlencode(selection).replace("&", ", ").replace("=", " "),
        "script": _script(request, actor, project) | {"queue": queue, "selection": selection},
    }
    return render(request, "pages/review.html", context)


def _offer(actor: Actor, project: Project) -> dict[str, str] | None:
    """A head that learned while people worked here, for those who may say yes or no."""
    head = offered(project) if allowed(actor, Action.CURATE, project) else None
    return {"uid": str(head.uid), "words": sentence(head)} if head is not None else None


@page("POST")
def accept(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    head = head_by_uid(actor, uid, Action.CURATE)
    words = "It suggests within seconds. What answers calls and reports stays the same."
    return attempt(request, reverse("review", args=[slug]), words, lambda: accept_head(actor=actor, head=head))


@page("POST")
def dismiss(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    head = head_by_uid(actor, uid, Action.CURATE)
    words = "Suggestions stay as they are. The next head is offered after many more verdicts."
    return attempt(request, reverse("review", args=[slug]), words, lambda: dismiss_head(actor=actor, head=head))


@page("POST")
def end(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.CURATE)
    words = "Suggestions come from the version in use again."
    return attempt(
        request, reverse("models", args=[slug]), words, lambda: end_suggestions(actor=actor, project=project)
    )


def _script(request: HttpRequest, actor: Actor, project: Project) -> dict[str, Any]:
    image = request.GET.get("image", "")
    return {
        "project": project.slug,
        "person": actor.user.get_username() if actor.user else "",
        "image": int(image) if image.isascii() and image.isdigit() and len(image) < 19 else None,
        "rights": {"curate": allowed(actor, Action.CURATE, project)},
        "pinned": quick_labels(project),
        "fields": list(project.fields.values("key", "name", "kind", "choices", "shortcut")),
        "doneToday": done_today(actor, project),
    }


def quick_labels(project: Project) -> list[dict[str, str]]:
    """The labels that have a key of their own: those pinned, then the most frequent."""
    counts = progress.facet(project, "label")
    labels = Label.objects.filter(project=project, merged_into=None).only("pk", "key", "name", "pinned", "position")
    pinned = list(labels.filter(pinned=True)[:SLOTS])
    frequent = sorted((int(pk) for pk in counts if pk), key=lambda pk: -counts[str(pk)])[:SLOTS]
    found = labels.in_bulk(frequent)
    rows = [*pinned, *(found[pk] for pk in frequent if pk in found)]
    if len(rows) < SLOTS:
        rows += labels.filter(kind=Label.Kind.NORMAL).order_by("position")[:SLOTS]
    return [{"key": one.key, "label": one.name} for one in list(dict.fromkeys(rows))[:SLOTS]]


def done_today(actor: Actor, project: Project) -> int:
    """Decisions of this person since midnight in their zone that were not taken back."""
    if actor.user is None:
        return 0
    zone = ZoneInfo(actor.user.time_zone or project.time_zone or "UTC")
    midnight = datetime.combine(timezone.now().astimezone(zone).date(), time(), zone)
    mine = Change.objects.filter(project=project, by=actor.user, at__gte=midnight, undoes=None)
    return mine.filter(undone_by=None).count()
