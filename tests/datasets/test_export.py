"""Exports: what people said goes out, comes in again elsewhere, and holds no more than its reader may see."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests import datasets_made
from tests.datasets.importing import Reef, make_reef
from webapp.access.actors import OPERATOR, Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.datasets import export_job
from webapp.datasets.exporting import Asked, check, start_export, write_export
from webapp.datasets.formats.job import Written
from webapp.datasets.formats.output import FolderOutput
from webapp.datasets.models import JobState
from webapp.datasets.results import results, totals
from webapp.datasets.selection import Selection
from webapp.datasets.withdraw import move, withdraw_upload
from webapp.errors import Forbidden, Invalid
from webapp.images.models import Image
from webapp.projects.labels import add_label
from webapp.projects.models import Site
from webapp.reviews.decide import AnnotationDraft, decide
from webapp.reviews.models import Annotation


@pytest.fixture
def season(reef: Reef, tmp_path: Path) -> Reef:
    """Twelve pictures with sites, sequences, times and boxes."""
    reef.run(datasets_made.make_coco_ct(tmp_path / "season").root)
    return reef


def export(reef: Reef, out: Path, **asked: Any) -> Written:
    with FolderOutput(out) as folder:
        return write_export(actor=OPERATOR, asked=Asked(reef.project, **asked), out=folder)


def said(reef: Reef) -> dict[str, list[tuple[str, tuple[float, ...] | None]]]:
    """By digest, the labels and boxes that stand."""
    found: dict[str, list[tuple[str, tuple[float, ...] | None]]] = {}
    rows = Annotation.objects.filter(review__image__project=reef.project).select_related("label", "review__image__file")
    for row in rows:
        box = (
            None if row.x is None else tuple(round(value or 0.0, 2) for value in (row.x, row.y, row.width, row.height))
        )
        found.setdefault(row.review.image.file.sha256, []).append((row.label.name.lower() if row.label else "", box))
    return {digest: sorted(pairs, key=str) for digest, pairs in found.items()}


@pytest.mark.parametrize(
    ("name", "lost"),
    [("imagefolder", {"boxes", "sites"}), ("voc", {"sites"}), ("coco", {"sites"}), ("coco-ct", set()), ("csv", set())],
)
def test_what_a_format_has_no_place_for_is_said(season: Reef, tmp_path: Path, name: str, lost: set[str]) -> None:
    written = export(season, tmp_path / "out", format=name)
    told = " ".join(one.reason for one in written.left_out if one.code == "no-place")
    assert {word for word in ("boxes", "sites") if word in told} == lost


@pytest.mark.parametrize("name", ["coco", "coco-ct", "csv", "camtrapdp", "voc", "yolo", "darknet"])
def test_what_goes_out_comes_in_again_elsewhere(season: Reef, tmp_path: Path, name: str) -> None:
    Site.objects.filter(project=season.project).update(latitude=-1.25, longitude=36.5)  # Camtrap DP asks for a place
    written = export(season, tmp_path / "out", format=name)
    other = make_reef("other")
    other.run(tmp_path / "out")
    expected = said(season)
    if name in ("voc", "yolo", "darknet"):
        # These hold boxes alone; the export says what it left out.
        unboxed = sum(box is None for pairs in expected.values() for _, box in pairs)
        assert unboxed == sum(one.count for one in written.left_out if one.code != "no-place")
        boxed = {digest: [pair for pair in pairs if pair[1]] for digest, pairs in expected.items()}
        expected = {digest: pairs for digest, pairs in boxed.items() if pairs}
    assert said(other) == expected


@pytest.mark.parametrize("name", ["coco-ct", "csv"])
def test_sites_and_times_come_in_again_too(season: Reef, tmp_path: Path, name: str) -> None:
    export(season, tmp_path / "out", format=name)
    other = make_reef("other")
    other.run(tmp_path / "out")
    places = [
        list(
            Image.objects.filter(project=one.project)
            .order_by("file__sha256")
            .values_list("file__sha256", "site__name", "captured_at_utc")
        )
        for one in (season, other)
    ]
    assert places[0] == places[1]


def test_only_the_selection_goes_out(season: Reef, tmp_path: Path) -> None:
    site = Site.objects.filter(project=season.project).order_by("pk")[0]
    written = export(season, tmp_path / "out", format="csv", selection=Selection(site=str(site.uid)))
    expected = Image.objects.filter(project=season.project, site=site).count()
    assert 0 < expected < 12
    assert written.counts["images"] == expected


def test_withdrawn_images_stay_here(season: Reef, tmp_path: Path) -> None:
    upload = withdraw_upload(actor=OPERATOR, upload=Image.objects.filter(project=season.project)[0].upload)
    move(upload.pk)
    assert export(season, tmp_path / "out", format="csv").counts.get("images", 0) == 0


def test_a_job_makes_a_zip_and_says_what_it_holds(season: Reef) -> None:
    row = start_export(actor=season.people["cora"], asked=Asked(season.project, "coco"))
    made = export_job.run(row.pk)
    assert made is not None
    assert (made.state, made.counts["images"], made.done, made.attempts) == (JobState.DONE, 12, 12, 1)
    with zipfile.ZipFile(export_job.ready_file(made)) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
    assert sum(name.lower().endswith(".jpg") for name in names) == 12
    assert export_job.run(row.pk) is None


def test_a_job_that_was_stopped_makes_nothing(season: Reef) -> None:
    row = start_export(actor=season.people["cora"], asked=Asked(season.project, "coco"))
    assert export_job.stop(row)
    assert export_job.run(row.pk) is None
    assert not export_job.path_of(row).exists()


def test_pictures_that_tell_their_place_are_not_handed_to_those_who_may_not_see_it(
    season: Reef, tmp_path: Path
) -> None:
    image = Image.objects.filter(project=season.project).order_by("pk")[0]
    Image.objects.filter(pk=image.pk).update(latitude=1.23456, longitude=36.54321)
    viewer = User.objects.create(username="vera")
    Membership.objects.create(user=viewer, project=season.project, role=Role.VIEWER)
    with FolderOutput(tmp_path / "out") as folder:
        written = write_export(actor=Actor(Via.SESSION, user=viewer), asked=Asked(season.project, "csv"), out=folder)
    kept = [one for one in written.left_out if one.code == "place-withheld"]
    assert [(one.count, list(one.examples)) for one in kept] == [(1, [image.path])]
    assert sum(path.suffix.lower() == ".jpg" for path in (tmp_path / "out").rglob("*")) == 11


def test_coordinates_of_sites_are_coarse_for_those_who_may_not_see_them(season: Reef, tmp_path: Path) -> None:
    Site.objects.filter(project=season.project).update(latitude=1.23456, longitude=36.54321)
    viewer = User.objects.create(username="vera")
    Membership.objects.create(user=viewer, project=season.project, role=Role.VIEWER)
    with FolderOutput(tmp_path / "out") as folder:
        write_export(actor=Actor(Via.SESSION, user=viewer), asked=Asked(season.project, "csv"), out=folder)
    with (tmp_path / "out" / "labels.csv").open(newline="") as file:
        latitudes = {row["latitude"] for row in csv.DictReader(file) if row["latitude"]}
    assert latitudes == {"1.23"}


def test_strangers_get_nothing(season: Reef) -> None:
    with pytest.raises(Forbidden):
        check(Actor(Via.SESSION, user=User.objects.create(username="eve")), Asked(season.project, "csv"))


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"format": "docx"}, "no format"),
        ({"format": "csv", "whose": "nobody"}, "none of"),
        ({"format": "csv", "options": {"colour": "red"}}, "colour"),
    ],
)
def test_what_cannot_be_made_is_refused_at_once(season: Reef, asked: dict[str, Any], word: str) -> None:
    with pytest.raises(Invalid, match=word):
        start_export(actor=season.people["cora"], asked=Asked(season.project, **asked))


def test_a_label_that_a_spreadsheet_would_run_is_disarmed(reef: Reef, tmp_path: Path) -> None:
    reef.run(datasets_made.make_ten_animals(tmp_path / "animals").root)
    image = Image.objects.filter(project=reef.project)[0]
    label = add_label(actor=OPERATOR, project=reef.project, name="=1+1")
    decide(
        actor=reef.people["rosa"],
        image=image,
        verdict="labelled",
        annotations=[AnnotationDraft(label=label)],
        how="blind",
    )
    export(reef, tmp_path / "out", format="csv", options={"with_images": False})
    text = (tmp_path / "out" / "labels.csv").read_text()
    assert "'=1+1" in text
    assert ",=1+1" not in text


def test_results_count_verified_and_machine_apart(season: Reef) -> None:
    rows = results(season.project, by="site")
    assert {row.site for row in rows} == set(Site.objects.values_list("name", flat=True))
    assert sum(row.verified for row in rows) + totals(season.project).unanswered == 12
    assert all(row.machine_only == 0 for row in rows)


def test_an_export_of_megadetector_results_has_no_human_labels(season: Reef, tmp_path: Path) -> None:
    export(season, tmp_path / "out", format="megadetector")
    found = next((tmp_path / "out").glob("*.json"))
    assert set(json.loads(found.read_text())) >= {"info", "detection_categories", "images"}
