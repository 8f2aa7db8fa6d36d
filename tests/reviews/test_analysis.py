"""An analysis from request to report: one at a time, findings replaced, and what makes the next one due."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from tests.reviews.sets import add_images, around, make_project
from webapp import leases
from webapp.access.actors import OPERATOR
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.images.models import Image, ImageState
from webapp.images.recount import recount
from webapp.projects.models import Project
from webapp.reviews import analyse, analysis, quality
from webapp.reviews.health import report
from webapp.reviews.minimums import set_minimums
from webapp.reviews.models import Analysis, Finding

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path
    settings.LEASE_SECONDS = 3600  # a test's transaction holds SQLite's one lock, so nothing can be renewed beside it


@pytest.fixture
def reef() -> Project:
    """80 labelled images of two labels at three sites, one of a third, one label flipped, and some nobody looked at."""
    project = make_project()
    both = np.concatenate([around(1, 40), around(2, 40), around(3, 1), around(1, 1, seed=9)])
    sites = ["North"] * 20 + ["South"] * 20 + ["North"] * 30 + ["West"] * 12
    add_images(project, ["Cod"] * 40 + ["Hake"] * 40 + ["Wrasse"] + ["Hake"], vectors=both, sites=sites)
    add_images(project, [""] * 12, vectors=around(5, 12), sites=[""] * 12)
    return project


def test_a_pass_reports_what_is_there_and_its_findings_replace_the_last_ones(reef: Project) -> None:
    told: list[str] = []
    done = analysis.run(reef, progress=lambda words, share: told.append(words))
    assert done is not None and done.state == "done" and done.share == 1.0
    assert told == [words for words, _ in analyse.steps_of(reef)]
    found = done.report
    assert (found["images"], found["labelled"], found["unreviewed"]) == (94, 82, 12)
    assert found["labels"] == {"Hake": 41, "Cod": 40, "Wrasse": 1}
    assert (found["classes"], found["singletons"], found["suspects"]) == (3, 1, 1)
    assert found["most_common"][0] == {"key": "hake", "name": "Hake", "images": 41}
    first = set(Finding.objects.values_list("pk", flat=True))
    analysis.run(reef)
    assert Finding.objects.count() == len(first)
    assert not first & set(Finding.objects.values_list("pk", flat=True))


def test_effective_sites_say_how_many_equal_ones_would_be_as_varied(reef: Project) -> None:
    rows = {row[1]: row for row in report(reef)["class_rows"]}
    assert rows["Cod"][3:5] == [2, 2.0]
    assert rows["Hake"][3] == 2
    assert rows["Hake"][4] == round(41**2 / (30**2 + 11**2), 2)


def test_what_to_collect_next_names_labels_under_the_minimum_the_rarest_first(reef: Project) -> None:
    set_minimums(actor=OPERATOR, project=reef, images=41, sites=2)
    wanted = report(reef)["wanted"]
    assert [(row["name"], row["more_images"], row["more_sites"]) for row in wanted] == [
        ("Wrasse", 40, 1),
        ("Cod", 1, 0),
    ]


def test_a_second_process_does_not_run_the_same_pass(reef: Project) -> None:
    asked = analysis.request(actor=OPERATOR, project=reef)
    assert analysis.request(actor=OPERATOR, project=reef) == asked
    held = analysis.lease(reef)
    assert held is not None and held.pk == asked.pk
    assert analysis.lease(reef) is None
    assert analysis.run(reef) is None
    Analysis.objects.filter(pk=asked.pk).update(lease_until="2020-01-01T00:00Z")
    taken = analysis.lease(reef)
    assert taken is not None and taken.lease_token != held.lease_token
    with pytest.raises(leases.LeaseLost):
        analysis._tell(held, "late", 0.5, None)


def test_a_pass_that_ended_its_process_three_times_fails_with_a_reason(reef: Project) -> None:
    row = analysis.add(reef)
    for _ in range(3):
        assert analysis.lease(reef) is not None
        Analysis.objects.update(lease_until="2020-01-01T00:00Z")
    assert analysis.lease(reef) is None
    row.refresh_from_db()
    assert (row.state, bool(row.reason)) == ("failed", True)


def test_an_error_is_kept_as_the_reason(reef: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(project: Project, embedded: object) -> dict[str, int]:
        raise MemoryError("no room")

    monkeypatch.setattr(analyse, "find_novel", broken)
    with pytest.raises(MemoryError):
        analysis.run(reef)
    row = Analysis.objects.get()
    assert (row.state, row.reason) == ("failed", "what looks new: MemoryError: no room")


def let_pass(minutes: float) -> None:
    """As if that much time had gone by since all that is there."""
    by = timedelta(minutes=minutes)
    Image.objects.update(created_at=F("created_at") - by)
    Analysis.objects.update(created_at=F("created_at") - by, done_at=F("done_at") - by)


def test_a_pass_is_due_when_enough_came_in_or_was_reviewed_and_not_before(reef: Project) -> None:
    let_pass(2)
    assert analysis.is_due(reef)
    analysis.run(reef)
    let_pass(2)
    assert not analysis.is_due(reef)
    add_images(reef, [""] * 10)
    let_pass(2)
    assert not analysis.is_due(reef)
    add_images(reef, [""] * 45)
    let_pass(2)
    assert analysis.is_due(reef)
    analysis.add(reef)
    assert not analysis.is_due(reef), "one waits already"


def test_while_pictures_stream_in_a_pass_waits_but_not_for_ever(reef: Project) -> None:
    add_images(reef, [""] * 60)
    assert not analysis.is_due(reef)
    let_pass(21)
    add_images(reef, [""])
    assert analysis.is_due(reef)


def test_a_pass_that_took_long_is_followed_by_a_rest(reef: Project) -> None:
    done = analysis.run(reef)
    assert done is not None
    add_images(reef, [""] * 60)
    let_pass(5)
    Analysis.objects.filter(pk=done.pk).update(created_at=F("done_at") - timedelta(minutes=1))
    assert not analysis.is_due(reef)
    let_pass(6)
    assert analysis.is_due(reef)


def test_a_project_without_images_is_never_due() -> None:
    assert not analysis.is_due(make_project("Empty"))


def test_quality_counts_and_the_filter_of_the_grid_agree(reef: Project) -> None:
    ids = list(Image.objects.order_by("pk").values_list("pk", flat=True))
    for place, values in enumerate(
        (
            {"brightness": 0.01},
            {"brightness": 0.99},
            {"sharpness": 0.001},
            {"width": 20, "height": 20},
            {"height": 3000},
            {"damaged_share": 0.5},
        )
    ):
        Image.objects.filter(pk=ids[place]).update(**values)
    done = analysis.run(reef)
    assert done is not None
    assert done.report["quality"] == dict.fromkeys(quality.KINDS, 1)
    for place, kind in enumerate(quality.KINDS):
        rows = ImageState.objects.filter(quality.conditions(kind, project=reef), project=reef)
        assert list(rows.values_list("pk", flat=True)) == [ids[place]]


def test_limits_follow_what_is_usual_within_bounds() -> None:
    project = make_project()
    ids = add_images(project, [""] * 200)
    for place, image_id in enumerate(ids):
        Image.objects.filter(pk=image_id).update(brightness=0.05 + place / 1000, sharpness=0.001)
    limits = quality.fit_limits(Image.objects.filter(project=project))
    assert limits == {"dark": 0.07, "bright": 0.9, "blurred": 0.005}


def test_leaks_between_imported_parts_and_in_the_newest_snapshot_are_told() -> None:
    project = make_project()
    ids = add_images(project, ["Cod"] * 4, hashes=[5, 5, 9**17, 9**17], parts=["train", "test", "train", "train"])
    out = io.StringIO()
    snapshot = Snapshot.objects.create(project=project, name="first", digest="d", manifest_key="m")
    for image_id, part in zip(ids, ["train", "train", "train", "test"], strict=True):
        SnapshotEntry.objects.create(snapshot=snapshot, image_id=image_id, part=part)
    call_command("health", project=project.slug, json=True, stdout=out, stderr=io.StringIO())
    told = json.loads(out.getvalue())
    assert [(one["kind"], one["id"], one["between"]) for one in told["leaks"]] == [
        ("cluster", ids[0], "imported parts"),
        ("cluster", ids[2], "parts of the snapshot first"),
    ]
    assert told["duplicate_clusters"] == 2


def test_the_command_says_the_same_in_words(reef: Project) -> None:
    out = io.StringIO()
    call_command("health", project=reef.slug, quick=True, stdout=out, stderr=io.StringIO())
    assert "94 images; 82 have one of 3 labels" in out.getvalue()
    assert "suspect labels: 1" in out.getvalue()


def test_a_settled_finding_is_not_counted_any_more(reef: Project) -> None:
    analysis.run(reef)
    Finding.objects.filter(kind="suspect").update(settled_at=timezone.now())
    recount(reef)
    out = io.StringIO()
    call_command("health", project=reef.slug, quick=True, json=True, stdout=out, stderr=io.StringIO())
    assert json.loads(out.getvalue())["suspects"] == 0
