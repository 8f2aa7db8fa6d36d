"""Images: the list, one of them, its bytes, and what machine and people say of it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of, page_of
from webapp.api.lookup import image_for, prediction_for, site_of
from webapp.api.paging import PageQuery, page
from webapp.api.places import PlaceRule
from webapp.api.shapes import images as shapes
from webapp.api.views import View, address, read_query, shown
from webapp.images.models import Image, ImageState
from webapp.images.uploads import upload_by_uid
from webapp.predictions.answer import answer_of
from webapp.predictions.models import Prediction
from webapp.predictions.retry import retry
from webapp.projects.find import project_by_slug
from webapp.projects.labels import label_by_key_or_name
from webapp.projects.models import Project

ORDERS = {
    "newest": ("-image_id",),
    "oldest": ("image_id",),
    "captured": ("captured_at_utc", "image_id"),
    "least-sure": ("score", "image_id"),
}


class Images(View):
    @describe(
        "images.list",
        "The images of a project",
        query=[shapes.ImageQuery, PageQuery],
        answers=page_of(shapes.ImageShape),
    )
    def get(self, request: Request) -> Response:
        asked = read_query(shapes.ImageQuery, request)
        project = project_by_slug(self.actor, asked["project"], Action.VIEW_IMAGES)
        rule = PlaceRule(self.actor, project)
        rows = self._chosen(project, asked)
        shape = lambda state: shown(shapes.ImageShape, image_shape(state.image, rule, request))  # noqa: E731
        return Response(page(rows, request, shape=shape, keys=ORDERS[asked["order"]]))

    def _chosen(self, project: Project, asked: dict[str, Any]) -> QuerySet[ImageState]:
        joined = (
            "image__file",
            "image__project",
            "image__upload",
            "image__site",
            "image__visit",
            "image__state__label",
        )
        rows = ImageState.objects.filter(project=project, image__withdrawn_at=None).select_related(*joined)
        if "label" in asked:
            rows = rows.filter(label=label_by_key_or_name(project, asked["label"]))
        if "site" in asked:
            rows = rows.filter(site=site_of(project, asked["site"]))
        if "upload" in asked:
            rows = rows.filter(upload=upload_by_uid(self.actor, asked["upload"]))
        if asked["failed"] is not None:
            rows = rows.exclude(failure="") if asked["failed"] else rows.filter(failure="")
        if asked["damaged"] is not None:
            rows = rows.filter(damaged=asked["damaged"])
        exact: dict[str, Any] = {name: asked[name] for name in ("review_state", "source") if name in asked}
        if "below" in asked:
            exact["score__lt"] = asked["below"]
        present = {"captured": {"captured_at_utc__isnull": False}, "least-sure": {"score__isnull": False}}
        return rows.filter(**exact, **present.get(asked["order"], {}))


class OneImage(View):
    @describe("images.read", "One image", answers=shapes.ImageShape)
    def get(self, request: Request, pk: int) -> Response:
        image = image_for(self.actor, pk)
        rule = PlaceRule(self.actor, image.project)
        return Response(shown(shapes.ImageShape, image_shape(image, rule, request)))


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


def image_shape(image: Image, rule: PlaceRule, request: Request) -> dict[str, Any]:
    state = image.state
    place = rule.shown(image, sensitive=image.site is not None and image.site.sensitive)
    return {
        "id": image.pk,
        "project": image.project.slug,
        "path": image.path,
        "sha256": image.file.sha256,
        "size_bytes": image.file.size,
        "media_type": image.file.media_type,
        "width": image.width,
        "height": image.height,
        "captured_at": image.captured_at,
        "captured_at_utc": image.captured_at_utc,
        "camera": " ".join(part for part in (image.camera_make, image.camera_model) if part),
        "latitude": place.latitude,
        "longitude": place.longitude,
        "coordinates": place.coordinates,
        "site": image.site.uid if image.site else None,
        "visit": image.visit.uid if image.visit else None,
        "upload": image.upload.uid,
        "damaged_share": image.damaged_share,
        "label": state.label.name if state.label else None,
        "label_key": state.label.key if state.label else None,
        "score": state.score,
        "source": state.source,
        "review_state": state.review_state,
        "failure": state.failure,
        "thumbnail": address(request, "api-image-thumbnail", image.pk, 256),
        "created_at": image.created_at,
    }
