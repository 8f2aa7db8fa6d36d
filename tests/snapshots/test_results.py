"""What to report is counted right for any mixture of verdicts, bursts and places, and read from one index."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.snapshots.conftest import Fjord
from webapp.datasets.results import results
from webapp.images.models import ImageState
from webapp.projects.models import Project

Source = ImageState.Source
Key = tuple[str, str, str]


def season(fjord: Fjord, count: int = 240) -> list[ImageState]:
    """Images with and without place, burst and answer; some bursts go over several visits."""
    chance = random.Random(7)  # noqa: S311
    ford, fell = fjord.site("Ford"), fjord.site("Fell")
    places = [(None, None), (ford, None), (ford, fjord.visit("May", ford)), (fell, fjord.visit("June", fell))]
    bursts = [None, *(fjord.burst() for _ in range(12))]
    labels = [None, fjord.label("cod"), fjord.label("hake"), fjord.label("ling")]
    states = list(ImageState.objects.filter(pk__in=[image.pk for image in fjord.images(count)]))
    for state in states:
        state.site, state.visit = chance.choice(places)
        state.sequence, state.label = chance.choice(bursts), chance.choice(labels)
        state.source = chance.choice(list(Source)) if state.label else Source.NONE
        state.score = chance.choice([None, 0.25, 0.5, 0.875])
    ImageState.objects.bulk_update(states, ["site", "visit", "sequence", "label", "source", "score"])
    return states


def of(state: ImageState, by: str) -> Key:
    site = state.site.name if state.site and by != "project" else ""
    return site, state.visit.name if state.visit and by == "visit" else "", state.label.name if state.label else ""


@pytest.mark.databases
@pytest.mark.parametrize("by", ["project", "site", "visit"])
def test_each_image_counts_once_and_each_verified_burst_once_in_its_group(fjord: Fjord, by: str) -> None:
    groups: dict[Key, list[ImageState]] = defaultdict(list)
    for state in season(fjord):
        if state.label:
            groups[of(state, by)].append(state)
    found = {(row.site, row.visit, row.label): row for row in results(fjord.project, by=by)}
    assert found.keys() == groups.keys() and list(found) == sorted(found)
    for key, states in groups.items():
        verified = [one for one in states if one.source in (Source.HUMAN, Source.IMPORTED)]
        machine = [one for one in states if one.source == Source.MACHINE]
        scores = [one.score for one in machine if one.score is not None]
        row = found[key]
        assert (row.verified, row.machine_only) == (len(verified), len(machine))
        assert row.by_rule == sum(one.source == Source.RULE for one in states)
        alone = sum(one.sequence_id is None for one in verified)
        assert row.sequences == alone + len({one.sequence_id for one in verified if one.sequence_id})
        assert row.mean_score == (pytest.approx(sum(scores) / len(machine)) if scores else None)


def test_another_projects_images_are_not_reported(fjord: Fjord) -> None:
    season(fjord, 20)
    assert results(Project.objects.create(slug="lake", name="Lake")) == []


@pytest.mark.parametrize("by", ["project", "site", "visit"])
def test_sqlite_reads_them_from_one_index_without_the_table_and_without_sorting_images(fjord: Fjord, by: str) -> None:
    season(fjord, 60)
    with CaptureQueriesContext(connection) as asked:
        results(fjord.project, by=by)
    statement = next(one["sql"] for one in asked.captured_queries if "AS burst" in one["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
        plan = [row[3] for row in cursor.fetchall()]
    inner = plan[: next(number for number, step in enumerate(plan) if step.startswith("SCAN burst"))]
    assert any("USING COVERING INDEX state_results" in step for step in inner)
    assert not any("TEMP B-TREE" in step for step in inner)
