"""Exports against the rules that other people's validators check, told in our own words."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import frictionless
import pytest
from pycocotools.coco import COCO

from tests.datasets_made import picture, put
from tests.formats.held import HEAD, export, records
from webapp.datasets.formats.records import (
    AnnotationRecord,
    DetectionRecord,
    Head,
    ImageRecord,
    LabelRecord,
    MachineRecord,
    SiteRecord,
)

MACHINE = MachineRecord("md_v5a.0.0.pt", "species 2", {"format_version": "1.2", "detector_metadata": {}})
EVERYBODY = replace(HEAD, labels=(*HEAD.labels, LabelRecord("NoF", kind="background")), machine=MACHINE)
SEEN = (
    DetectionRecord("animal", 0.81234567, (0.0, 0.1, 1.0, 0.9), (("Red Fox", 0.2), ("Wels (big)", 0.7))),
    DetectionRecord("animal", 1, (0.5, 0.5, 0.5, 0.5)),
    DetectionRecord("person", 0.4),
)


def every_case(folder: Path) -> list[ImageRecord]:
    """Beside the usual ones: a person, nothing, nobody looked, nobody could tell, a machine's, a failure, no visit."""
    first, *others = records(folder)

    def like(name: str, **change: Any) -> ImageRecord:
        file = put(folder / name, picture(len(name) * 1000 + ord(name[0])))
        told = {"annotations": None, "width": 16, "height": 12, **change}
        return replace(first, path=f"more/{name}", file=file, **told)

    return [
        first,
        *others,
        like("person.jpg", annotations=(AnnotationRecord("Person"),)),
        like("no-fish.jpg", annotations=(AnnotationRecord("NoF"),)),
        like("cannot.jpg", cannot_tell=True),
        like("nobody.jpg", visit=""),
        like("machine.jpg", detections=SEEN, captured_at="2021-05-01T06:07:08+05:30"),
        like("nothing.jpg", detections=()),
        like("failed.jpg", failure="The file is damaged."),
    ]


# Camtrap DP

TIME, SHARE = "%Y-%m-%dT%H:%M:%S%z", {"minimum": 0, "maximum": 1}
ONE = {"required": True, "unique": True}
MUST = {"required": True}
KINDS = ["animal", "human", "vehicle", "blank", "unknown", "unclassified"]
SEXES, STAGES = ["female", "male"], ["adult", "subadult", "juvenile"]
RULES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "deployments": {
        "deploymentID": ("string", ONE),
        "latitude": ("number", {"required": True, "minimum": -90, "maximum": 90}),
        "longitude": ("number", {"required": True, "minimum": -180, "maximum": 180}),
        "coordinateUncertainty": ("integer", {"minimum": 1}),
        "deploymentStart": ("datetime", MUST),
        "deploymentEnd": ("datetime", MUST),
    },
    "media": {
        "mediaID": ("string", ONE),
        "deploymentID": ("string", MUST),
        "timestamp": ("datetime", MUST),
        "filePath": ("string", {"required": True, "pattern": r"(?!.*\.\.)[^./~].*"}),
        "filePublic": ("boolean", MUST),
        "fileMediatype": ("string", {"required": True, "pattern": r"(image|video|audio)/.*"}),
    },
    "observations": {
        "observationID": ("string", ONE),
        "deploymentID": ("string", MUST),
        "eventStart": ("datetime", MUST),
        "eventEnd": ("datetime", MUST),
        "observationLevel": ("string", {"required": True, "enum": ["media", "event"]}),
        "observationType": ("string", {"required": True, "enum": KINDS}),
        "count": ("integer", {"minimum": 1}),
        "lifeStage": ("string", {"enum": STAGES}),
        "sex": ("string", {"enum": SEXES}),
        "bboxX": ("number", SHARE),
        "bboxY": ("number", SHARE),
        "bboxWidth": ("number", {"minimum": 1e-15, "maximum": 1}),
        "bboxHeight": ("number", {"minimum": 1e-15, "maximum": 1}),
        "classificationMethod": ("string", {"enum": ["human", "machine"]}),
        "classificationProbability": ("number", SHARE),
    },
}
REFERS = {"media": [("deploymentID", "deployments")], "observations": [("deploymentID", "deployments")]}
REFERS["observations"] += [("mediaID", "media")]
COLUMNS = {
    "deployments": """deploymentID locationID locationName latitude longitude coordinateUncertainty deploymentStart
        deploymentEnd setupBy cameraID cameraModel cameraDelay cameraHeight cameraDepth cameraTilt cameraHeading
        detectionDistance timestampIssues baitUse featureType habitat deploymentGroups deploymentTags
        deploymentComments""",
    "media": """mediaID deploymentID captureMethod timestamp filePath filePublic fileName fileMediatype exifData
        favorite mediaComments""",
    "observations": """observationID deploymentID mediaID eventID eventStart eventEnd observationLevel
        observationType cameraSetupType scientificName count lifeStage sex behavior individualID
        individualPositionRadius individualPositionAngle individualSpeed bboxX bboxY bboxWidth bboxHeight
        classificationMethod classifiedBy classificationTimestamp classificationProbability observationTags
        observationComments""",
}


