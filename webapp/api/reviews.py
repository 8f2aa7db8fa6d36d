"""What people say of an image: read it, say something, take it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of
from webapp.api.lookup import image_for, individuals_of, prediction_for
from webapp.api.shapes.images import HistoryShape, NewReview, ReviewShape
from webapp.api.views import View, read_body, shown
from webapp.errors import Invalid, NotFound
from webapp.images.models import Image
from webapp.projects.labels import label_by_key_or_name
from webapp.reviews.decide import AnnotationDraft, decide
from webapp.reviews.history import history
from webapp.reviews.models import Review
from webapp.reviews.undo import undo_review


class ImageReviews(View):
    @describe("reviews.list", "What people say of an image, newest first", answers=list_of(ReviewShape))
    def get(self, request: Request, pk: int) -> Response:
        image = image_for(self.actor, pk)
        rows = image.reviews.select_related("reviewer").prefetch_related(
            "annotations__label", "annotations__individual"
        )
        return Response({"results": [shown(ReviewShape, review_shape(row)) for row in rows.order_by("-pk")]})

    @describe("reviews.create", "Say what an image shows", takes=NewReview, answers=ReviewShape, status=201)
    def post(self, request: Request, pk: int) -> Response:
        asked = read_body(NewReview, request)
        image = image_for(self.actor, pk, Action.REVIEW)
        seen = asked.pop("prediction")
        prediction = prediction_for(self.actor, seen) if seen is not None else None
        if prediction is not None and prediction.image_id != image.pk:
            raise Invalid(f"Prediction {seen} is of another image.")
        drafts = drafts_of(image, asked.pop("annotations"))
        fields = asked.pop("values")
        review = decide(
            actor=self.actor, image=image, annotations=drafts, prediction=prediction, fields=fields, **asked
        )
        return Response(shown(ReviewShape, review_shape(review)), status=201)


class TakeBack(View):
    @describe("reviews.undo", "Take a review back; it stays in the history", answers=ReviewShape)
    def post(self, request: Request, uid: UUID) -> Response:
        review = Review.objects.select_related("image__project").filter(uid=uid).first()
        if review is None:
            raise NotFound(f"There is no review {uid} that you may see.")
        image_for(self.actor, review.image_id, Action.REVIEW)
        return Response(shown(ReviewShape, review_shape(undo_review(actor=self.actor, review=review))))


class History(View):
    @describe(
        "images.history", "What machines and people said of an image, newest first", answers=list_of(HistoryShape)
    )
    def get(self, request: Request, pk: int) -> Response:
        image = image_for(self.actor, pk)
        return Response({"results": [shown(HistoryShape, one) for one in history(image)]})


def drafts_of(image: Image, annotations: list[dict[str, Any]]) -> list[AnnotationDraft]:
    """Annotations with labels and individuals found by key, name or id."""
    named = individuals_of(image.project, [one["individual"] for one in annotations if one["individual"]])
    return [
        AnnotationDraft(
            label=label_by_key_or_name(image.project, one["label"]) if one["label"] else None,
            box=tuple(one["box"]) if one["box"] else None,
            count=one["count"],
            individual=named.get(one["individual"]),
            fields=one["values"],
            flags=one["flags"],
        )
        for one in annotations
    ]


def review_shape(review: Review) -> dict[str, Any]:
    return {
        "id": review.uid,
        "image": review.image_id,
        "by": review.reviewer.get_username() if review.reviewer else None,
        "at": review.at,
        "verdict": review.verdict,
        "how": review.how,
        "note": review.note,
        "annotations": [annotation_shape(one) for one in review.annotations.order_by("position")],
    }


FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")


def annotation_shape(one: Any) -> dict[str, Any]:
    return {
        "box": None if one.x is None else [one.x, one.y, one.width, one.height],
        "label": one.label.key if one.label else None,
        "individual": one.individual.uid if one.individual else None,
        "count": one.count,
        "values": one.fields,
        "flags": {flag: getattr(one, flag) for flag in FLAGS if getattr(one, flag) is not None},
    }
