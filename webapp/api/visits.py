"""Where and when pictures were taken, put in order: tables, folders, clocks, sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp import queue
from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.describe import describe
from webapp.api.shapes import visits as shapes
from webapp.api.views import View, read_body, shown
from webapp.errors import NotFound
from webapp.images import clock, finding_sites, visits
from webapp.images.arrange import TASK as ARRANGE
from webapp.images.finding_sites import Levels
from webapp.images.models import ClockRepair
from webapp.projects.find import project_by_slug
from webapp.projects.label_tree import read_tree, take_tree
from webapp.projects.models import Project, Visit
from webapp.projects.visits_table import read_visits, take_visits


class PlacesOrder(View):
    @describe("places.read", "What belongs nowhere yet, and which visits overlap", answers=shapes.PlacesOrderShape)
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug)
        orphans, overlaps = visits.orphans(project), visits.overlaps(project)
        return Response(shown(shapes.PlacesOrderShape, {"orphans": orphans, "overlaps": overlaps}))

    @describe(
        "places.arrange",
        "Have sites, visits and sequences found anew",
        description="A worker does it; what is in order already stays.",
        status=202,
        answers=shapes.Accepted,
    )
    def post(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.CURATE)
        queue.send(ARRANGE, project.pk, queue="io")
        return Response({"state": "waiting"}, status=202)


class SitesFromFolders(View):
    @describe(
        "sites.from_folders",
        "Make sites, and visits, of the folders that images came in",
        takes=shapes.FolderLevels,
        answers=shapes.FolderSites,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.FolderLevels, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        levels = Levels(asked["site"], asked["visit"])
        if asked["dry_run"]:
            found = finding_sites.propose_from_folders(project, levels)
        else:
            found = finding_sites.sites_from_folders(
                actor=self.actor, project=project, levels=levels, also_later=asked["also_later"]
            )
        named = [{"site": site, "visit": visit, "images": count} for (site, visit), count in found.visits.items()]
        return Response({"sites": found.sites, "visits": named, "without": found.without})


class SitesFromCoordinates(View):
    @describe(
        "sites.from_coordinates",
        "Make sites of the coordinates that cameras wrote",
        takes=shapes.Reach,
        answers=shapes.Moved,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.Reach, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        moved = finding_sites.sites_from_coordinates(actor=self.actor, project=project, metres=asked["metres"])
        return Response({"images": moved})


class TableView(View):
    """A pasted table: read, and taken unless it is only to be looked at."""

    def taken(self, request: Request, slug: str, read: Callable[[Project, str], Any], take: Callable[..., Any]) -> Any:
        asked = read_body(shapes.PastedTable, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        table = read(project, asked["text"])
        if not asked["dry_run"]:
            take(project, table)
        return table


class VisitsTable(TableView):
    @describe(
        "visits.table",
        "Make sites and visits of a table",
        description="The text of a spreadsheet with a heading line. With `dry_run` it is only read and checked.",
        takes=shapes.PastedTable,
        answers=shapes.TableTaken,
    )
    def post(self, request: Request, slug: str) -> Response:
        def take(project: Project, table: Any) -> None:
            take_visits(actor=self.actor, project=project, table=table)
            queue.send(ARRANGE, project.pk, queue="io")

        table = self.taken(request, slug, read_visits, take)
        return Response(
            {
                **{"rows": len(table.rows), "problems": table.problems, "notices": table.notices},
                **{"columns": table.columns, "unused": table.unused},
            }
        )


class LabelsTable(TableView):
    @describe(
        "labels.table",
        "Make labels, their names and their tree of a table",
        description="Columns: name, scientific_name, parent, kind, synonyms (a|b), name:LANGUAGE, id:SOURCE.",
        takes=shapes.PastedTable,
        answers=shapes.TableTaken,
    )
    def post(self, request: Request, slug: str) -> Response:
        def take(project: Project, tree: Any) -> None:
            take_tree(actor=self.actor, project=project, tree=tree)

        tree = self.taken(request, slug, read_tree, take)
        return Response({"rows": len(tree.rows), "problems": tree.problems, "notices": [], "columns": {}, "unused": []})


class VisitClock(View):
    @describe("visits.clock", "A visit's clock: its repairs, and whether daylight fits", answers=shapes.ClockShape)
    def get(self, request: Request, uid: UUID) -> Response:
        visit = visit_by_uid(self.actor, uid, Action.VIEW_PROJECT)
        hint = clock.clock_hint(visit)
        repairs = visit.clock_repairs.select_related("by", "undone_by").order_by("-pk")
        return Response(shown(shapes.ClockShape, {"hint": hint and asdict(hint), "repairs": repairs}))

    @describe(
        "visits.repair_clock",
        "Put a visit's clock right: how far it was behind, and its zone",
        takes=shapes.NewRepair,
        answers=shapes.RepairShape,
        status=201,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.NewRepair, request)
        visit = visit_by_uid(self.actor, uid, Action.CURATE)
        return Response(
            shown(shapes.RepairShape, clock.repair_clock(actor=self.actor, visit=visit, **asked)), status=201
        )


class UndoRepair(View):
    @describe("visits.undo_clock", "Take a repair of a clock back", answers=shapes.RepairShape)
    def post(self, request: Request, pk: int) -> Response:
        repair = ClockRepair.objects.select_related("visit__project", "visit__site").filter(pk=pk).first()
        if repair is None:
            raise NotFound(f"There is no clock repair {pk} that you may see.")
        visit_by_uid(self.actor, repair.visit.uid, Action.CURATE)
        return Response(shown(shapes.RepairShape, clock.undo_repair(actor=self.actor, repair=repair)))


def visit_by_uid(actor: Actor, uid: UUID, action: Action) -> Visit:
    """The visit, for those who may see its project."""
    visit = Visit.objects.select_related("project", "site").filter(uid=uid).first()
    if visit is None:
        raise NotFound(f"There is no visit {uid} that you may see.")
    project_by_slug(actor, visit.project.slug, action)
    return visit