def schema(table: str) -> dict[str, Any]:
    fields = []
    for name in COLUMNS[table].split():
        kind, limits = RULES[table].get(name, ("string", {}))
        form = {"format": TIME} if kind == "datetime" else {}
        fields.append({"name": name, "type": kind, "constraints": limits, **form})
    keys = [{"fields": name, "reference": {"resource": other, "fields": name}} for name, other in REFERS.get(table, [])]
    return {"fields": fields, "foreignKeys": keys, "missingValues": ["", "NA", "NaN", "nan"]}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    export("camtrapdp", EVERYBODY, every_case(tmp_path / "pictures"), tmp_path / "out", contributor="Ann")
    return tmp_path / "out"


@pytest.fixture
def usual_csv() -> Iterator[None]:
    """frictionless lets cells of any length pass in the whole process: tests after it would meet another reader."""
    before = csv.field_size_limit()
    yield
    csv.field_size_limit(before)


def test_the_tables_of_a_camtrap_dp_are_valid(package: Path, usual_csv: None) -> None:
    told = json.loads((package / "datapackage.json").read_text())
    local = {"name": told["name"], "resources": []}
    for resource in told["resources"]:
        local["resources"].append({**resource, "schema": schema(resource["name"])})
    (package / "local.json").write_text(json.dumps(local))
    report = frictionless.validate(str(package / "local.json"))
    assert report.flatten(["rowNumber", "fieldName", "message"]) == []
    assert [(task.name, task.stats["rows"]) for task in report.tasks] == [
        ("deployments", 3),
        ("media", 15),
        ("observations", 23),
    ]


def test_the_descriptor_of_a_camtrap_dp_says_what_is_required(package: Path) -> None:
    told = json.loads((package / "datapackage.json").read_text())
    assert told["profile"].endswith("/1.0.2/camtrap-dp-profile.json")
    assert [one["schema"].rpartition("/")[2] for one in told["resources"]] == [
        "deployments-table-schema.json",
        "media-table-schema.json",
        "observations-table-schema.json",
    ]
    assert {one["profile"] for one in told["resources"]} == {"tabular-data-resource"}
    assert told["contributors"] == [{"title": "Ann", "role": "contact"}]
    assert told["project"] == {
        "title": "Held by all",
        "samplingDesign": "opportunistic",
        "captureMethod": ["activityDetection"],
        "individualAnimals": True,
        "observationLevel": ["media"],
    }
    assert told["temporal"] == {"start": "2021-03-01", "end": "2021-06-01"}
    assert told["spatial"]["coordinates"] == [[-10.25, 61.5], [-60.0, -3.5]]
    assert {"scientificName": "Vulpes vulpes", "vernacularNames": {"eng": "Red Fox"}} in told["taxonomic"]
    assert told["created"].endswith("Z")


def test_people_in_a_camtrap_dp_are_not_public(package: Path) -> None:
    rows = (package / "media.csv").read_text().splitlines()
    assert [line.split(",")[5] for line in rows if "person.jpg" in line] == ["false"]
    assert [line.split(",")[5] for line in rows if "no-fish.jpg" in line] == ["true"]


# GeoJSON, of the description of a Camtrap DP


def broken_shape(shape: dict[str, Any]) -> list[str]:
    """What RFC 7946 forbids in a geometry of points or of areas; empty when nothing is wrong."""
    depth = {"Point": 0, "MultiPoint": 1, "Polygon": 2, "MultiPolygon": 3}.get(shape.get("type", ""))
    if depth is None or "crs" in shape:
        return [f"type {shape.get('type')!r}, crs {shape.get('crs')!r}"]
    if depth < 2:
        return [fault for one in _flat(shape["coordinates"], depth) for fault in _broken_position(one)]
    areas = _flat(shape["coordinates"], depth - 2)
    return [fault for area in areas for place, ring in enumerate(area) for fault in _broken_ring(ring, place == 0)]


