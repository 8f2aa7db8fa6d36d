"""Is the data any good? The last analysis, a new one, and what it found."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import health as shapes
from webapp.api.views import View, read_body, read_query, shown
from webapp.datasets.whole_health import whole_health
from webapp.projects.find import project_by_slug
from webapp.reviews import analysis
from webapp.reviews.minimums import set_minimums
from webapp.reviews.models import Analysis, Finding
from webapp.reviews.near_duplicates import clusters_of, members_of


class Health(View):
    @describe("data.health", "What is wrong with a project's data", answers=shapes.HealthShape)
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        done, going = analysis.newest(project), analysis.under_way(project)
        answer = {"analysis": done, "under_way": going, "report": whole_health(project, done) if done else {}}
        return Response(shown(shapes.HealthShape, answer))


class Analyses(View):
    @describe(
        "data.analyses", "The last analyses of a project", query=[PageQuery], answers=page_of(shapes.AnalysisShape)
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = Analysis.objects.filter(project=project_by_slug(self.actor, slug, Action.VIEW_IMAGES)).defer("report")
        return Response(page(rows, request, shape=lambda row: shown(shapes.AnalysisShape, row)))

    @describe("data.analyse", "Have the data looked at anew", answers=shapes.AnalysisShape, status=202)
    def post(self, request: Request, slug: str) -> Response:
        row = analysis.request(actor=self.actor, project=project_by_slug(self.actor, slug, Action.REVIEW))
        return Response(shown(shapes.AnalysisShape, row), status=202)


class Findings(View):
    @describe(
        "data.findings",
        "Images that somebody should look at, and why; the most pressing first",
        query=[PageQuery, shapes.FindingQuery],
        answers=page_of(shapes.FindingShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        asked = read_query(shapes.FindingQuery, request)
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        rows = Finding.objects.filter(project=project, kind=asked["kind"], settled_at__isnull=not asked["settled"])
        rows = rows.filter(image__withdrawn_at=None).select_related("image", "label")
        keys = ("-score", "image_id")
        return Response(page(rows, request, shape=lambda row: shown(shapes.FindingShape, row), keys=keys))


class NearDuplicates(View):
    @describe(
        "data.near_duplicates",
        "Clusters of near-duplicates with their images",
        query=[PageQuery],
        answers=page_of(shapes.ClusterShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        found = page(clusters_of(project), request, shape=dict, keys=("cluster",))
        members = members_of(project, [row["cluster"] for row in found["results"]])
        shape = shapes.ClusterShape
        found["results"] = [
            shown(shape, {"cluster": row["cluster"], "count": row["images"], "images": members[row["cluster"]]})
            for row in found["results"]
        ]
        return Response(found)


class Minimums(View):
    @describe(
        "data.minimums",
        "Say how much of each label is enough",
        takes=shapes.NewMinimums,
        answers=shapes.NewMinimums,
    )
    def put(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewMinimums, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        return Response(shown(shapes.NewMinimums, set_minimums(actor=self.actor, project=project, **asked)))
