"""Who belongs to a project, who is calling, and tokens."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from webapp.access.models import ApiToken, Membership, User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.access.tokens import issue_token, revoke_token
from webapp.api.describe import describe, list_of, page_of
from webapp.api.paging import PageQuery, page
from webapp.api.shapes import projects as shapes
from webapp.api.views import View, read_body, shown
from webapp.errors import NotFound, NotSignedIn
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Project
from webapp.projects.people import remove_member, set_role


class People(View):
    @describe("people.list", "The members of a project", answers=list_of(shapes.MemberShape))
    def get(self, request: Request, slug: str) -> Response:
        project = project_by_slug(self.actor, slug, Action.MANAGE_PEOPLE)
        rows = Membership.objects.filter(project=project).select_related("user").order_by("user__username")
        return Response({"results": [shown(shapes.MemberShape, row) for row in rows]})


class OnePerson(View):
    @describe(
        "people.set_role",
        "Make somebody a member, or give a member another role",
        takes=shapes.RoleChange,
        answers=shapes.MemberShape,
    )
    def put(self, request: Request, slug: str, username: str) -> Response:
        asked = read_body(shapes.RoleChange, request)
        project, user = self._both(slug, username)
        member = set_role(actor=self.actor, project=project, user=user, role=asked["role"])
        return Response(shown(shapes.MemberShape, member))

    @describe("people.remove", "Take somebody out of a project", status=204)
    def delete(self, request: Request, slug: str, username: str) -> Response:
        project, user = self._both(slug, username)
        remove_member(actor=self.actor, project=project, user=user)
        return Response(status=204)

    def _both(self, slug: str, username: str) -> tuple[Project, User]:
        project = project_by_slug(self.actor, slug, Action.MANAGE_PEOPLE)
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise NotFound(f"There is no person {username[:150]!r}. Names are on the Admin page.")
        return project, user


class Who(View):
    @describe("me.read", "Whom the site takes you for", answers=shapes.Me)
    def get(self, request: Request) -> Response:
        actor = self.actor
        held = Membership.objects.filter(user=actor.user, project__in=visible_projects(actor))
        said = {
            "username": actor.user.get_username() if actor.user else None,
            "via": actor.via.value,
            "scopes": sorted(scope.value for scope in actor.scopes) if actor.user else [],
            "roles": dict(held.values_list("project__slug", "role")) if actor.user else {},
        }
        return Response(shown(shapes.Me, said))


class Tokens(View):
    @describe("tokens.list", "Your tokens", query=[PageQuery], answers=page_of(shapes.TokenShape))
    def get(self, request: Request) -> Response:
        require(self.actor, Action.OWN_TOKENS)
        rows = ApiToken.objects.filter(user=require_person(self)).select_related("project")
        return Response(page(rows, request, shape=lambda row: shown(shapes.TokenShape, row)))

    @describe(
        "tokens.create",
        "Make a token; its secret is in this answer only",
        takes=shapes.NewToken,
        answers=shapes.TokenMade,
        status=201,
    )
    def post(self, request: Request) -> Response:
        asked = read_body(shapes.NewToken, request)
        slug = asked.pop("project")
        project = project_by_slug(self.actor, slug) if slug else None
        token, secret = issue_token(
            actor=self.actor, user=require_person(self), project_id=project.pk if project else None, **asked
        )
        said = {**shown(shapes.TokenShape, token), "secret": secret}
        return Response(said, status=201, headers={"Cache-Control": "no-store"})


class OneToken(View):
    @describe("tokens.revoke", "Revoke a token", status=204)
    def delete(self, request: Request, pk: int) -> Response:
        token = ApiToken.objects.filter(pk=pk, user=require_person(self)).first()
        if token is None:
            raise NotFound(f"You have no token {pk}.")
        revoke_token(actor=self.actor, token=token)
        return Response(status=204)


def require_person(view: View) -> User:
    if view.actor.user is None:
        raise NotSignedIn("Only people who signed in have this: sign in, or send `Authorization: Bearer osp_…`.")
    return view.actor.user