def _flat(nested: Any, depth: int) -> list[Any]:
    return [nested] if depth == 0 else [one for part in nested for one in _flat(part, depth - 1)]


def _broken_position(position: Any) -> list[str]:
    if not isinstance(position, list) or len(position) not in (2, 3):
        return [f"{position} is no position"]
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in position):
        return [f"{position} is not of numbers"]
    longitude, latitude = position[:2]
    return [] if -180 <= longitude <= 180 and -90 <= latitude <= 90 else [f"{position} is not longitude, latitude"]


def _broken_ring(ring: list[Any], is_outer: bool) -> list[str]:
    faults = [fault for one in ring for fault in _broken_position(one)]
    if faults or len(ring) < 4:
        return faults or [f"a ring of {len(ring)} positions"]
    edges = list(pairwise(ring))
    if ring[0] != ring[-1]:
        faults.append("a ring that is not closed")
    if any(abs(second[0] - first[0]) > 180 for first, second in edges):
        faults.append("a ring across the antimeridian, which is to be cut in two")
    is_counter_clockwise = sum(a[0] * b[1] - b[0] * a[1] for a, b in edges) > 0
    if is_counter_clockwise is not is_outer:
        faults.append("a ring that turns the wrong way")
    return faults


FIJI = (SiteRecord("West", -17.5, 179.9), SiteRecord("East", -16.5, -179.9), SiteRecord("Pole", -90, 0))


@pytest.mark.parametrize("sites", [HEAD.sites, FIJI, FIJI[:1], ()], ids=["two", "antimeridian", "one", "none"])
def test_the_places_of_a_camtrap_dp_are_geojson(sites: tuple[SiteRecord, ...], tmp_path: Path) -> None:
    first = records(tmp_path / "pictures")[0]
    taken = [replace(first, path=f"{site.name}/{number}.jpg", site=site.name, visit="")
             for site in sites for number in range(2)]  # fmt: skip
    export("camtrapdp", replace(HEAD, sites=sites, visits=()), taken, tmp_path / "out")
    shape = json.loads((tmp_path / "out" / "datapackage.json").read_text())["spatial"]
    assert broken_shape(shape) == []
    assert shape["coordinates"] == [[site.longitude, site.latitude] for site in sites]


def test_a_place_that_is_not_on_earth_is_left_out_and_said(tmp_path: Path) -> None:
    first = records(tmp_path / "pictures")[0]
    sites = (SiteRecord("Turned", 179.9, -17.5), FIJI[0])
    taken = [replace(first, path=f"{site.name}.jpg", site=site.name, visit="") for site in sites]
    report = export("camtrapdp", replace(HEAD, sites=sites, visits=()), taken, tmp_path / "out")
    shape = json.loads((tmp_path / "out" / "datapackage.json").read_text())["spatial"]
    assert shape["coordinates"] == [[179.9, -17.5]]
    assert [(one.code, one.count) for one in report.left_out] == [("no-coordinates", 1)]


