"""Projects, their labels, sites and visits."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of, page_of
from webapp.api.lookup import site_of
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import projects as shapes
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.projects.create import create_project
from webapp.projects.edit import edit_project
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.labels import add_label, label_by_key_or_name, rename_label, search_labels
from webapp.projects.models import Site, Visit
from webapp.projects.place_rule import PlaceRule
from webapp.projects.places import create_site, create_visit
from webapp.reviews.merge_labels import merge_labels


class Projects(View):
    @describe("projects.list", "The projects you may see", query=[PageQuery], answers=page_of(shapes.ProjectShape))
    def get(self, request: Request) -> Response:
        rows = visible_projects(self.actor)
        return Response(page(rows, request, shape=lambda row: shown(shapes.ProjectShape, row), keys=("name", "pk")))

    @describe("projects.create", "Make a project", takes=shapes.NewProject, answers=shapes.ProjectShape, status=201)
    def post(self, request: Request) -> Response:
        project = create_project(actor=self.actor, **read_body(shapes.NewProject, request))
        headers = {"Location": address(request, "api-project", project.slug)}
        return Response(shown(shapes.ProjectShape, project), status=201, headers=headers)


class OneProject(View):
    @describe("projects.read", "One project", answers=shapes.ProjectShape)
    def get(self, request: Request, slug: str) -> Response:
        return Response(shown(shapes.ProjectShape, project_by_slug(self.actor, slug)))

    @describe("projects.change", "Change a project", takes=shapes.ProjectChange, answers=shapes.ProjectShape)
    def patch(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.ProjectChange, request)
        project = project_by_slug(self.actor, slug, Action.MANAGE_PROJECT)
        return Response(shown(shapes.ProjectShape, edit_project(actor=self.actor, project=project, **asked)))


class Labels(View):
    @describe(
        "labels.list",
        "The labels of a project, or those whose names hold some words",
        query=[shapes.LabelQuery],
        answers=list_of(shapes.LabelShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        asked = read_query(shapes.LabelQuery, request)
        project = project_by_slug(self.actor, slug)
        rows = search_labels(project, asked["search"], asked["limit"]).select_related("parent")
        return Response({"results": [shown(shapes.LabelShape, row) for row in rows]})

    @describe("labels.create", "Add a label", takes=shapes.NewLabel, answers=shapes.LabelShape, status=201)
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewLabel, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        parent = asked.pop("parent")
        above = label_by_key_or_name(project, parent) if parent else None
        label = add_label(actor=self.actor, project=project, parent=above, **asked)
        return Response(shown(shapes.LabelShape, label), status=201)


class OneLabel(View):
    @describe(
        "labels.rename",
        "Give a label another name; its key stays",
        takes=shapes.LabelChange,
        answers=shapes.LabelShape,
    )
    def patch(self, request: Request, slug: str, key: str) -> Response:
        asked = read_body(shapes.LabelChange, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        label = rename_label(actor=self.actor, label=label_by_key_or_name(project, key), **asked)
        return Response(shown(shapes.LabelShape, label))


class MergeLabel(View):
    @describe(
        "labels.merge",
        "Let a label mean another from now on; verdicts keep the word they were given",
        takes=shapes.LabelMerge,
        answers=shapes.LabelShape,
    )
    def post(self, request: Request, slug: str, key: str) -> Response:
        asked = read_body(shapes.LabelMerge, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        label = label_by_key_or_name(project, key)
        into = merge_labels(actor=self.actor, label=label, into=label_by_key_or_name(project, asked["into"]))
        return Response(shown(shapes.LabelShape, into))


class Sites(View):
    @describe("sites.list", "The sites of a project", query=[PageQuery], answers=page_of(shapes.SiteShape))
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug)
        rule = PlaceRule(self.actor, project)
        rows = Site.objects.filter(project=project)
        return Response(page(rows, request, shape=lambda row: site_shape(row, rule), keys=("name", "pk")))

    @describe("sites.create", "Add a site", takes=shapes.NewSite, answers=shapes.SiteShape, status=201)
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewSite, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        site = create_site(actor=self.actor, project=project, **asked)
        return Response(site_shape(site, PlaceRule(self.actor, project)), status=201)


class Visits(View):
    @describe("visits.list", "The visits of a project", query=[PageQuery], answers=page_of(shapes.VisitShape))
    def get(self, request: Request, slug: str) -> Response:
        rows = Visit.objects.filter(project=project_by_slug(self.actor, slug)).select_related("site")
        return Response(page(rows, request, shape=lambda row: shown(shapes.VisitShape, row)))

    @describe("visits.create", "Add a visit", takes=shapes.NewVisit, answers=shapes.VisitShape, status=201)
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewVisit, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        site = site_of(project, asked.pop("site"))
        visit = create_visit(actor=self.actor, project=project, site=site, **asked)
        return Response(shown(shapes.VisitShape, visit), status=201)


def site_shape(site: Site, rule: PlaceRule) -> dict[str, Any]:
    place = rule.shown(site, sensitive=site.sensitive)
    return {
        "id": str(site.uid),
        "name": site.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "coordinates": place.coordinates,
        "time_zone": site.time_zone,
        "notes": site.notes,
    }
