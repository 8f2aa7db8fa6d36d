"""Exports of other tools, as they write them: the layouts they use, and what of them is not kept is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import datasets_made as made
from tests.datasets_made import picture, put, write_csv, write_json
from webapp.datasets.formats.columns import suggest
from webapp.datasets.formats.detect import detect
from webapp.datasets.formats.opening import open_source
from webapp.datasets.formats.records import AnnotationRecord, Box, ImageRecord, SourceError

FOX = [{"id": 1, "name": "fox"}]


def write_coco(file: Path, names: Sequence[str], annotations: Sequence[dict[str, Any]] = (), **more: Any) -> Path:
    """A COCO file of pictures of 16 x 12; ids count from 1."""
    images = [{"id": number, "file_name": name, "width": 16, "height": 12} for number, name in enumerate(names, 1)]
    numbered = [{"id": number, "category_id": 1, **one} for number, one in enumerate(annotations, 1)]
    return write_json(file, {"categories": FOX, "images": images, "annotations": numbered, **more})


def read(root: Path, **options: Any) -> list[ImageRecord]:
    return list(open_source(root, options=options).images())


def the_animal(root: Path) -> AnnotationRecord:
    (record,) = read(root)
    assert record.file is not None and record.annotations
    return record.annotations[0]


def about(*box: float) -> Any:
    return pytest.approx(box)


def test_pictures_beside_the_file_of_each_part_are_never_taken_for_each_other(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "valid", "test")):
        put(tmp_path / part / "a.jpg", picture(number))
        write_coco(tmp_path / part / "_annotations.coco.json", ["a.jpg"], [{"image_id": 1, "bbox": [4, 3, 8, 6]}])
    found = {(record.path, record.part) for record in read(tmp_path)}
    assert found == {("train/a.jpg", "train"), ("valid/a.jpg", "validation"), ("test/a.jpg", "test")}


@pytest.mark.parametrize("place", ["images/default", "train2017", "images/train2017", "cct_images"])
def test_coco_pictures_are_found_in_the_folders_of_other_tools(place: str, tmp_path: Path) -> None:
    put(tmp_path / place / "deck" / "a.jpg", picture(1))
    write_coco(tmp_path / "annotations" / "instances_train2017.json", ["deck/a.jpg"], [{"image_id": 1}])
    (record,) = read(tmp_path)
    assert record.path == f"{place}/deck/a.jpg"


def test_captions_and_keypoints_beside_the_boxes_of_coco_do_not_stand_in_the_way(tmp_path: Path) -> None:
    put(tmp_path / "train2017" / "a.jpg", picture(1))
    put(tmp_path / "test2017" / "b.jpg", picture(2))
    folder, box = tmp_path / "annotations", {"image_id": 1, "bbox": [4, 3, 8, 6]}
    write_coco(folder / "instances_train2017.json", ["a.jpg"], [box])
    write_coco(folder / "person_keypoints_train2017.json", ["a.jpg"], [{**box, "keypoints": [1, 1, 2]}])
    write_json(folder / "captions_train2017.json", {"images": [], "annotations": [{"image_id": 1, "caption": "a"}]})
    file = folder / "captions_train2017.json"
    file.write_text(file.read_text().replace('"images": []', '"images": [{"id": 1, "file_name": "a.jpg"}]'))
    write_coco(folder / "image_info_test2017.json", ["b.jpg"])
    source = open_source(tmp_path)
    seen = {record.path: record.annotations for record in source.images()}
    assert len(seen["train2017/a.jpg"] or ()) == 1
    assert seen["test2017/b.jpg"] is None  # its file has no annotations at all: nobody looked
    assert any("captions_train2017.json" in notice for notice in source.head.notices)
    assert any("Keypoints" in notice for notice in source.head.notices)


def test_boxes_in_a_file_apart_join_the_labels_of_their_pictures(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path / "cct_images" / f"{name}.jpg", picture(ord(name)))
    traps = {"categories": [{"id": 0, "name": "empty"}, *FOX]}
    listed = [
        {"id": name, "file_name": f"{name}.jpg", "location": "7", "date_captured": "2011-05-13 23:43:18"}
        for name in "ab"
    ]
    labels = [{"id": "1", "image_id": "a", "category_id": 1}, {"id": "2", "image_id": "b", "category_id": 0}]
    boxes = [{"id": "3", "image_id": "a", "category_id": 1, "bbox": [4, 3, 8, 6]}]
    write_json(tmp_path / "caltech_bboxes.json", {**traps, "images": listed[:1], "annotations": boxes})
    write_json(tmp_path / "caltech_images.json", {**traps, "images": listed, "annotations": labels})
    first, second = read(tmp_path)
    assert first.annotations is not None and [one.box for one in first.annotations] == [about(0.25, 0.25, 0.5, 0.5)]
    assert (second.annotations, second.site, second.captured_at) == ((), "7", "2011-05-13T23:43:18")


@pytest.mark.parametrize(
    ("drawn", "box"),
    [
        ({"segmentation": [[4, 3, 12, 3, 12, 9]]}, (0.25, 0.25, 0.5, 0.5)),
        ({"bbox": [], "segmentation": [[4, 3, 5, 4, 4, 4], [11, 8, 12, 9, 11, 9]]}, (0.25, 0.25, 0.5, 0.5)),
        ({"segmentation": {"size": [12, 16], "counts": [51, 6, 6, 6, 123]}}, (0.25, 0.25, 0.125, 0.5)),
        ({"segmentation": {"size": [12, 16], "counts": "c166000Y3"}}, (0.25, 0.25, 0.1875, 0.5)),
        ({"bbox": [4, 4, 8, 4], "attributes": {"rotation": 90.0}}, (0.375, 1 / 6, 0.25, 2 / 3)),
    ],
)
def test_what_is_drawn_without_a_box_gets_the_box_around_it(drawn: dict[str, Any], box: Box, tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    write_coco(tmp_path / "a.json", ["a.jpg"], [{"image_id": 1, **drawn}])
    animal = the_animal(tmp_path)
    assert animal.box == about(*box)
    assert animal.fields == {}


@pytest.mark.parametrize(("written", "count"), [("2", 2), (2.0, 2), ("11-50", 1)])
def test_counts_are_read_as_other_tools_write_them(written: object, count: int, tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    write_coco(tmp_path / "a.json", ["a.jpg"], [{"image_id": 1, "count": written}])
    (record,) = read(tmp_path)
    assert record.annotations and record.annotations[0].count == count
    assert ("11-50" in record.problem) == (written == "11-50")


def test_json_with_nan_is_refused_for_what_it_is(tmp_path: Path) -> None:
    put(tmp_path / "a.json", json.dumps({"images": [{"id": 1, "file_name": "a.jpg", "datetime": float("nan")}]}))
    with pytest.raises(SourceError, match="no NaN"):
        open_source(tmp_path / "a.json")


def test_lists_that_put_a_folder_in_front_of_names_are_understood(tmp_path: Path) -> None:
    put(tmp_path / "obj_train_data" / "a.jpg", picture(1))
    put(tmp_path / "obj_train_data" / "a.txt", "0 0.5 0.5 0.5 0.5\n")
    put(tmp_path / "obj.names", "fox\n")
    put(tmp_path / "train.txt", "data/obj_train_data/a.jpg\n")
    put(tmp_path / "obj.data", "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    assert the_animal(tmp_path).box == about(0.25, 0.25, 0.5, 0.5)


def test_keypoints_of_yolo_are_no_outline(tmp_path: Path) -> None:
    put(tmp_path / "images" / "train" / "a.jpg", picture(1))
    put(tmp_path / "labels" / "train" / "a.txt", "0 0.5 0.5 0.5 0.5 0.4 0.4 2 0.9 0.9 2\n")
    put(tmp_path / "data.yaml", "train: images/train\nkpt_shape: [2, 3]\nnames: [fox]\n")
    assert the_animal(tmp_path).box == about(0.25, 0.25, 0.5, 0.5)
    assert open_source(tmp_path).head.notices


def voc(name: str, inner: str) -> str:
    size = "<size><width>16</width><height>12</height></size>"
    return f"<annotation><filename>{name}</filename>{size}<object><name>fox</name>{inner}</object></annotation>"


def test_voc_with_a_folder_for_each_part_is_found_out(tmp_path: Path) -> None:
    corners = "<bndbox><xmin>5</xmin><ymin>4</ymin><xmax>12</xmax><ymax>9</ymax></bndbox>"
    for number, part in enumerate(("train", "valid")):
        put(tmp_path / part / "a.jpg", picture(number))
        put(tmp_path / part / "a.xml", voc("a.jpg", corners))
    assert detect(tmp_path) == "voc"
    assert [(record.path, record.part) for record in read(tmp_path)] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "validation"),
    ]


def test_turned_boxes_and_attributes_of_voc_are_kept(tmp_path: Path) -> None:
    turned = "<robndbox><cx>8</cx><cy>6</cy><w>4</w><h>8</h><angle>1.5707963</angle></robndbox>"
    said = "<attributes><attribute><name>sex</name><value>female</value></attribute></attributes>"
    put(tmp_path / "a.jpg", picture(1))
    put(tmp_path / "a.xml", voc("a.jpg", turned + said))
    animal = the_animal(tmp_path)
    assert animal.box == about(0.25, 1 / 3, 0.5, 1 / 3)
    assert animal.fields == {"sex": "female"}


INSIGHTS = (
    "project_id,deployment_id,image_id,filename,location,is_blank,identified_by,wi_taxon_id,class,order,family,genus,"
    "species,common_name,timestamp,number_of_objects"
)


def test_a_download_of_wildlife_insights_means_what_its_columns_say(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / f"{name}.jpg", picture(ord(name)))
    ranks = "Mammalia,Carnivora,Canidae,Vulpes,vulpes,Red Fox"
    rows = [
        f"1,D1,i1,a.jpg,gs://bucket/1.jpg,0,Ana,t,{ranks},2020-06-12 04:04:29,2",
        "1,D1,i2,b.jpg,gs://bucket/2.jpg,1,Ana,b,,,,,,Blank,2020-06-12 04:05:29,1",
        f"1,D1,i3,c.jpg,gs://bucket/3.jpg,0,Computer vision,t,{ranks},2020-06-12 04:06:29,1",
    ]
    put(tmp_path / "images.csv", "\n".join([INSIGHTS, *rows]))
    source = open_source(tmp_path)
    fox, blank, machine = source.images()
    assert fox.annotations and (fox.annotations[0].label, fox.annotations[0].count) == ("Red Fox", 2)
    assert (fox.visit, fox.site, fox.labelled_by) == ("D1", "", "Ana")
    assert (blank.annotations, machine.annotations) == ((), None)
    assert any("machine" in notice for notice in source.head.notices)


def test_a_rank_is_no_label_where_a_genus_stands_beside_it() -> None:
    assert suggest(["file", "class", "genus", "species", "common_name"]) == {"file": "path", "common_name": "label"}
    assert suggest(["file", "class"])["class"] == "label"


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    write_csv(tmp_path / "t.csv", ["File", "Species", "DeleteFlag", "Empty"], [["a.jpg", "fox", "false", "true"]])
    assert "Columns that are not read: DeleteFlag, Empty." in open_source(tmp_path / "t.csv").head.notices


def test_what_lies_beside_pictures_and_is_not_read_is_said(tmp_path: Path) -> None:
    put(tmp_path / "fox" / "a.jpg", picture(1))
    put(tmp_path / "fox" / "film.MP4", "x")
    put(tmp_path / "fox" / "Thumbs.db", "x")
    write_json(tmp_path / "annotations" / "train.json", {"items": []})
    told = " ".join(open_source(tmp_path).head.notices)
    assert "annotations/train.json" in told and ".mp4 (1)" in told and ".db" not in told


def test_the_only_folder_is_no_label_when_it_only_says_that_it_holds_pictures(tmp_path: Path) -> None:
    put(tmp_path / "Photos" / "a.jpg", picture(1))
    assert [record.annotations for record in read(tmp_path)] == [None]
    (labelled,) = read(tmp_path, folders="label")
    assert labelled.annotations and labelled.annotations[0].label == "Photos"


def rewrite(file: Path, old: str, new: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new, 1), encoding="utf-8")


def test_a_bad_line_of_a_camtrap_package_costs_only_itself(tmp_path: Path) -> None:
    made.make_camtrapdp(tmp_path)
    rewrite(tmp_path / "media.csv", "2022-06-01T10:00:00+0200", "yesterday")
    source = open_source(tmp_path)
    records = list(source.images())
    assert records[0].captured_at == "" and "line 2: 'yesterday' is no time" in records[0].problem
    assert records[0].annotations and all(not record.problem for record in records[1:])
    assert any(notice.startswith("media.csv: line 2") for notice in source.head.notices)


def test_pictures_that_a_camtrap_package_names_by_address_are_found_by_their_file_name(tmp_path: Path) -> None:
    made.make_camtrapdp(tmp_path)
    before = read(tmp_path)
    lines = (tmp_path / "media.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    path, name = header.index("filePath"), header.index("fileName")
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        row[name], row[path] = row[path].rpartition("/")[2], f"https://multimedia.example/{row[0]}/file"
    (tmp_path / "media.csv").write_text("\n".join(",".join(row) for row in [header, *rows]), encoding="utf-8")
    assert [(record.path, record.file) for record in read(tmp_path)] == [(one.path, one.file) for one in before]


def test_camtrap_packages_of_other_shapes_are_read_or_refused_for_what_they_are(tmp_path: Path) -> None:
    made.make_camtrapdp(tmp_path)
    file = tmp_path / "datapackage.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["resources"] = [{**one, "path": [one["path"]]} for one in content["resources"]]
    write_json(file, content)
    assert read(tmp_path)
    write_json(file, {"resources": [{"name": "deployments", "path": "https://example.org/deployments.csv"}]})
    with pytest.raises(SourceError, match=r"the table deployments is at https://.*Fetch the tables"):
        open_source(tmp_path)
    write_json(file, content)
    rewrite(tmp_path / "deployments.csv", "deploymentStart", "start")
    with pytest.raises(SourceError, match="older than 1.0"):
        open_source(tmp_path)


def test_the_taxonomy_of_speciesnet_in_megadetector_files_gives_the_scientific_name(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    taxonomy = "83133617-8358-4910-82ee-4c23e40ba3dc;mammalia;carnivora;canidae;vulpes;vulpes;red fox"
    content = {
        "info": {"format_version": "1.6"},
        "detection_categories": {"1": "animal"},
        "classification_categories": {"0": "fox"},
        "classification_category_descriptions": {"0": taxonomy},
        "images": [{"file": "a.jpg", "detections": []}],
    }
    write_json(tmp_path / "md.json", content)
    labels = {label.name: label.scientific_name for label in open_source(tmp_path).head.labels}
    assert labels["fox"] == "Vulpes vulpes"
