"""What one format holds comes out of any other that can hold it: labels, boxes, sites, times and the rest."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.formats.held import HEAD, HOLDS, SIZE, by_content, export, labels_of, records, reopened
from webapp.datasets.formats.records import AnnotationRecord, DetectionRecord, Head, ImageRecord, MachineRecord

LABELLED = sorted(set(HOLDS) - {"megadetector"})  # its results are a machine's, from which no label ever comes


def can_follow(first: str, second: str) -> bool:
    """Camtrap DP needs times and places."""
    return second != "camtrapdp" or {"sites", "times"} <= HOLDS[first]


PAIRS = [(first, second) for first in LABELLED for second in HOLDS if can_follow(first, second)]
FACTS: Mapping[str, Callable[[ImageRecord], Any]] = {
    "parts": lambda record: record.part,
    "sites": lambda record: record.site,
    "times": lambda record: record.captured_at[:19],
    "sequences": lambda record: record.sequence,
    "animals": lambda record: sorted(
        (one.individual, one.count, sorted(one.fields.items()), sorted(one.flags)) for one in record.annotations or ()
    ),
}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_what_two_formats_can_hold_survives_both(first: str, second: str, tmp_path: Path) -> None:
    before = records(tmp_path / "pictures")
    export(first, HEAD, before, tmp_path / "first")
    between = reopened(tmp_path / "first")
    export(second, _with_places(between.head), between.images(), tmp_path / "second")
    after = by_content(reopened(tmp_path / "second").images())
    common = HOLDS[first] & HOLDS[second]
    expected = by_content(_holdable(first, second, before))
    assert after.keys() == expected.keys()
    for key, record in expected.items():
        _same_labels(record, after[key], boxes="boxes" in common)
        for fact in common & FACTS.keys():
            assert FACTS[fact](after[key]) == FACTS[fact](record), (fact, record.path)


def _with_places(head: Head) -> Head:
    """A format without coordinates says nothing of them: what the project knows is put beside again."""
    return replace(head, labels=HEAD.labels, sites=HEAD.sites, visits=HEAD.visits)


def _holdable(first: str, second: str, before: list[ImageRecord]) -> list[ImageRecord]:
    """Without boxes no YOLO, darknet or VOC, but for pictures in which there is nothing."""
    if "boxes" not in HOLDS[first] and second in ("yolo", "darknet", "voc"):
        return [record for record in before if not record.annotations]
    return before


def _same_labels(before: ImageRecord, after: ImageRecord, *, boxes: bool) -> None:
    wanted, found = labels_of(before), labels_of(after)
    if not boxes:
        assert {label for label, _ in found} == {label for label, _ in wanted}
        return
    assert [label for label, _ in found] == [label for label, _ in wanted]
    for (_, box), (_, other) in zip(wanted, found, strict=True):
        assert box is not None and other is not None
        edges = [(side, again) for side, again in zip(_edges(box), _edges(other), strict=True)]
        for at, (edge, again) in enumerate(edges):
            assert abs(edge - again) * SIZE[at % 2] <= 0.5 + 1e-6, (before.path, box, other)


def _edges(box: tuple[float, ...]) -> tuple[float, ...]:
    x, y, width, height = box
    return x, y, x + width, y + height


@pytest.mark.parametrize("format", ["csv", "camtrapdp"])
def test_sites_keep_their_coordinates_and_visits_their_site(format: str, tmp_path: Path) -> None:
    export(format, HEAD, records(tmp_path / "pictures"), tmp_path / "out")
    head = reopened(tmp_path / "out").head
    assert {(site.name, site.latitude, site.longitude) for site in head.sites} == {
        ("Ridge 1", 61.5, -10.25),
        ("=Lake", -3.5, -60.0),
    }
    assert {visit.site for visit in head.visits} == {"Ridge 1", "=Lake"}
    latin = {label.name: label.scientific_name for label in head.labels}
    assert latin["Red Fox"] == "Vulpes vulpes"


def test_individuals_counts_fields_and_verdicts_come_back_from_a_table(tmp_path: Path) -> None:
    plain = records(tmp_path / "pictures")[:3]
    before = [replace(plain[0], annotations=None), replace(plain[1], annotations=None, cannot_tell=True), plain[2]]
    export("csv", HEAD, before, tmp_path / "out")
    after = by_content(reopened(tmp_path / "out").images())
    assert [(one.annotations is None, one.cannot_tell) for one in after.values()] == [
        (True, False),
        (True, True),
        (False, False),
    ]


@pytest.mark.parametrize(
    ("format", "change", "code"),
    [
        ("camtrapdp", {"captured_at": ""}, "no-capture-time"),
        ("camtrapdp", {"site": "nowhere"}, "no-coordinates"),
        ("imagefolder", {"annotations": None}, "not-labelled"),
        ("imagefolder", {"annotations": (AnnotationRecord("a"), AnnotationRecord("b"))}, "several-labels"),
        ("imagefolder", {"cannot_tell": True, "annotations": None}, "cannot-tell"),
        ("coco", {"annotations": None}, "not-labelled"),
        ("coco-ct", {"cannot_tell": True}, "cannot-tell"),
        ("yolo", {"annotations": (AnnotationRecord("a"),)}, "no-box"),
        ("darknet", {"annotations": (AnnotationRecord("a"),)}, "no-box"),
        ("voc", {"annotations": None}, "not-labelled"),
        ("voc", {"annotations": (AnnotationRecord("a"),)}, "no-box"),
        ("megadetector", {"annotations": None}, "nobody-looked"),
        ("csv", {"file": None}, "no-file"),
    ],
)
def test_what_cannot_be_exported_is_listed_with_its_reason(
    format: str, change: dict[str, Any], code: str, tmp_path: Path
) -> None:
    whole, other, *_ = records(tmp_path / "pictures")
    written = export(format, HEAD, [whole, replace(other, **change)], tmp_path / "out")
    (left,) = [one for one in written.left_out if one.code == code]
    assert (left.count, left.examples) == (1, (other.path,))
    with (tmp_path / "out" / "left_out.csv").open(encoding="utf-8", newline="") as text:
        listed = list(csv.DictReader(text))
    assert [(row["code"], row["reason"]) for row in listed if row["code"] == code] == [(code, left.reason)]


@pytest.mark.parametrize("format", ["voc", "yolo", "darknet"])
def test_an_animal_without_a_box_never_comes_back_as_an_empty_picture(format: str, tmp_path: Path) -> None:
    unboxed = replace(records(tmp_path / "pictures")[0], annotations=(AnnotationRecord("a"),))
    boxed = replace(records(tmp_path / "pictures")[1], annotations=(AnnotationRecord("a", box=(0.25, 0.25, 0.5, 0.5)),))
    export(format, HEAD, [unboxed, boxed], tmp_path / "out")
    assert [len(one.annotations or ()) for one in reopened(tmp_path / "out").images()] == [1]


@pytest.mark.parametrize("format", ["megadetector", "camtrapdp"])
def test_what_a_machine_saw_never_comes_back_as_a_label(format: str, tmp_path: Path) -> None:
    seen = (DetectionRecord("animal", 0.9, (0.25, 0.25, 0.5, 0.5), (("Red Fox", 0.75), ("Wels (big)", 0.2))),)
    plain = records(tmp_path / "pictures")[0]
    head = replace(HEAD, machine=MachineRecord("detector 1", "classifier 2"))
    export(format, head, [replace(plain, annotations=None, detections=seen)], tmp_path / "out")
    (after,) = reopened(tmp_path / "out").images()
    assert after.annotations is None and after.detections is not None
    (found,) = after.detections
    assert (found.category, found.box, found.scores[0]) == ("animal", seen[0].box, ("Red Fox", 0.75))


def test_yolo_without_a_validation_part_names_only_folders_that_are_there(tmp_path: Path) -> None:
    some = [replace(one, part="", annotations=()) for one in records(tmp_path / "pictures")[:2]]
    export("yolo", HEAD, some, tmp_path / "out")
    told = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert (tmp_path / "out" / told["val"]).is_dir()
    assert [one.part for one in reopened(tmp_path / "out").images()] == ["train", "train"]
