"""Heads that learned while people worked: what they came to, and the yes or no to one that is offered."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.table import Action
from webapp.api.describe import describe, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import working_heads as shapes
from webapp.api.views import View
from webapp.projects.find import project_by_slug
from webapp.runs.working_heads.decide import accept_head, dismiss_head, end_suggestions, head_by_uid, heads_of
from webapp.runs.working_heads.offer import words_of


class WorkingHeads(View):
    @describe(
        "working_heads.list",
        "Heads that learned while people worked, newest first",
        query=[PageQuery],
        answers=page_of(shapes.WorkingHeadShape),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = heads_of(project_by_slug(self.actor, slug, Action.REVIEW))
        return Response(page(rows, request, shape=words_of, keys=("-pk",)))


class OneHead(View):
    @describe("working_heads.read", "One head with its score", answers=shapes.WorkingHeadShape)
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(words_of(head_by_uid(self.actor, uid)))


class AcceptHead(View):
    @describe(
        "working_heads.accept",
        "Have an offered head suggest in review",
        description="What answers calls and reports stays. `version` is set within seconds, when it is made.",
        answers=shapes.WorkingHeadShape,
    )
    def post(self, request: Request, uid: UUID) -> Response:
        head = head_by_uid(self.actor, uid, Action.CURATE)
        return Response(words_of(accept_head(actor=self.actor, head=head)))


class DismissHead(View):
    @describe("working_heads.dismiss", "Do not use an offered head", answers=shapes.WorkingHeadShape)
    def post(self, request: Request, uid: UUID) -> Response:
        head = head_by_uid(self.actor, uid, Action.CURATE)
        return Response(words_of(dismiss_head(actor=self.actor, head=head)))


class EndSuggestions(View):
    @describe("working_heads.end", "Have the version in use suggest again", status=204)
    def post(self, request: Request, slug: str) -> Response:
        end_suggestions(actor=self.actor, project=project_by_slug(self.actor, slug, Action.CURATE))
        return Response(status=204)
