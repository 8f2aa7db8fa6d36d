"""Tables that people paste: visits, and label trees."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.projects.conftest import Crew
from webapp.errors import Invalid
from webapp.projects.label_tree import read_tree, take_tree
from webapp.projects.labels import search_labels
from webapp.projects.models import Label, Site, Visit
from webapp.projects.visits_table import read_visits, take_visits

VISITS = """Location\tDeployment\tStart\tEnd\tLat\tLon\tTimezone\tCamera ID\tColour
Ford\tMay\t2026-05-01 08:00\t2026-06-01T10:00+03:00\t-1.25\t36.5\tAfrica/Nairobi\tSN-4\tred
Ford\tJune\t01.06.2026 12:00\t\t\t\tAfrica/Nairobi\tSN-4\tred
"""
TREE = """name,scientific_name,parent,synonyms,name:sw,id:gbif
Cat,Felidae,,,,
Lion,Panthera leo,Cat,King|Simba,Simba,5219404
"""


def test_a_pasted_table_makes_sites_and_visits_in_their_zone(crew: Crew) -> None:
    table = read_visits(crew.project, VISITS)
    assert (len(table.rows), table.problems, table.unused) == (2, (), ("Colour",))
    assert take_visits(actor=crew.ana, project=crew.project, table=table) == 2
    site = Site.objects.get(project=crew.project, name="Ford")
    assert (site.latitude, site.time_zone) == (-1.25, "Africa/Nairobi")
    may, june = Visit.objects.filter(site=site).order_by("start")
    assert (may.start, may.end) == (datetime(2026, 5, 1, 5, tzinfo=UTC), datetime(2026, 6, 1, 7, tzinfo=UTC))
    assert (june.start, june.end, june.device) == (datetime(2026, 6, 1, 9, tzinfo=UTC), None, "SN-4")


@pytest.mark.parametrize(("start", "said"), [("05/04/2026 10:00", True), ("25/04/2026", False), ("2026-04-05", False)])
def test_a_date_that_may_be_read_with_the_month_first_is_said(crew: Crew, start: str, said: bool) -> None:
    table = read_visits(crew.project, f"visit;start\nMay;{start}\n")
    assert table.problems == ()
    assert table.notices == (
        ("Dates with slashes are read with the day first: 05/04/2026 is 5 April 2026.",) if said else ()
    )


def test_a_visit_that_ends_on_a_day_takes_in_that_day(crew: Crew) -> None:
    table = read_visits(crew.project, "visit;start;end;timezone\nMay;2026-05-01;2026-05-31;Africa/Nairobi\n")
    (row,) = table.rows
    assert row.values["start"] == datetime(2026, 4, 30, 21, tzinfo=UTC)
    assert row.values["end"].replace(microsecond=0) == datetime(2026, 5, 31, 20, 59, 59, tzinfo=UTC)


def test_the_same_table_twice_changes_nothing(crew: Crew) -> None:
    for _ in range(2):
        take_visits(actor=crew.ana, project=crew.project, table=read_visits(crew.project, VISITS))
    assert (Site.objects.filter(project=crew.project).count(), Visit.objects.filter(project=crew.project).count()) == (
        1,
        2,
    )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("Ford;May;yesterday;;;", "not a time"),
        ("Ford;May;2026-05-02;2026-05-01;;", "ends before"),
        ("Ford;May;;;91;3", "not in -90..90"),
        ("Ford;May;;;1;", "come together"),
        ("Ford;May;;;north;3", "not a number"),
        (";;2026-05-01;;;", "neither a site nor a visit"),
    ],
)
def test_each_problem_is_named_with_its_line_and_nothing_is_taken(crew: Crew, line: str, word: str) -> None:
    table = read_visits(crew.project, f"site;visit;start;end;latitude;longitude\nHill;May;;;;\n{line}\n")
    assert any(problem.startswith("line 3") and word in problem for problem in table.problems)
    with pytest.raises(Invalid):
        take_visits(actor=crew.ana, project=crew.project, table=table)
    assert not Visit.objects.filter(project=crew.project).exists()


def test_a_table_without_known_columns_says_what_it_reads(crew: Crew) -> None:
    with pytest.raises(Invalid, match="Colour"):
        read_visits(crew.project, "Colour,Size\nred,3\n")


def test_a_label_tree_brings_parents_local_names_and_outside_ids(crew: Crew) -> None:
    assert take_tree(actor=crew.ana, project=crew.project, tree=read_tree(crew.project, TREE)) == 2
    lion = Label.objects.get(project=crew.project, name="Lion")
    assert lion.parent is not None
    assert (lion.parent.name, lion.scientific_name, lion.outside_ids) == ("Cat", "Panthera leo", {"gbif": "5219404"})
    assert lion.names.get(name="Simba").language == "sw"
    assert search_labels(crew.project, "simba")[0] == lion


def test_a_tree_taken_twice_is_one_tree(crew: Crew) -> None:
    for _ in range(2):
        take_tree(actor=crew.ana, project=crew.project, tree=read_tree(crew.project, TREE))
    assert Label.objects.filter(project=crew.project, name__in=["Cat", "Lion"]).count() == 2


def test_a_label_is_not_its_own_ancestor(crew: Crew) -> None:
    tree = read_tree(crew.project, "name,parent\nA,B\nB,A\n")
    assert len(tree.problems) == 2
    with pytest.raises(Invalid):
        take_tree(actor=crew.ana, project=crew.project, tree=tree)


def test_a_label_is_not_its_own_ancestor_through_what_was_here_before(crew: Crew) -> None:
    take_tree(actor=crew.ana, project=crew.project, tree=read_tree(crew.project, "name,parent\nA,\nB,A\nC,B\n"))
    assert read_tree(crew.project, "name,parent\nA,C\n").problems == ("'A' would be its own ancestor",)
    assert read_tree(crew.project, "name,parent\nC,A\n").problems == ()


def test_a_table_makes_labels_that_were_here_findable_by_their_new_names(crew: Crew) -> None:
    take_tree(actor=crew.ana, project=crew.project, tree=read_tree(crew.project, "name,synonyms\nSeal,selkie\n"))
    tree = read_tree(crew.project, "\ufeffName;Scientific name;name:no\r\nseal;Phoca vitulina;Steinkobbe\r\n")
    take_tree(actor=crew.ana, project=crew.project, tree=tree)
    seal = Label.objects.get(project=crew.project, name="Seal")
    for words in ("phoca", "selkie", "steinkobbe"):
        assert list(search_labels(crew.project, words)) == [seal], words


@pytest.mark.parametrize("rest", ["\nB,\nC,\n", '\n"B",\n'])
def test_a_quotation_mark_left_open_is_told_with_its_line(crew: Crew, rest: str) -> None:
    with pytest.raises(Invalid, match="line 2: .*quotation mark"):
        read_tree(crew.project, 'name,parent\n"A,' + rest)


def test_a_quotation_mark_within_a_cell_is_a_letter_like_others(crew: Crew) -> None:
    table = read_visits(crew.project, 'site,visit\nRidge 5" pipe,"May ""first"""\n')
    assert (table.rows[0].site, table.rows[0].name) == ('Ridge 5" pipe', 'May "first"')


def test_a_camera_is_a_device_beside_a_site_and_a_site_without_one(crew: Crew) -> None:
    beside = read_visits(crew.project, "site,visit,camera\nRidge,May,cam 7\n")
    assert (beside.rows[0].site, beside.rows[0].values["device"], beside.unused) == ("Ridge", "cam 7", ())
    alone = read_visits(crew.project, "camera,visit\ncam 7,May\n")
    assert (alone.rows[0].site, alone.rows[0].values["device"]) == ("cam 7", "")
