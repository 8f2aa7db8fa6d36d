"""How the site is: for load balancers, for the supervisor, and for people."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.require import require
from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.lane import in_lane
from webapp.api.problems import plain
from webapp.api.shapes.answers import Status
from webapp.api.throttles import OUTAGE
from webapp.api.views import View, shown
from webapp.predictions.health import site_health

PARTS = ("web", "database", "broker", "gpu", "io", "train")
NEEDED = ("web", "database")
WORKERS = ("gpu", "io")


@plain("GET", "HEAD")
async def healthz(request: HttpRequest) -> HttpResponse:
    """GET /healthz: 503 when nothing can be accepted; with `?workers=1` also when nobody would do the work."""
    health = await in_lane(site_health)
    said = {part: health.get(part, "unknown") for part in PARTS} | {"problems": health["problems"]}
    needed = NEEDED + (WORKERS if request.GET.get("workers") == "1" else ())
    is_well = all(said[part] == "ok" for part in needed)
    return JsonResponse(said, status=200 if is_well else 503, headers={"Cache-Control": "no-store"})


class SiteStatus(View):
    @describe("status.read", "Parts of the site, its workers and its queue", answers=Status)
    def get(self, request: Request) -> Response:
        require(self.actor, Action.VIEW_SITE)
        said: dict[str, Any] = dict.fromkeys(PARTS, "unknown") | site_health()
        return Response(shown(Status, said | {"unthrottled_calls": OUTAGE.uncounted}))