@pytest.mark.parametrize(
    ("kind", "coordinates", "fault"),
    [
        ("MultiPoint", [[61.5, -100.25]], "not longitude, latitude"),
        ("Polygon", [[[0, 0], [1, 0], [1, 1], [0, 1]]], "not closed"),
        ("Polygon", [[[0, 0], [0, 1], [1, 1], [0, 0]]], "wrong way"),
        ("Polygon", [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]], "antimeridian"),
        ("Circle", [0, 0], "type"),
    ],
)
def test_the_rules_of_geojson_notice_what_is_wrong(kind: str, coordinates: Any, fault: str) -> None:
    assert any(fault in one for one in broken_shape({"type": kind, "coordinates": coordinates}))
    assert broken_shape({"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}) == []


# COCO


def test_pycocotools_loads_what_is_written(tmp_path: Path) -> None:
    before = records(tmp_path / "pictures")
    export("coco", HEAD, [replace(one, part="") for one in before], tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    assert len(coco.getImgIds()) == len(before)
    assert min(coco.getImgIds()) == min(coco.getAnnIds()) == min(coco.getCatIds()) == 1
    assert len(coco.getAnnIds()) == sum(len(one.annotations or ()) for one in before)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        x, y, width, height = annotation["bbox"]
        image = coco.loadImgs(annotation["image_id"])[0]
        assert x >= 0 and y >= 0 and x + width <= image["width"] + 0.01 and y + height <= image["height"] + 0.01
        assert annotation["area"] == pytest.approx(width * height, abs=0.01)
        assert annotation["iscrowd"] == 0
        assert (tmp_path / "out" / image["file_name"]).is_file()
    (fox,) = coco.getCatIds(catNms=["Red Fox"])
    assert coco.getImgIds(catIds=[fox])


def test_camera_traps_have_text_ids_small_names_and_one_kind_of_box(tmp_path: Path) -> None:
    cases = [replace(one, part="") for one in every_case(tmp_path / "pictures")]
    export("coco-ct", EVERYBODY, cases, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert {"version", "description"} <= told["info"].keys()
    assert told["categories"][0] == {"id": 0, "name": "empty"}
    numbers = [category["id"] for category in told["categories"]]
    assert len(set(numbers)) == len(numbers) and all(isinstance(number, int) for number in numbers)
    assert all(category["name"] == category["name"].lower() for category in told["categories"])
    images = {image["id"] for image in told["images"]}
    assert all(isinstance(image, str) for image in images) and len(images) == len(cases)
    assert {image["datetime"][:10] for image in told["images"]} >= {"2021-05-01", "2021-05-08"}
    for annotation in told["annotations"]:
        assert isinstance(annotation["id"], str) and annotation["image_id"] in images
        assert annotation["category_id"] in numbers
        assert not {"bbox", "bbox_relative"} <= annotation.keys()
        assert annotation["category_id"] or "bbox" not in annotation


# MegaDetector


def broken_rules(content: dict[str, Any]) -> list[str]:
    """What the validator of MegaDetector's results looks at."""
    found = []
    if not isinstance(content["info"]["format_version"], str) or float(content["info"]["format_version"]) < 1.3:
        found.append("format_version is a text of at least 1.3")
    for block in ("detection_categories", "classification_categories"):
        words = content.get(block, {})
        found += [f"{block}: {key}" for key in words if not (isinstance(key, str) and key.isdecimal())]
        found += [f"{block}: blank" for word in words.values() if not (isinstance(word, str) and word.strip())]
        found += [f"{block}: twice"] if len(set(words.values())) < len(words) else []
    for image in content["images"]:
        name, detections = image["file"], image.get("detections")
        if "\\" in name or name.startswith("/"):
            found.append(f"{name}: relative, with forward slashes")
        if "failure" in image:
            found += [f"{name}: a failure has no detections"] if detections is not None else []
            continue
        if not isinstance(detections, list):
            found.append(f"{name}: a success has a list of detections")
        for one in detections or ():
            box = one["bbox"]
            sound = isinstance(one["conf"], float) and 0 <= one["conf"] <= 1 and len(box) == 4
            if not (
                sound and one["category"] in content["detection_categories"] and all(0 <= side <= 1 for side in box)
            ):
                found.append(f"{name}: {one}")
            scores = [score for _, score in one.get("classifications", ())]
            if scores != sorted(scores, reverse=True):
                found.append(f"{name}: classifications are not in descending order")
            known = content.get("classification_categories", {})
            found += [f"{name}: class {word}" for word, _ in one.get("classifications", ()) if word not in known]
    return found


def results(head: Head, cases: list[ImageRecord], folder: Path, **options: Any) -> dict[str, Any]:
    export("megadetector", head, cases, folder, **options)
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


@pytest.mark.parametrize("source", ["both", "machine", "people"])
def test_results_follow_the_rules_of_the_validator(source: str, tmp_path: Path) -> None:
    content = results(EVERYBODY, every_case(tmp_path / "pictures"), tmp_path / source, source=source)
    assert broken_rules(content) == []
    assert content["info"]["format_version"] == "1.6"
    assert list(content["detection_categories"].items())[:3] == [("1", "animal"), ("2", "person"), ("3", "vehicle")]
    assert {"both": 13, "machine": 3, "people": 11}[source] == len(content["images"])


def test_the_rules_notice_what_is_wrong() -> None:
    wrong = {
        "info": {"format_version": 1.6},
        "detection_categories": {"x": " "},
        "images": [
            {"file": "a\\b.jpg", "detections": None},
            {"file": "c.jpg", "failure": "damaged", "detections": []},
            {"file": "d.jpg", "detections": [{"category": "1", "conf": 1, "bbox": [0, 0, 2, 1]}]},
        ],
    }
    assert len(broken_rules(wrong)) == 7


def test_results_of_nothing_are_valid_too(tmp_path: Path) -> None:
    assert broken_rules(results(HEAD, [], tmp_path / "out")) == []
