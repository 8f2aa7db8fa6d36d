"""How the site is: what needs attention, what is in progress, what finished, who is here, what was done."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from webapp.access.actors import Actor
from webapp.access.models import ApiToken, AuditEvent, User
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.images.items import ARCHIVE
from webapp.images.models import Item, Upload
from webapp.pages.answering import page
from webapp.predictions.health import site_health
from webapp.predictions.models import Worker
from webapp.projects.find import visible_projects

SHOWN = 12
AUDIT_SHOWN = 100
# A zip that is unpacked is not a file any more: its entries stand for it.
FILES = ~Q(items__state=Item.State.DONE, items__code=ARCHIVE)
UNSETTLED = Q(items__state__in=[Item.State.EXPECTED, Item.State.RECEIVED])


@page()
def status(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Anybody signed in sees how the site is; people, tokens and the log are for admins of the site."""
    require(actor, Action.VIEW_SITE)
    rules = allowed(actor, Action.MANAGE_SITE)
    context = {"health": site_health(), "workers": Worker.objects.order_by("queue", "name"), **jobs(actor)}
    if rules:
        context |= {"people": people(), "tokens": tokens(), "audit": audit_of(request), "rules": True}
    return render(request, "pages/status.html", context)


def jobs(actor: Actor) -> dict[str, Any]:
    """Uploads in progress, those with failures, and those finished last."""
    rows = Upload.objects.filter(project__in=visible_projects(actor)).exclude(kind=Upload.Kind.CALL)
    counted = rows.select_related("project", "created_by").annotate(
        total=Count("items", filter=FILES),
        left=Count("items", filter=UNSETTLED),
        failed=Count("items", filter=Q(items__state=Item.State.FAILED)),
    )
    newest = list(counted.order_by("-pk")[: 4 * SHOWN])
    return {
        "in_progress": [row for row in newest if row.left or row.state == Upload.State.WORKING][:SHOWN],
        "with_failures": [row for row in newest if row.failed][:SHOWN],
        "finished": [row for row in newest if not row.left and row.state != Upload.State.WORKING][:SHOWN],
    }


def people() -> QuerySet[User]:
    return User.objects.prefetch_related("memberships__project").order_by("-is_superuser", "username")


def tokens() -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(revoked_at=None).select_related("user", "project").order_by("-pk")[:AUDIT_SHOWN]


def audit_of(request: HttpRequest) -> QuerySet[AuditEvent]:
    """The newest events, those before `before` for a further page."""
    rows = AuditEvent.objects.select_related("user", "project").order_by("-pk")
    before = request.GET.get("before", "")
    if before.isdecimal():
        rows = rows.filter(pk__lt=int(before))
    return rows[:AUDIT_SHOWN]
