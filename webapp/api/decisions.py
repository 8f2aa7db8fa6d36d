"""Decisions of reviewers: saved many at once after an outage, listed as changes, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Count
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.lookup import individuals_of
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import queues as shapes
from webapp.api.views import View, read_body, read_query
from webapp.datasets import selection
from webapp.errors import Invalid, NotFound, NotSignedIn, OspreyError, TooMany, Unavailable
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.reviews.decide import MOST_IMAGES, AnnotationDraft
from webapp.reviews.decisions import Decision, OfImage, save_decision
from webapp.reviews.models import Change, Review
from webapp.reviews.undo import undo_change

SELECTION = "selection"
PASSING = (NotSignedIn, TooMany, Unavailable)
"""Refusals of the moment: the whole call fails with them, and the page sends its decisions again."""


class Decisions(View):
    @describe(
        "decisions.create",
        "Save decisions; each is one change, and a repeated one is saved once",
        takes=shapes.DecisionsBody,
        answers=shapes.DecisionsAnswer,
    )
    def post(self, request: Request, slug: str) -> Response:
        asked = read_body(shapes.NewDecisions, request)
        project = project_by_slug(self.actor, slug, Action.REVIEW)
        return Response({"results": [self._save(project, one) for one in asked["decisions"]]})

    def _save(self, project: Project, asked: Mapping[str, Any]) -> dict[str, Any]:
        said = str(asked.get("client_id") or "")[:40] or None
        try:
            shape = shapes.NewDecision(data=asked)
            shape.is_valid(raise_exception=True)
            decision = _decision(project, shape.validated_data)
            change = save_decision(actor=self.actor, project=project, decision=decision)
        except ValidationError as error:
            return _refused(said, "invalid-fields", _words(error.detail))
        except PASSING:
            raise
        except OspreyError as error:
            return _refused(said, error.code, error.what)
        images = len(set(decision.images))
        return {"client_id": said, "state": "saved", "change": change.uid, "images": images, "code": "", "detail": ""}


class Changes(View):
    @describe(
        "changes.list",
        "What was decided, newest first",
        query=[shapes.ChangeQuery, PageQuery],
        answers=page_of(shapes.ChangeShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        asked = read_query(shapes.ChangeQuery, request)
        project = project_by_slug(self.actor, slug, Action.VIEW_IMAGES)
        rows = Change.objects.filter(project=project).select_related("by", "undoes", "undone_by")
        if asked["mine"]:
            rows = rows.filter(by=self.actor.user)
        found = page(rows, request, shape=lambda change: change)
        keys = [change.pk for change in found["results"]]
        counted = Change.objects.filter(pk__in=keys).annotate(images=Count("reviews__image", distinct=True))
        images = dict(counted.values_list("pk", "images"))
        found["results"] = [change_shape(change, images[change.pk]) for change in found["results"]]
        return Response(found)


class UndoChange(View):
    @describe("changes.undo", "Take a whole change back", takes=shapes.UndoBody, answers=shapes.UndoneShape)
    def post(self, request: Request, uid: UUID) -> Response:
        asked = read_body(shapes.UndoBody, request)
        change = Change.objects.select_related("project").filter(uid=uid).first()
        if change is None:
            raise NotFound(f"There is no change {uid} that you may see.")
        project_by_slug(self.actor, change.project.slug, Action.REVIEW)
        undoing = undo_change(actor=self.actor, change=change, client_id=asked["client_id"])
        images = undoing.reviews.values("image_id").distinct().count()
        return Response({"change": undoing.uid, "images": images})


def change_shape(change: Change, images: int) -> dict[str, Any]:
    undone = getattr(change, "undone_by", None)
    return {
        "id": change.uid,
        "at": change.at,
        "by": change.by.get_username() if change.by else None,
        "what": change.what,
        "images": images,
        "undoes": change.undoes.uid if change.undoes else None,
        "undone_by": undone.uid if undone else None,
    }


def _decision(project: Project, asked: dict[str, Any]) -> Decision:
    of_images = {_id(key): one for key, one in asked["per_image"].items()}
    annotations = [*asked["annotations"], *(draft for one in of_images.values() for draft in one["annotations"])]
    individuals = individuals_of(project, [one["individual"] for one in annotations if one["individual"]])
    return Decision(
        client_id=asked["client_id"],
        images=_images(project, asked["images"], asked["selection"]),
        verdict=asked["verdict"],
        annotations=[_draft(one, individuals) for one in asked["annotations"]],
        per_image={
            key: OfImage([_draft(draft, individuals) for draft in one["annotations"]], one["verdict"], one["values"])
            for key, one in of_images.items()
        },
        values=asked["values"],
        how=Review.How.BULK if asked["images"] == SELECTION else asked["how"],  # of filters nobody saw each image
        queue=asked["queue"],
        seconds=asked["seconds"],
        predictions={_id(key): pk for key, pk in asked["predictions"].items() if pk is not None},
        note=asked["note"],
    )


def _images(project: Project, given: Any, filters: dict[str, Any]) -> list[int]:
    if given == SELECTION:
        return selection.image_ids(project, selection.read(filters), at_most=MOST_IMAGES)
    if not isinstance(given, list) or len(given) > MOST_IMAGES:
        raise Invalid(f"`images` is a list of at most {MOST_IMAGES:,} ids, or the word `{SELECTION}`.")
    return [_id(one) for one in given]


def _id(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Invalid(f"{text[:40]!r} is no id of an image: ids are whole numbers.")
    return int(text)


def _draft(one: dict[str, Any], individuals: Mapping[UUID, Any]) -> AnnotationDraft:
    return AnnotationDraft(
        label_key=one["label_key"] or "",
        box=tuple(one["box"]) if one["box"] else None,
        count=one["count"],
        fields=one["fields"],
        individual=individuals.get(one["individual"]),
        flags=one["flags"],
    )


def _refused(client_id: str | None, code: str, detail: str) -> dict[str, Any]:
    return {"client_id": client_id, "state": "refused", "change": None, "images": 0, "code": code, "detail": detail}


def _words(detail: Any, path: str = "") -> str:
    """What is wrong, each with its place."""
    if isinstance(detail, dict):
        return " ".join(_words(one, f"{path}.{key}".lstrip(".")) for key, one in detail.items())
    if isinstance(detail, list):
        return " ".join(_words(one, path) for one in detail)
    return f"{path}: {detail}"
