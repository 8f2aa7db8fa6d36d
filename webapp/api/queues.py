"""Queues of review: which there are, the next units of one, and what becomes of units that are held."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, list_of
from webapp.api.reviews import annotation_shape
from webapp.api.shapes import queues as shapes
from webapp.api.views import View, read_body, shown
from webapp.datasets import selection
from webapp.images.facets import facets
from webapp.images.models import ImageState
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.reviews import holds
from webapp.reviews.agreement import agreement
from webapp.reviews.audits import draw_audit
from webapp.reviews.next_units import next_units, person_of
from webapp.reviews.queues import Queue, list_queues, queue_of
from webapp.reviews.said import VerdictSaid
from webapp.reviews.second_readings import draw_second_readings
from webapp.reviews.units import Guess, Shown, Unit
from webapp.reviews.why import who

Conflict = ImageState.ReviewState.CONFLICT


class FacetCounts(View):
    @describe("images.facets", "How many images have each label, site, state", answers=shapes.FacetsShape)
    def get(self, request: Request, slug: str) -> Response:
        return Response(asdict(facets(project_by_slug(self.actor, slug, Action.VIEW_IMAGES))))


class Queues(View):
    @describe("queues.list", "The queues of review by goal", answers=list_of(shapes.ReviewQueueShape))
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        return Response(
            {"results": [queue_shape(one.queue, one.count, one.is_at_least) for one in list_queues(project)]}
        )


class NextUnits(View):
    @describe(
        "queues.next",
        "The next units of a queue, held for you for five minutes",
        takes=shapes.NextQuestion,
        answers=shapes.NextAnswer,
    )
    def post(self, request: Request, slug: str, key: str) -> Response:
        asked = read_body(shapes.NextQuestion, request)
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        given = next_units(
            actor=self.actor,
            project=project,
            queue=queue_of(key),
            limit=asked["limit"],
            by_sequence=asked["unit"] == "sequence",
            within=_within(project, asked["selection"]),
            have=asked["have"],
        )
        units = [unit_shape(unit, request) for unit in given.units]
        return Response({"units": units, "left": given.left, "at_my_pace_seconds": given.at_my_pace_seconds})


class SkipUnit(View):
    @describe(
        "queues.skip", "Leave a unit to others for twelve hours", takes=shapes.OneUnit, answers=shapes.UnitsAnswer
    )
    def post(self, request: Request, slug: str, key: str) -> Response:
        unit = read_body(shapes.OneUnit, request)["unit"]
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        queue = queue_of(key)
        holds.parse(unit)
        holds.skip(project, person_of(self.actor, project, queue), queue.key, unit)
        return Response({"units": []})


class ReleaseUnits(View):
    @describe("queues.release", "Give units back to a queue", takes=shapes.SomeUnits, answers=shapes.UnitsAnswer)
    def post(self, request: Request, slug: str, key: str) -> Response:
        units = read_body(shapes.SomeUnits, request)["units"]
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        holds.release(project, person_of(self.actor, project, queue_of(key)), units)
        return Response({"units": []})


class RenewUnits(View):
    @describe(
        "queues.renew",
        "Hold units for five more minutes; the answer names those that are still yours",
        takes=shapes.SomeUnits,
        answers=shapes.UnitsAnswer,
    )
    def post(self, request: Request, slug: str, key: str) -> Response:
        units = read_body(shapes.SomeUnits, request)["units"]
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        return Response({"units": holds.renew(project, person_of(self.actor, project, queue_of(key)), units)})


class Audits(View):
    @describe("audits.create", "Draw a blind random audit", takes=shapes.NewAudit, answers=shapes.DrawShape, status=201)
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewAudit, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        chosen = selection.read(asked.pop("selection"))
        rows, words = selection.apply(project, chosen), selection.as_params(chosen)
        draw = draw_audit(actor=self.actor, project=project, rows=rows, selection=words, **asked)
        return Response(shown(shapes.DrawShape, draw), status=201)


class SecondReadings(View):
    @describe(
        "second_readings.create",
        "Draw reviewed images to be read again, blind, by another person",
        takes=shapes.NewDraw,
        answers=shapes.DrawShape,
        status=201,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewDraw, request)
        project = project_by_slug(self.actor, slug, Action.CURATE)
        chosen = selection.read(asked.pop("selection"))
        rows, words = selection.apply(project, chosen), selection.as_params(chosen)
        draw = draw_second_readings(actor=self.actor, project=project, rows=rows, selection=words, **asked)
        return Response(shown(shapes.DrawShape, draw), status=201)


class Agreements(View):
    @describe("agreement.read", "Cohen's kappa of first and second readings", answers=shapes.AgreementShape)
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        return Response(asdict(agreement(actor=self.actor, project=project)))


def _within(project: Project, asked: dict[str, Any]) -> selection.Rows | None:
    chosen = selection.read(asked)
    return None if chosen.is_everything else selection.apply(project, chosen)


def queue_shape(queue: Queue, count: int, is_at_least: bool) -> dict[str, Any]:
    return {
        "key": queue.key,
        "name": queue.name,
        "why": queue.why,
        "count": count,
        "is_at_least": is_at_least,
        "blind": queue.is_blind,
        "for_curators": queue.for_curators,
    }


def unit_shape(unit: Unit, request: Request) -> dict[str, Any]:
    first, blind = unit.images[0].state.image, unit.queue.is_blind
    guesses = [] if blind else [_guess(one) for one in unit.guesses]
    return {
        "unit": unit.name,
        "queue": unit.queue.key,
        "why": unit.why,
        "reason": unit.queue.key,
        "blind": blind,
        "second_reading": unit.queue.key == "second",
        "sampling_probability": unit.sampling_probability,
        "until": timezone.now() + timedelta(seconds=holds.LEASE_SECONDS),
        "suggestion": {**guesses[0], "says": unit.says, "pooled": _pooled(unit), "from": _pooled(unit)}
        if guesses
        else None,
        "guesses": guesses,
        "site": first.site.name if first.site else None,
        "visit": first.visit.name if first.visit else None,
        "telling": unit.telling,
        "images": [_image(one, blind, request) for one in unit.images],
    }


def _guess(guess: Guess) -> dict[str, Any]:
    return {"label_key": guess.label.key, "label": guess.label.name, "score": guess.score}


def _pooled(unit: Unit) -> str:
    pooled = unit.pooled
    if pooled is None or pooled.of == 1:
        return "this frame"
    what = "pictures" if unit.name.startswith("g") else "frames"
    return f"pooled over {pooled.frames} of {pooled.of} {what}"


def _image(one: Shown, blind: bool, request: Request) -> dict[str, Any]:
    state, image = one.state, one.state.image
    address = request.build_absolute_uri("/").rstrip("/")
    said = [_verdict(verdict) for verdict in one.verdicts]
    return {
        "id": image.pk,
        "prediction": one.prediction.pk if one.prediction and not blind else None,
        "captured_at": image.captured_at,
        "captured_at_utc": image.captured_at_utc,
        "width": image.width,
        "height": image.height,
        "path": image.path,
        "thumbnail": address + reverse("api-image-thumbnail", args=(image.pk, 256)),
        "preview": address + reverse("api-image-thumbnail", args=(image.pk, 1024)),
        "original": address + reverse("api-image-original", args=(image.pk,)),
        "score": None if blind else state.score,
        "label_key": state.label.key if state.label and not blind else None,
        "label": state.label.name if state.label and not blind else None,
        "machine_label": state.machine_label.name if state.machine_label and not blind else None,
        "review_state": None if blind else state.review_state,
        "source": None if blind else state.source,
        "regions": [] if blind else [_region(region, one) for region in one.regions if region.x is not None],
        "damaged": state.damaged,
        "current": said[0] if said else None,
        "standing": said if state.review_state == Conflict else [],
    }


def _region(region: Any, one: Shown) -> dict[str, Any]:
    return {
        "box": [region.x, region.y, region.width, region.height],
        "label": region.label_key or region.detection_label,
        "label_key": region.label_key,
        "score": region.score if region.score is not None else region.detection_score,
    }


def _verdict(said: VerdictSaid) -> dict[str, Any]:
    review = said.review
    return {
        "by": who(review),
        "at": review.at,
        "verdict": review.verdict,
        "how": review.how,
        "annotations": [annotation_shape(one) for one in said.annotations],
        "values": review.fields,
        "note": review.note,
    }
