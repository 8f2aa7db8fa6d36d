"""Versions on the same frozen images: evaluated, compared, looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.lookup import version_for
from webapp.api.paging import PageQuery, page, with_query
from webapp.api.runs import chosen_snapshot
from webapp.api.shapes import comparisons as shapes
from webapp.api.tables import csv_answer
from webapp.api.views import View, address, read_body, read_query, shown
from webapp.datasets.snapshots import snapshot_by_uid
from webapp.errors import Invalid, NotFound
from webapp.leases import UNDER_WAY
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.comparing import find
from webapp.runs.comparing.choose import default_pair
from webapp.runs.comparing.compare import start_comparison, stop_comparison
from webapp.runs.comparing.evaluate import start_evaluation
from webapp.runs.comparing.evaluated_images import Wanted, evaluated_images
from webapp.runs.comparing.gallery import Chosen, Gallery, Shown, gallery
from webapp.runs.models import Comparison
from webapp.runs.report_tables import report_table
from webapp.versions.models import Version


class Evaluations(View):
    @describe(
        "evaluations.create",
        "Evaluate a version on a part of a snapshot",
        description="What was evaluated before is answered at once, with 201; else a train worker does it: 202.",
        takes=shapes.NewEvaluation,
        answers={201: shapes.EvaluationDetail, 202: shapes.EvaluationDetail},
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewEvaluation, request)
        project = project_by_slug(self.actor, slug, Action.COMPARE)
        row = start_evaluation(
            actor=self.actor,
            version=version_for(self.actor, asked["version"]),
            snapshot=chosen_snapshot(self.actor, project, asked["snapshot"]),
            part=asked["part"],
        )
        return _started(request, shown(shapes.EvaluationDetail, row), row.state, "api-evaluation", row.pk)


class OneEvaluation(View):
    @describe("evaluations.read", "How far an evaluation is, and its report", answers=shapes.EvaluationDetail)
    def get(self, request: Request, pk: int) -> Response:
        return Response(shown(shapes.EvaluationDetail, find.evaluation_by_id(self.actor, pk)))


class EvaluationImages(View):
    @describe(
        "evaluations.images",
        "Images of an evaluation: all, the mistakes, or those of a cell of its matrix",
        description="The surest mistakes first. Images that were withdrawn since are left out.",
        query=[shapes.ToldQuery],
        answers=shapes.ToldPageShape,
    )
    def get(self, request: Request, pk: int) -> Response:
        row = find.evaluation_by_id(self.actor, pk)
        asked = read_query(shapes.ToldQuery, request)
        wanted = Wanted(asked["truth"], asked["answer"], asked["wrong"])
        found = evaluated_images(row, wanted, cursor=asked["cursor"], limit=asked["limit"])
        keys = {key for one in found.images for key in (one.truth, one.answer)}
        names = find.names_of(row.snapshot.project, keys, [row.version])
        after = None if found.next is None else with_query(request, cursor=str(found.next))
        results = [
            {
                "image": one.image.pk,
                "path": one.image.path,
                "truth": {"key": one.truth, "name": names[one.truth]},
                "answer": {"key": one.answer, "name": names[one.answer], "score": one.score},
                "thumbnail": address(request, "api-image-thumbnail", one.image.pk, 256),
            }
            for one in found.images
        ]
        return Response({"results": results, "total": found.total, "next": after})


class EvaluationTable(View):
    @describe(
        "evaluations.table",
        "A report as a table: its figures, its labels, or its matrix",
        query=[shapes.TableQuery],
        answers={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        row = find.evaluation_by_id(self.actor, pk)
        of = read_query(shapes.TableQuery, request)["of"]
        if not row.report:
            raise NotFound(f"This evaluation is {row.get_state_display()}: it has no report.")
        return csv_answer(report_table(row.report, of), f"{of}-{row.version_id}-{row.part}.csv")


class Comparisons(View):
    @describe(
        "comparisons.list",
        "The comparisons of a project, newest first",
        query=[PageQuery],
        answers=page_of(shapes.ComparisonShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = find.comparisons_of(project_by_slug(self.actor, slug, Action.VIEW_RUNS))
        return Response(page(rows, request, shape=lambda row: shown(shapes.ComparisonShape, row)))

    @describe(
        "comparisons.create",
        "Compare a candidate with what is in use, or any two versions",
        description="Answered at once (201) when it was made before or is refused, which `code` and `offer` say; else "
        "workers evaluate what is missing and compare: 202, then read it until `state` is none of waiting, leased.",
        takes=shapes.NewComparison,
        answers={201: shapes.ComparisonDetail, 202: shapes.ComparisonDetail},
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewComparison, request)
        project = project_by_slug(self.actor, slug, Action.COMPARE)
        row = start_comparison(
            actor=self.actor,
            project=project,
            a=chosen_a(self.actor, project, asked["a"]),
            b=version_for(self.actor, asked["b"]),
            snapshot=snapshot_by_uid(self.actor, asked["snapshot"]) if asked["snapshot"] else None,
            part=asked["part"],
        )
        return _started(request, detail(row.pk), row.state, "api-comparison", row.uid)


class OneComparison(View):
    @describe(
        "comparisons.read", "One comparison: its verdict and all that it rests on", answers=shapes.ComparisonDetail
    )
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(detail(find.comparison_by_uid(self.actor, uid).pk))


class StopComparison(View):
    @describe("comparisons.stop", "End a comparison before it is done", answers=shapes.ComparisonDetail)
    def post(self, request: Request, uid: UUID) -> Response:
        row = find.comparison_by_uid(self.actor, uid, Action.COMPARE)
        return Response(detail(stop_comparison(actor=self.actor, comparison=row).pk))


class ComparisonGallery(View):
    @describe(
        "comparisons.gallery",
        "Images of a comparison: fixed, broken, wrong in both, or those of a cell",
        description="The surest mistakes first. Images that were withdrawn since are left out.",
        query=[shapes.GalleryQuery],
        answers=shapes.GalleryPageShape,
    )
    def get(self, request: Request, uid: UUID) -> Response:
        row = find.comparison_by_uid(self.actor, uid)
        asked = read_query(shapes.GalleryQuery, request)
        found = gallery(row, chosen_of(asked), cursor=asked["cursor"], limit=asked["limit"])
        names = names_in(row, found)
        after = None if found.next is None else with_query(request, cursor=str(found.next))
        results = [_image(request, one, names) for one in found.images]
        return Response({"results": results, "total": found.total, "next": after})


def chosen_a(actor: Actor, project: Project, pk: int | None) -> Version:
    """The version that was named, else what is in use."""
    if pk is not None:
        return version_for(actor, pk)
    in_use, _ = default_pair(project)
    if in_use is None:
        raise Invalid(f"Nothing is in use in {project.slug}: name both versions, `a` and `b`.", code="no-model")
    return in_use


def chosen_of(asked: Mapping[str, Any]) -> Chosen:
    same = {name: asked[name] for name in ("kind", "truth", "answer", "side", "by", "value")}
    return Chosen(label=asked["class"], **same)


def names_in(row: Comparison, found: Gallery) -> dict[str, str]:
    keys = {key for one in found.images for key in (one.truth, one.a, one.b)}
    return find.names_of(row.project, keys, (row.version_a, row.version_b))


def detail(pk: int) -> dict[str, Any]:
    """As it is now; the acts give rows that do not know their headline."""
    row = find.told().get(pk=pk)
    evaluations = [shown(shapes.EvaluationShape, one) for one in (row.a, row.b) if one is not None]
    return {**shown(shapes.ComparisonShape, row), **find.found_of(row), "evaluations": evaluations}


def _image(request: Request, one: Shown, names: Mapping[str, str]) -> dict[str, Any]:
    def answer(key: str, score: float) -> dict[str, Any]:
        return {"key": key, "name": names[key], "score": score}

    return {
        "image": one.image.pk,
        "path": one.image.path,
        "kind": one.kind,
        "truth": {"key": one.truth, "name": names[one.truth]},
        "a": answer(one.a, one.score_a),
        "b": answer(one.b, one.score_b),
        "thumbnail": address(request, "api-image-thumbnail", one.image.pk, 256),
    }


def _started(request: Request, told: dict[str, Any], state: str, route: str, key: object) -> Response:
    """201 for what is over already, 202 with the address to ask again for what workers do."""
    if state not in UNDER_WAY:
        return Response(told, status=201)
    headers = {"Location": address(request, route, key), "Retry-After": "2"}
    return Response(told, status=202, headers=headers)
