"""Images: the list, one of them, its bytes, and what machine and people say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of, page_of
from webapp.api.image_shapes import COLUMNS, image_shapes
from webapp.api.lookup import image_for, prediction_for
from webapp.api.paging import Narrow, PageQuery, page
from webapp.api.shapes import images as shapes
from webapp.api.views import View, read_query, shown
from webapp.datasets import selection
from webapp.errors import NotFound
from webapp.images.models import ImageState
from webapp.predictions.answer import answer_of
from webapp.predictions.models import Prediction
from webapp.predictions.retry import retry
from webapp.projects.find import project_by_slug
from webapp.projects.place_rule import PlaceRule


class Images(View):
    @describe(
        "images.list",
        "The images of a project",
        query=[shapes.ImageQuery, PageQuery],
        answers=page_of(shapes.ImageShape),
    )
    def get(self, request: Request) -> Response:
        asked = read_query(shapes.ImageQuery, request)
        project = project_by_slug(self.actor, asked.pop("project"), Action.VIEW_IMAGES)
        chosen = selection.read(asked)
        rows = selection.apply(project, replace(chosen, text="")).values(*COLUMNS)
        narrow = _search(chosen) if chosen.text else None
        found = page(rows, request, shape=lambda row: row, keys=selection.ORDERS[chosen.order], narrow=narrow)
        found["results"] = image_shapes(found["results"], project, PlaceRule(self.actor, project), request)
        return Response(found)


def _search(chosen: selection.Selection) -> Narrow:
    def narrow(rows: selection.Rows, first: Any, last: Any) -> selection.Rows:
        first_id, last_id = (None if row is None else row["image_id"] for row in (first, last))
        ranges = {"newest": (last_id, first_id), "oldest": (first_id, last_id)}
        return selection.narrowed_by_text(rows, chosen.text, ids=ranges.get(chosen.order))

    return narrow


class OneImage(View):
    @describe("images.read", "One image", answers=shapes.ImageShape)
    def get(self, request: Request, pk: int) -> Response:
        project = image_for(self.actor, pk).project
        row = ImageState.objects.filter(pk=pk).values(*COLUMNS).first()
        if row is None:
            raise NotFound(f"The image {pk} was withdrawn.", code="withdrawn")
        return Response(image_shapes([row], project, PlaceRule(self.actor, project), request)[0])


class ImagePredictions(View):
    @describe(
        "images.predictions",
        "All that machines said of an image, newest first",
        answers=list_of(shapes.PredictionShape),
    )
    def get(self, request: Request, pk: int) -> Response:
        image = image_for(self.actor, pk)
        rows = image.predictions.order_by("-pk")
        return Response({"results": [prediction_shape(row, all_scores=False) for row in rows]})


class OnePrediction(View):
    @describe(
        "predictions.read",
        "One answer: the job of a call that was answered 202",
        query=[shapes.ScoresQuery],
        answers=shapes.PredictionShape,
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = read_query(shapes.ScoresQuery, request)
        prediction = prediction_for(self.actor, pk)
        return Response(prediction_shape(prediction, all_scores=asked["scores"] == "all"))


class RetryPrediction(View):
    @describe("predictions.retry", "Try a failed answer again", answers=shapes.Retried)
    def post(self, request: Request, pk: int) -> Response:
        prediction = prediction_for(self.actor, pk, Action.RECOGNISE)
        return Response({"retried": retry(actor=self.actor, predictions=[prediction.pk])})


def prediction_shape(row: Prediction, *, all_scores: bool) -> dict[str, Any]:
    more = {"id": row.pk, "purpose": row.purpose, "created_at": row.created_at, "done_at": row.done_at}
    return shown(shapes.PredictionShape, answer_of(row.pk, all_scores=all_scores) | more)
