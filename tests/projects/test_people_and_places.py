"""Members and roles, sites and visits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.projects.conftest import Crew
from webapp.access.actors import OPERATOR
from webapp.access.models import AuditEvent, Membership, User
from webapp.access.tokens import spend_sign_in_link
from webapp.errors import Conflict, Forbidden, Invalid, NotFound
from webapp.projects.create import create_project
from webapp.projects.people import invite, remove_member, set_role
from webapp.projects.places import create_site, create_visit, edit_site, edit_visit


def role(crew: Crew, name: str) -> str | None:
    return Membership.objects.filter(project=crew.project, user__username=name).values_list("role", flat=True).first()


def test_an_admin_gives_and_changes_roles_and_the_log_has_before_and_after(crew: Crew) -> None:
    set_role(actor=crew.ana, project=crew.project, user=crew.user("ben"), role="curator")
    assert role(crew, "ben") == "curator"
    event = AuditEvent.objects.get(action="set role")
    assert (event.user, event.detail["before"], event.detail["after"]) == (crew.ana.user, "reviewer", "curator")


def test_the_last_admin_can_neither_leave_nor_step_down(crew: Crew) -> None:
    ana = crew.user("ana")
    for act in (
        lambda: remove_member(actor=crew.ana, project=crew.project, user=ana),
        lambda: set_role(actor=crew.ana, project=crew.project, user=ana, role="viewer"),
    ):
        with pytest.raises(Conflict, match="last admin"):
            act()
    assert role(crew, "ana") == "admin"
    set_role(actor=crew.ana, project=crew.project, user=crew.user("ben"), role="admin")
    remove_member(actor=crew.ana, project=crew.project, user=ana)
    assert role(crew, "ana") is None


def test_an_admin_whose_account_is_closed_does_not_count(crew: Crew) -> None:
    set_role(actor=crew.ana, project=crew.project, user=crew.user("ben"), role="admin")
    User.objects.filter(username="ben").update(is_active=False)
    with pytest.raises(Conflict, match="last admin"):
        remove_member(actor=crew.ana, project=crew.project, user=crew.user("ana"))


def test_only_admins_manage_people(crew: Crew) -> None:
    with pytest.raises(Forbidden):
        set_role(actor=crew.ben, project=crew.project, user=crew.user("ben"), role="admin")
    with pytest.raises(Forbidden):
        invite(actor=crew.ben, project=crew.project, username="zoe")
    with pytest.raises(Forbidden):
        remove_member(actor=crew.eve, project=crew.project, user=crew.user("ben"))
    assert not User.objects.filter(username="zoe").exists()


def test_nonsense_about_people_is_refused(crew: Crew) -> None:
    with pytest.raises(Invalid, match="viewer, reviewer"):
        set_role(actor=crew.ana, project=crew.project, user=crew.user("ben"), role="king")
    with pytest.raises(NotFound):
        remove_member(actor=crew.ana, project=crew.project, user=crew.user("eve"))
    with pytest.raises(Conflict, match="already"):
        invite(actor=crew.ana, project=crew.project, username="ben")
    for wrong in ("", "a b", "x" * 151):
        with pytest.raises(Invalid):
            invite(actor=crew.ana, project=crew.project, username=wrong)


def test_somebody_new_gets_a_link_that_signs_in_once(crew: Crew) -> None:
    invitation = invite(actor=crew.ana, project=crew.project, username="zoe", role="reviewer", email="zoe@example.org")
    assert invitation.secret is not None
    zoe = spend_sign_in_link(secret=invitation.secret)
    assert (zoe.username, zoe.has_usable_password(), role(crew, "zoe")) == ("zoe", False, "reviewer")
    assert invitation.secret not in str(list(AuditEvent.objects.values()))


def test_inviting_somebody_known_gives_no_link_into_their_account(crew: Crew) -> None:
    invitation = invite(actor=crew.ana, project=crew.project, username="eve", role="viewer")
    assert invitation.secret is None
    assert role(crew, "eve") == "viewer"


def test_sites_are_made_and_edited_with_an_event_each(crew: Crew) -> None:
    set_role(actor=crew.ana, project=crew.project, user=crew.user("ben"), role="curator")
    site = create_site(actor=crew.ben, project=crew.project, name=" Bow  camera ", latitude=-3.5, longitude=170)
    edit_site(actor=crew.ben, site=site, time_zone="Pacific/Fiji", sensitive=True)
    site.refresh_from_db()
    assert (site.name, site.time_zone, site.sensitive) == ("Bow camera", "Pacific/Fiji", True)
    assert list(AuditEvent.objects.filter(subject=f"site:{site.pk}").values_list("action", flat=True)) == [
        "create site",
        "edit site",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "a", "latitude": 91, "longitude": 0},
        {"name": "a", "latitude": float("nan"), "longitude": 0},
        {"name": "a", "latitude": 1, "longitude": -181},
        {"name": "a", "latitude": 1},
        {"name": "a", "time_zone": "Mars/Olympus"},
        {"name": "a", "colour": "red"},
        {"name": "x" * 201},
        {"name": "a", "latitude": "north", "longitude": 0},
        {"name": "a", "uid": "0"},
    ],
)
def test_a_site_that_cannot_be_is_refused(crew: Crew, fields: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        create_site(actor=crew.ana, project=crew.project, **fields)
    assert not crew.project.sites.exists()


def test_a_site_or_visit_is_there_once(crew: Crew) -> None:
    site = create_site(actor=crew.ana, project=crew.project, name="Bow")
    create_visit(actor=crew.ana, project=crew.project, name="Trip 1", site=site)
    create_visit(actor=crew.ana, project=crew.project, name="Trip 1")
    for act in (
        lambda: create_site(actor=crew.ana, project=crew.project, name="Bow"),
        lambda: create_visit(actor=crew.ana, project=crew.project, name="Trip 1", site=site),
        lambda: create_visit(actor=crew.ana, project=crew.project, name="Trip 1"),
    ):
        with pytest.raises(Conflict):
            act()


def test_a_visit_ends_after_it_starts_and_stays_in_its_project(crew: Crew) -> None:
    start, end = datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 9, tzinfo=UTC)
    visit = create_visit(actor=crew.ana, project=crew.project, name="Trip", start=start, end=end)
    with pytest.raises(Invalid, match="before it starts"):
        edit_visit(actor=crew.ana, visit=visit, start=end, end=start)
    elsewhere = create_project(actor=OPERATOR, name="Elsewhere")
    with pytest.raises(Invalid, match="another project"):
        edit_visit(actor=crew.ana, visit=visit, site=create_site(actor=OPERATOR, project=elsewhere, name="Far"))


def test_reviewers_do_not_make_places(crew: Crew) -> None:
    with pytest.raises(Forbidden):
        create_site(actor=crew.ben, project=crew.project, name="Stern")
