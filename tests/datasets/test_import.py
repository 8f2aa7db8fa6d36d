"""Importing: the counts of each layout, twice as once, what is missing by name, labels that meet those of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import datasets_made as made
from tests import pictures
from tests.datasets.importing import Reef, make_reef
from webapp.access.actors import OPERATOR
from webapp.datasets import importing
from webapp.datasets.models import Import, JobState
from webapp.images.models import File, Image, ImageState, Item, Sequence, Upload
from webapp.images.states import Source
from webapp.leases import UNDER_WAY
from webapp.predictions.finish import measure_now
from webapp.predictions.models import Prediction, Region
from webapp.projects.labels import add_label, merge_label
from webapp.projects.models import Individual, Label, Site
from webapp.reviews.models import Annotation, Review


@pytest.mark.parametrize("capitals", [False, True])
def test_the_four_parts_of_the_ten_animals_come_in_with_their_counts(
    reef: Reef, tmp_path: Path, capitals: bool
) -> None:
    data = made.make_ten_animals(tmp_path / "animals", capitals=capitals)
    row = reef.run(data.root, source="a course", licence="CC0")
    assert (row.state, row.format) == (JobState.DONE, "imagefolder")
    assert row.counts["added"] == data.images == reef.images()
    assert reef.counts() == data.labels
    parts = list(Image.objects.values_list("part", flat=True))
    assert {part: parts.count(part) for part in set(parts)} == data.parts
    assert row.upload.items.filter(claimed_label="Cat").count() == data.labels["Cat"]
    assert (row.upload.source, row.upload.licence, row.upload.state) == ("a course", "CC0", Upload.State.CLOSED)
    assert len(row.upload.checksum) == 64
    reef.check_states()


def test_importing_twice_changes_nothing(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    first = reef.run(data.root)
    before = (reef.images(), Review.objects.count(), Annotation.objects.count(), Label.objects.count(), reef.counts())
    second = reef.run(data.root)
    after = (reef.images(), Review.objects.count(), Annotation.objects.count(), Label.objects.count(), reef.counts())
    assert second.pk != first.pk
    assert (second.counts["duplicates"], second.counts["added"], second.counts["reviews"]) == (data.images, 0, 0)
    assert before == after
    assert second.upload.checksum == first.upload.checksum


def test_the_users_files_stay_as_they_are(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.root.rglob("*.jpeg")}
    reef.run(data.root)
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.root.rglob("*.jpeg")}
    stored = {path.read_bytes() for path in (tmp_path / "store").rglob("*.jpg")}
    assert stored == {content for _, content in before.values()}
    assert list((tmp_path / "store" / "incoming").iterdir()) == []


def test_labels_are_reviews_that_say_they_were_imported(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    row = reef.run(data.root)
    review = Review.objects.select_related("upload").first()
    assert review is not None
    assert (review.how, review.upload, review.settles) == (Review.How.IMPORTED, row.upload, False)
    assert set(ImageState.objects.values_list("source", flat=True)) == {Source.IMPORTED}
    assert sorted(Site.objects.values_list("name", flat=True)) == ["Site 0", "Site 1", "Site 2"]
    assert not Image.objects.filter(site=None).exists()
    assert reef.counts() == data.labels
    reef.check_states()


def test_the_whales_become_individuals_of_one_label(reef: Reef, tmp_path: Path) -> None:
    data = made.make_whales_csv(tmp_path / "whales")
    row = reef.run(data.root)
    assert row.counts["added"] == data.images
    named = {name: Annotation.objects.filter(individual__name=name).count() for name in data.labels}
    named["new_whale"] = Annotation.objects.filter(individual=None).count()
    assert named == data.labels
    assert Individual.objects.count() == len(data.labels) - 1
    reef.check_states()


@pytest.mark.parametrize(
    "make", [made.make_coco, made.make_yolo, made.make_darknet, made.make_voc, made.make_coco_ct, made.make_camtrapdp]
)
def test_boxes_and_labels_of_the_other_formats_come_in(reef: Reef, tmp_path: Path, make: object) -> None:
    data = make(tmp_path / "data")  # type: ignore[operator]
    row = reef.run(data.root)
    assert (row.state, row.reason) == (JobState.DONE, "")
    assert row.counts["added"] == data.images
    assert Annotation.objects.filter(x__isnull=False).count() == data.boxes
    again = reef.run(data.root)
    assert (again.counts["duplicates"], again.counts["reviews"]) == (data.images, 0)
    reef.check_states()


def test_sequences_and_times_of_a_source_are_kept(reef: Reef, tmp_path: Path) -> None:
    data = made.make_coco_ct(tmp_path / "data")
    reef.run(data.root)
    assert Sequence.objects.exclude(name="").count() == data.images // 3
    image = Image.objects.filter(captured_at="2021-05-01T06:00:00").get()
    assert image.captured_at_utc is not None
    assert image.sequence is not None


def test_a_missing_file_is_named_and_the_others_come_in(reef: Reef, tmp_path: Path) -> None:
    data = made.make_table(tmp_path / "table")
    (data.root / "Site 1" / "IMG_0004.JPG").unlink()
    row = reef.run(data.root)
    assert (row.counts["added"], row.counts["failed"], row.counts["missing"]) == (data.images - 1, 1, 1)
    lost = row.upload.items.get(state=Item.State.FAILED)
    assert (lost.path, lost.code) == ("Site 1/IMG_0004.JPG", "file-missing")
    assert "Site 1/IMG_0004.JPG" in lost.reason
    assert [one["examples"] for one in row.notices if one["kind"] == "missing"] == [["Site 1/IMG_0004.JPG"]]


def test_what_is_no_picture_is_rejected_with_its_reason(reef: Reef, tmp_path: Path) -> None:
    made.put(tmp_path / "pets" / "cat" / "a.jpg", made.picture(1))
    made.put(tmp_path / "pets" / "cat" / "b.jpg", pictures.html_named_jpg())
    made.put(tmp_path / "pets" / "cat" / "c.jpg", b"")
    row = reef.run(tmp_path / "pets")
    assert (row.counts["added"], row.counts["rejected"]) == (1, 2)
    assert all(row.upload.items.filter(state=Item.State.REJECTED).values_list("reason", flat=True))


def test_what_is_wrong_with_an_entry_is_told_and_stays_when_its_picture_is_measured(reef: Reef, tmp_path: Path) -> None:
    for name in "ab":
        made.put(tmp_path / "set" / "images" / f"{name}.jpg", made.picture(ord(name)))
    made.put(tmp_path / "set" / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2\n0 0.5 nan 0.2 0.2\n")
    made.put(tmp_path / "set" / "labels" / "b.txt", "")
    made.put(tmp_path / "set" / "data.yaml", "train: images\nnames: [cat]\n")
    row = reef.run(tmp_path / "set")
    (told,) = [one for one in row.notices if one["kind"] == "entry"]
    assert (told["count"], told["examples"]) == (1, ["images/a.jpg"])
    assert measure_now(project=reef.project).measured == 2
    item = row.upload.items.get(path="images/a.jpg")
    assert (item.state, item.code) == (Item.State.DONE, "")
    assert "a.txt, line 2: 'nan' is no number" in item.reason
    assert row.upload.items.get(path="images/b.jpg").reason == ""
    assert Annotation.objects.filter(x__isnull=False).count() == 1 == Annotation.objects.filter(x=None).count()


def test_spellings_that_differ_in_case_are_one_label_and_that_is_said_once(reef: Reef, tmp_path: Path) -> None:
    for number, name in enumerate(["Lion", "lion", "LION"]):
        made.put(tmp_path / "pets" / name / "a.jpg", made.picture(number))
    row = reef.run(tmp_path / "pets")
    assert reef.counts() == {"LION": 3}
    (told,) = [one for one in row.notices if one["kind"] == "spelling"]
    assert (told["count"], set(told["examples"])) == (2, {"Lion = LION", "lion = LION"})


def test_labels_meet_those_of_the_project_by_any_of_their_names(reef: Reef, tmp_path: Path) -> None:
    cora = reef.people["cora"]
    fox = add_label(actor=cora, project=reef.project, name="Red fox", scientific_name="Vulpes vulpes")
    old = add_label(actor=cora, project=reef.project, name="Reynard")
    badger = add_label(actor=cora, project=reef.project, name="Badger", synonyms=["Brock"])
    merge_label(actor=cora, label=old, into=fox)
    for place, name in enumerate(["RED FOX", "vulpes vulpes", "reynard", "red-fox", "brock"]):
        made.put(tmp_path / "dens" / name / f"{place}.jpg", made.picture(place))
    reef.run(tmp_path / "dens")
    assert reef.counts() == {"Red fox": 4, "Badger": 1}
    assert set(Label.objects.values_list("pk", flat=True)) == {fox.pk, old.pk, badger.pk}


def test_spellings_that_look_alike_are_offered_and_not_merged(reef: Reef, tmp_path: Path) -> None:
    for place, name in enumerate(["Zebra", "zebras", "plains_zebra", "Zebar", "Lion"]):
        made.put(tmp_path / "plain" / name / f"{place}.jpg", made.picture(place))
    row = reef.run(tmp_path / "plain")
    offered = [{label["name"] for label in one["labels"]} for one in row.notices if one["kind"] == "synonyms"]
    assert {"Zebra", "zebras"} in offered
    assert {"Zebra", "plains_zebra"} in offered
    assert {"Zebra", "Zebar"} in offered
    assert not any("Lion" in pair for pair in offered)
    assert len(reef.counts()) == 5


def test_new_labels_for_known_images_are_added_to_them(reef: Reef, tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    made.put(folder / "a.jpg", made.picture(1))
    made.write_csv(folder / "labels.csv", ["filepath", "label"], [["a.jpg", "cat"]])
    reef.run(folder)
    made.write_csv(folder / "labels.csv", ["filepath", "label"], [["a.jpg", "dog"]])
    row = reef.run(folder)
    assert (row.counts["duplicates"], row.counts["reviews"]) == (1, 1)
    assert reef.counts() == {"dog": 1}
    assert Review.objects.count() == 2
    reef.check_states()


def test_a_picture_that_comes_twice_keeps_its_first_label_and_says_so(reef: Reef, tmp_path: Path) -> None:
    made.put(tmp_path / "pets" / "cat" / "a.jpg", made.picture(1))
    made.put(tmp_path / "pets" / "dog" / "b.jpg", made.picture(1))
    row = reef.run(tmp_path / "pets")
    assert (row.counts["added"], row.counts["duplicates"]) == (1, 1)
    assert reef.counts() == {"cat": 1}
    assert [one["examples"] for one in row.notices if one["kind"] == "contradiction"] == [["dog/b.jpg"]]
    again = reef.run(tmp_path / "pets")
    assert again.counts["reviews"] == 0
    assert reef.counts() == {"cat": 1}


def test_a_table_labels_pictures_that_are_here_already(reef: Reef, tmp_path: Path) -> None:
    for number, name in enumerate(["north/a.jpg", "south/a.jpg", "south/b.jpg"]):
        made.put(tmp_path / "cards" / name, made.picture(number))
    reef.run(tmp_path / "cards", options={"folders": "none"})
    rows = [["north/a.jpg", "fox"], ["b.jpg", "owl"], ["a.jpg", "cat"], ["north/c.jpg", "cat"]]
    made.write_csv(tmp_path / "words" / "labels.csv", ["file", "label"], rows)
    row = reef.run(tmp_path / "words" / "labels.csv")
    assert (row.counts["duplicates"], row.counts["failed"], row.counts["reviews"]) == (2, 2, 2)
    codes = dict(row.upload.items.filter(state="failed").values_list("path", "code"))
    assert codes == {"a.jpg": "several-images", "north/c.jpg": "file-missing"}
    assert reef.counts() == {"fox": 1, "owl": 1, "": 1}


def test_results_of_a_machine_are_predictions_and_never_labels(reef: Reef, tmp_path: Path) -> None:
    data = made.make_megadetector(tmp_path / "md")
    row = reef.run(data.root)
    assert row.pipeline is not None and row.pipeline.external is not None
    assert row.pipeline.external.name == "md_v5a.0.0.pt + species_net_tests"
    assert row.counts["added"] == data.images
    assert (Review.objects.count(), Label.objects.count()) == (0, 0)
    answered = Prediction.objects.filter(pipeline=row.pipeline)
    assert (answered.filter(state="done").count(), answered.filter(state="failed").count()) == (data.images - 1, 1)
    assert Region.objects.filter(x__isnull=False).count() == data.boxes
    assert row.pipeline.thresholds == {"detection": 0.2}
    again = reef.run(data.root)
    assert (again.counts["duplicates"], again.counts["predictions"]) == (data.images, 0)
    assert again.pipeline == row.pipeline
    reef.check_states()


def test_results_of_a_machine_find_their_pictures_in_the_project(reef: Reef, tmp_path: Path) -> None:
    data = made.make_megadetector(tmp_path / "md")
    results = (data.root / "results.json").read_bytes()
    (data.root / "results.json").unlink()
    reef.run(data.root, options={"folders": "none"})
    made.put(tmp_path / "elsewhere" / "results.json", results)
    row = reef.run(tmp_path / "elsewhere" / "results.json")
    assert row.counts["predictions"] == data.images
    assert row.counts["failed"] == 0


def test_a_broken_source_ends_the_import_with_its_words_and_can_go_on(reef: Reef, tmp_path: Path) -> None:
    data = made.make_coco(tmp_path / "coco")
    file = next(data.root.glob("*.json"), None) or next(data.root.rglob("*.json"))
    whole = file.read_text()
    row = reef.run(data.root)
    assert row.state == JobState.DONE
    file.write_text(whole[: len(whole) // 2])
    other = make_reef("other")
    broken = other.run(file, format="coco")
    assert broken.state == JobState.FAILED
    assert broken.reason
    file.write_text(whole)
    again = other.run(file, format="coco")
    assert (again.pk, again.state) == (broken.pk, JobState.DONE)
    assert other.images() == data.images


def test_nobody_waits_for_a_stopped_import_and_it_goes_on_later(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    row = importing.start_import(actor=OPERATOR, project=reef.project, root=data.root, here=True)
    stopped = importing.stop_import(actor=OPERATOR, row=row)
    assert stopped.state == JobState.STOPPED
    assert Import.objects.filter(state__in=UNDER_WAY).count() == 0
    done = reef.run(data.root)
    assert (done.pk, done.counts["added"]) == (row.pk, data.images)


def test_files_are_stored_once_for_all_projects(reef: Reef, tmp_path: Path) -> None:
    data = made.make_ten_animals(tmp_path / "animals")
    reef.run(data.root)
    other = make_reef("other")
    assert other.run(data.root).counts["added"] == data.images
    assert File.objects.count() == data.images
