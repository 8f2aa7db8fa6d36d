"""Who may do what, for every action, every kind of person and every way in."""

from __future__ import annotations

from itertools import product

import pytest

from tests.access.conftest import Cast
from webapp.access.actors import GUEST, NOBODY, OPERATOR, SYSTEM, Actor, Via
from webapp.access.models import ApiToken
from webapp.access.require import allowed, require
from webapp.access.table import TABLE, Action, Scope
from webapp.errors import Forbidden, NotSignedIn

ROLES = ("viewer", "reviewer", "curator", "trainer", "admin")
SCOPES = ("read", "upload", "review", "curate", "train", "admin")

# Written out a second time on purpose: who changes the table has to change this too.
# action: (lowest role, lowest scope of a token, whether a guest of open mode may)
IN_A_PROJECT = {
    Action.VIEW_PROJECT: ("viewer", "read", True),
    Action.VIEW_IMAGES: ("viewer", "read", True),
    Action.VIEW_ORIGINALS: ("viewer", "read", True),
    Action.VIEW_UPLOAD: ("viewer", "read", True),
    Action.VIEW_VERSIONS: ("viewer", "read", True),
    Action.VIEW_PLACES: ("curator", "read", False),
    Action.RECOGNISE: ("reviewer", "upload", True),
    Action.REVIEW: ("reviewer", "review", False),
    Action.CURATE: ("curator", "curate", False),
    Action.IMPORT: ("curator", "curate", False),
    Action.EXPORT: ("viewer", "read", False),
    Action.FREEZE: ("curator", "curate", False),
    Action.VIEW_RUNS: ("viewer", "read", False),
    Action.TRAIN: ("trainer", "train", False),
    Action.COMPARE: ("trainer", "train", False),
    Action.ADD_VERSION: ("admin", "admin", False),
    Action.ACTIVATE: ("admin", "admin", False),
    Action.MANAGE_PEOPLE: ("admin", "admin", False),
    Action.MANAGE_PROJECT: ("admin", "admin", False),
    Action.VIEW_AUDIT: ("admin", "admin", False),
}
# action: (who of those signed in, lowest scope of a token)
SITE_WIDE = {
    Action.OWN_TOKENS: ("anybody", "admin"),
    Action.CREATE_PROJECT: ("staff", "admin"),
    Action.VIEW_SITE: ("anybody", "admin"),
    Action.MANAGE_SITE: ("superuser", "admin"),
}


def token_of(cast: Cast, who: str, *scopes: str, bound_to: object = None) -> Actor:
    user = cast.people[who]
    return Actor(Via.TOKEN, user=user, token=ApiToken(user=user, scopes=list(scopes), project=bound_to))


def test_every_action_has_its_needs_written_down() -> None:
    assert set(TABLE) == set(Action) == set(IN_A_PROJECT) | set(SITE_WIDE)


@pytest.mark.parametrize("action", IN_A_PROJECT)
def test_a_role_may_do_what_it_or_a_lower_one_may(cast: Cast, action: Action) -> None:
    lowest, _, _ = IN_A_PROJECT[action]
    for role in ROLES:
        expected = ROLES.index(role) >= ROLES.index(lowest)
        assert allowed(cast.session(role), action, cast.project) is expected, role
        assert not allowed(cast.session(role), action, cast.other), f"{role} in a project that is not theirs"
        assert not allowed(cast.session(role), action), f"{role} in no project"


@pytest.mark.parametrize("action", IN_A_PROJECT)
def test_a_token_may_do_what_both_its_owner_and_its_scopes_may(cast: Cast, action: Action) -> None:
    lowest_role, lowest_scope, _ = IN_A_PROJECT[action]
    for role, scope in product(ROLES, SCOPES):
        suffices = ROLES.index(role) >= ROLES.index(lowest_role) and SCOPES.index(scope) >= SCOPES.index(lowest_scope)
        assert allowed(token_of(cast, role, scope), action, cast.project) is suffices, (role, scope)


@pytest.mark.parametrize("action", Action)
def test_a_token_bound_to_a_project_opens_nothing_else(cast: Cast, action: Action) -> None:
    bound = token_of(cast, "superuser", "admin", bound_to=cast.project)
    assert allowed(bound, action, cast.project)
    assert not allowed(bound, action, cast.other)
    assert not allowed(bound, action)


@pytest.mark.parametrize("action", Action)
def test_a_token_without_scopes_does_nothing(cast: Cast, action: Action) -> None:
    assert not allowed(token_of(cast, "superuser"), action, cast.project)


@pytest.mark.parametrize("action", Action)
def test_a_guest_may_only_look_and_recognise_and_only_in_an_open_project(cast: Cast, action: Action) -> None:
    expected = action in IN_A_PROJECT and IN_A_PROJECT[action][2]
    assert allowed(GUEST, action, cast.other) is expected
    assert not allowed(GUEST, action, cast.project)
    assert not allowed(GUEST, action)


@pytest.mark.parametrize("action", Action)
def test_nobody_strangers_and_people_who_left_may_do_nothing_in_a_project(cast: Cast, action: Action) -> None:
    for project in (cast.project, cast.other):
        assert not allowed(NOBODY, action, project)
        assert not allowed(cast.session("left"), action, project)
        if action in IN_A_PROJECT:
            assert not allowed(cast.session("stranger"), action, project)
            assert not allowed(cast.session("staff"), action, project)


@pytest.mark.parametrize("action", SITE_WIDE)
def test_acts_of_the_whole_site_go_by_person_not_by_role(cast: Cast, action: Action) -> None:
    who, lowest_scope = SITE_WIDE[action]
    may = {"anybody": {"stranger", "staff", "admin", "superuser"}, "staff": {"staff", "superuser"}}
    for person in ("stranger", "staff", "admin", "superuser"):
        expected = person in may.get(who, {"superuser"})
        assert allowed(cast.session(person), action) is expected, person
        for scope in SCOPES:
            suffices = expected and SCOPES.index(scope) >= SCOPES.index(lowest_scope)
            assert allowed(token_of(cast, person, scope), action) is suffices, (person, scope)


@pytest.mark.parametrize("action", Action)
def test_superusers_operators_and_the_site_itself_may_do_everything(cast: Cast, action: Action) -> None:
    for actor in (cast.session("superuser"), OPERATOR, SYSTEM):
        assert allowed(actor, action, cast.project)
        assert allowed(actor, action)


def test_a_refusal_says_whether_to_sign_in_or_whom_to_ask(cast: Cast) -> None:
    with pytest.raises(NotSignedIn, match="Sign in"):
        require(NOBODY, Action.VIEW_PROJECT, cast.project)
    with pytest.raises(NotSignedIn):
        require(GUEST, Action.REVIEW, cast.other)
    with pytest.raises(Forbidden, match=r"the viewer may not curate in Savanna.*admin"):
        require(cast.session("viewer"), Action.CURATE, cast.project)
    with pytest.raises(Forbidden, match="this token may not"):
        require(token_of(cast, "admin", Scope.READ.value), Action.CURATE, cast.project)
