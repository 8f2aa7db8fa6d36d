"""Making a project, and finding it again."""

from __future__ import annotations

import pytest

from tests.projects.conftest import Crew
from webapp.access.actors import GUEST, NOBODY, OPERATOR, Actor, Via
from webapp.access.models import ApiToken, AuditEvent, Membership, User
from webapp.access.table import Action
from webapp.errors import Conflict, Forbidden, Invalid, NotFound, NotSignedIn
from webapp.projects.create import create_project
from webapp.projects.find import project_by_slug, visible_projects
from webapp.projects.models import Label, Project


@pytest.mark.parametrize("pictures", Project.Pictures.values)
@pytest.mark.django_db
def test_every_template_brings_fields_special_labels_split_and_queues(pictures: str) -> None:
    project = create_project(actor=OPERATOR, name="New", pictures=pictures, labels=["Lion"])
    kinds = set(project.labels.values_list("kind", flat=True))
    assert {"normal", "background", "unknown"} <= kinds
    assert project.fields.exists()
    assert project.options["split"]["shares"] == [80, 10, 10]
    assert project.options["queues"]


def test_the_deck_template_records_the_disposition(crew: Crew) -> None:
    assert "kept" in crew.project.fields.get(key="disposition").choices


@pytest.mark.django_db
def test_whoever_makes_a_project_is_its_admin() -> None:
    maker = User.objects.create(username="maker", is_staff=True)
    project = create_project(actor=Actor(Via.SESSION, user=maker), name="Mine")
    assert Membership.objects.get(project=project).role == "admin"
    assert AuditEvent.objects.get(action="create project").user == maker


def test_people_who_are_not_staff_make_no_projects(crew: Crew) -> None:
    with pytest.raises(Forbidden):
        create_project(actor=crew.ana, name="Another")


@pytest.mark.django_db
def test_labels_asked_for_twice_or_brought_by_the_template_are_made_once() -> None:
    project = create_project(
        actor=OPERATOR, name="x", pictures="camera-trap", labels=["Lion", " lion ", "LION", "Empty", "", "São Tomé"]
    )
    assert list(project.labels.filter(kind="normal").values_list("key", flat=True)) == ["lion", "sao-tome"]
    assert project.labels.get(name="Empty").kind == Label.Kind.BACKGROUND


@pytest.mark.django_db
def test_a_short_name_is_made_of_the_name_and_never_clashes() -> None:
    slugs = [create_project(actor=OPERATOR, name=name).slug for name in ("Rio Açu!", "Rio Acu", "猫", "熊", "---")]
    assert slugs == ["rio-acu", "rio-acu-2", "project", "project-2", "project-3"]


@pytest.mark.parametrize("slug", ["Deck", "a b", "-a", "a/b", "..", "a" * 61, "é"])
@pytest.mark.django_db
def test_a_short_name_that_does_not_fit_an_address_is_refused(slug: str) -> None:
    with pytest.raises(Invalid, match="lower-case"):
        create_project(actor=OPERATOR, name="x", slug=slug)


def test_a_short_name_that_is_taken_is_a_conflict(crew: Crew) -> None:
    with pytest.raises(Conflict, match="deck"):
        create_project(actor=OPERATOR, name="x", slug="deck")


@pytest.mark.parametrize(("name", "pictures"), [("", "other"), ("  ", "other"), ("x" * 121, "other"), ("x", "moon")])
@pytest.mark.django_db
def test_nonsense_is_refused_in_words(name: str, pictures: str) -> None:
    with pytest.raises(Invalid):
        create_project(actor=OPERATOR, name=name, pictures=pictures)
    assert not Project.objects.exists()


def test_people_see_their_projects_guests_the_open_ones_and_nobody_none(crew: Crew) -> None:
    opened = create_project(actor=OPERATOR, name="Open", slug="open")
    Project.objects.filter(pk=opened.pk).update(open_to_guests=True)
    root = Actor(Via.SESSION, user=User.objects.create(username="root", is_superuser=True))
    bound = Actor(Via.TOKEN, user=root.user, token=ApiToken(scopes=["read"], project=opened))
    seen = {
        str(actor): list(visible_projects(actor).values_list("slug", flat=True))
        for actor in (crew.ana, crew.eve, GUEST, NOBODY, OPERATOR, root)
    }
    assert seen == {
        "ana": ["deck"],
        "eve": [],
        "open mode": ["open"],
        "nobody": [],
        "command line": ["deck", "open"],
        "root": ["deck", "open"],
    }
    assert [project.slug for project in visible_projects(bound)] == ["open"]


def test_a_hidden_project_looks_like_one_that_is_not_there(crew: Crew) -> None:
    with pytest.raises(NotFound) as hidden:
        project_by_slug(crew.eve, "deck")
    with pytest.raises(NotFound) as missing:
        project_by_slug(crew.eve, "dock")
    assert hidden.value.what.replace("deck", "dock") == missing.value.what
    with pytest.raises(NotFound, match="without signing in"):
        project_by_slug(GUEST, "deck")
    with pytest.raises(NotSignedIn):
        project_by_slug(NOBODY, "deck")


def test_a_visible_project_still_asks_for_the_role(crew: Crew) -> None:
    assert project_by_slug(crew.ben, "deck", Action.REVIEW) == crew.project
    with pytest.raises(Forbidden):
        project_by_slug(crew.ben, "deck", Action.CURATE)
