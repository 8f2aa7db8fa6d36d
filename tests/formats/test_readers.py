"""Every format as it is met in the wild is found out, and read with the right counts, in the same order each time."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import datasets_made as made
from tests.datasets_made import Made, picture, put, write_csv, write_json
from webapp.datasets.formats.columns import suggest
from webapp.datasets.formats.detect import detect
from webapp.datasets.formats.opening import open_source
from webapp.datasets.formats.records import ImageRecord, Source, SourceError

KINDS: dict[str, tuple[Callable[..., Made], dict[str, Any]]] = {
    "imagefolder": (made.make_ten_animals, {}),
    "imagefolder capitals": (made.make_ten_animals, {"capitals": True}),
    "csv": (made.make_table, {}),
    "fisheries": (made.make_fisheries, {}),
    "coco": (made.make_coco, {}),
    "coco annotations first": (made.make_coco, {"annotations_first": True, "text_ids": True}),
    "coco-ct": (made.make_coco_ct, {}),
    "darknet": (made.make_darknet, {}),
    "yolo": (made.make_yolo, {}),
    "voc": (made.make_voc, {}),
    "megadetector": (made.make_megadetector, {}),
    "megadetector 1.0": (made.make_megadetector, {"version": "1.0"}),
    "speciesnet": (made.make_speciesnet, {}),
    "camtrapdp": (made.make_camtrapdp, {}),
}


def boxes(source: Source) -> int:
    found = [one for record in source.images() for one in (*(record.annotations or ()), *(record.detections or ()))]
    return sum(one.box is not None for one in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_is_found_out_and_counted(kind: str, tmp_path: Path) -> None:
    make, options = KINDS[kind]
    truth = make(tmp_path, **options)
    assert detect(truth.root) == kind.split()[0]
    source = open_source(truth.root)
    forecast = source.forecast()
    assert (forecast.images, forecast.missing) == (truth.images, 0)
    assert forecast.size_bytes > 0
    if truth.labels:
        assert forecast.labels == truth.labels
    assert forecast.parts == truth.parts
    assert boxes(source) == truth.boxes


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_is_the_same_each_time(kind: str, tmp_path: Path) -> None:
    make, options = KINDS[kind]
    source = open_source(make(tmp_path, **options).root)
    first = list(source.images())
    assert first == list(source.images()) == list(open_source(tmp_path).images())
    assert len({record.path for record in first}) == len(first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_picture_is_named_and_the_rest_is_read(kind: str, tmp_path: Path) -> None:
    make, options = KINDS[kind]
    truth = make(tmp_path, **options)
    victim = next(record for record in open_source(tmp_path).images() if record.file)
    assert victim.file is not None
    victim.file.unlink()
    records = list(open_source(tmp_path).images())
    if kind.split()[0] in ("imagefolder", "fisheries", "yolo"):  # nothing but the folder names its pictures
        assert len(records) == truth.images - 1
        return
    assert len(records) == truth.images
    (missing,) = [record for record in records if record.file is None]
    assert Path(victim.path).stem in missing.problem


def write_names(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        put(folder / name, picture(number))
    return folder


def labels_and_sites(records: list[ImageRecord]) -> set[tuple[str, str, str]]:
    return {(record.part, record.annotations[0].label if record.annotations else "", record.site) for record in records}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Cat/1.jpg", "Dog (big)/2.jpg"], {("", "Cat", ""), ("", "Dog (big)", "")}),
        (["train/Cat/1.jpg", "val/Cat/2.jpg"], {("train", "Cat", ""), ("validation", "Cat", "")}),
        (["animals/train/Cat/1.jpg", "animals/test/Cat/2.jpg"], {("train", "Cat", ""), ("test", "Cat", "")}),
        (["Site 1/Fox/1.jpg", "Site 2/Fox/2.jpg"], {("", "Fox", "Site 1"), ("", "Fox", "Site 2")}),
        (["Fox/cam03/1.jpg", "Deer/cam04/2.jpg"], {("", "Fox", "cam03"), ("", "Deer", "cam04")}),
        (["Ridge/DCIM/100RECNX/1.jpg", "Lake/100RECNX/2.jpg"], {("", "", "Ridge"), ("", "", "Lake")}),
        (["test/1.jpg", "Cat/2.jpg"], {("", "test", ""), ("", "Cat", "")}),
        (["1.jpg", "2.jpg"], {("", "", "")}),
        (["test/1.jpg", "train/2.jpg"], {("test", "", ""), ("train", "", "")}),
    ],
)
def test_folders_mean_what_they_look_like(
    names: list[str], expected: set[tuple[str, str, str]], tmp_path: Path
) -> None:
    source = open_source(write_names(tmp_path, names), format="imagefolder")
    assert labels_and_sites(list(source.images())) == expected


def test_folders_mean_what_one_says_they_do(tmp_path: Path) -> None:
    write_names(tmp_path, ["Ridge/Fox/1.jpg", "Lake/Fox/2.jpg"])
    source = open_source(tmp_path, options={"folders": "site/label"})
    assert labels_and_sites(list(source.images())) == {("", "Fox", "Ridge"), ("", "Fox", "Lake")}


def test_whales_are_individuals_and_new_whale_is_none(tmp_path: Path) -> None:
    truth = made.make_whales_csv(tmp_path)
    source = open_source(tmp_path / "train.csv")
    forecast = source.forecast()
    assert forecast.individuals == {name: count for name, count in truth.labels.items() if name != "new_whale"}
    assert forecast.labels == {"Fluke": truth.images}
    assert source.head.more["unknown_individual"] == "new_whale"


def test_whales_with_the_weights_of_varied_copies_are_whales(tmp_path: Path) -> None:
    (tmp_path / "varied.csv").write_text("Image,Id,weight\na.jpg,w_1,0.5\nb.jpg,new_whale,1.0\n", encoding="utf-8")
    assert open_source(tmp_path / "varied.csv").forecast().individuals == {"w_1": 1}


@pytest.mark.long
def test_the_whole_whale_file_has_the_counts_of_the_real_one(tmp_path: Path) -> None:
    counts = made.whale_counts(full=True)
    rows = [(f"{number:08x}.jpg", name) for number, (name, n) in enumerate(counts.items()) for _ in range(n)]
    write_csv(tmp_path / "train.csv", ["Image", "Id"], [(f"{at}{name}", who) for at, (name, who) in enumerate(rows)])
    forecast = open_source(tmp_path / "train.csv").forecast()
    assert (forecast.images, len(forecast.individuals) + 1) == (9850, 4251)
    assert sum(count for count in forecast.individuals.values()) == 9850 - 810
    assert max(forecast.individuals.values()) == 34
    assert sum(count >= 11 for count in forecast.individuals.values()) == 56


MIEW_ID = "theta,viewpoint,name,file_name,species,file_path,x,y,w,h"


@pytest.mark.parametrize(
    ("header", "row", "label", "individual", "box"),
    [
        ("filepath,label,split,site", "a.jpg,fox,holdout,S", "fox", "", None),
        ("image_id,identity,path,bbox,species,split", 'x1,Ann,a.jpg,"[4, 3, 8, 6]",orca,test', "orca", "Ann", True),
        (
            "theta,viewpoint,name,file_name,species,file_path,x,y,w,h",
            "0,left,Ann,b,orca,a.jpg,4,3,8,6",
            "orca",
            "Ann",
            True,
        ),
        ("concept,image,x,y,width,height", "Octopus,a.jpg,4,3,8,6", "Octopus", "", True),
        ("Image,x0,y0,x1,y1,species", "a.jpg,4,3,12,9,orca", "orca", "", True),
        ("File;RelativePath;Species;Date;Time", "a.jpg;;fox;2024-05-01;10:00", "fox", "", None),
    ],
)
def test_the_tables_of_the_field_are_understood(
    header: str, row: str, label: str, individual: str, box: bool | None, tmp_path: Path
) -> None:
    put(tmp_path / "a.jpg", picture(1))
    put(tmp_path / "table.csv", f"{header}\n{row}\n")
    (record,) = open_source(tmp_path / "table.csv").images()
    assert record.file is not None and record.annotations
    (animal,) = record.annotations
    assert (animal.label, animal.individual) == (label, individual)
    assert animal.box == (pytest.approx((0.25, 0.25, 0.5, 0.5)) if box else None)


def test_columns_of_any_other_table_are_mapped_by_hand(tmp_path: Path) -> None:
    put(tmp_path / "pics" / "a.jpg", picture(1))
    write_csv(tmp_path / "t.csv", ["Foto", "Art", "Wo", "Stimmung"], [["a.jpg", "Fuchs", "Wald", "froh"]])
    mapping = {"Foto": "path", "Art": "label", "Wo": "site", "Stimmung": "field:mood"}
    (record,) = open_source(tmp_path / "t.csv", options={"mapping": mapping, "images": "pics"}).images()
    assert (record.path, record.site) == ("pics/a.jpg", "Wald")
    assert record.annotations and record.annotations[0].fields == {"mood": "froh"}


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"Foto": "path", "Nix": "label"}, "There is no column 'Nix'"),
        ({"Foto": "pfad"}, "known meanings are"),
        ({"Art": "label"}, "No column names the picture's file"),
        ({"Foto": "path", "Art": "path"}, "Two columns mean path"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(mapping: dict[str, str], said: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["Foto", "Art"], [["a.jpg", "Fuchs"]])
    with pytest.raises(SourceError, match=said):
        open_source(tmp_path / "t.csv", options={"mapping": mapping})


def test_a_mapping_is_suggested_from_the_names_of_columns() -> None:
    assert suggest(["File Name", "Common Name", "Station", "DateTimeOriginal", "Remark"]) == {
        "File Name": "path",
        "Common Name": "label",
        "Station": "site",
        "DateTimeOriginal": "captured_at",
    }


@pytest.mark.parametrize(
    ("content", "label", "noticed"),
    [
        ("\ufefffilepath;label\na.jpg;Füchsin\n".encode(), "Füchsin", False),
        ("filepath\tlabel\na.jpg\tFüchsin\n".encode("utf-16"), "Füchsin", False),
        ("filepath,label\r\na.jpg,Füchsin\r\n".encode("latin-1"), "Füchsin", True),
        ("filepath,label\na.jpg,Grévy’s zebra\n".encode("cp1252"), "Grévy’s zebra", True),
        (b'filepath,label\na.jpg,"Fox, red\nor ""grey"""\n', 'Fox, red\nor "grey"', False),
    ],
)
def test_tables_come_in_all_encodings_and_dialects(content: bytes, label: str, noticed: bool, tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    source = open_source(put(tmp_path / "t.csv", content))
    (record,) = source.images()
    assert record.annotations and record.annotations[0].label == label
    assert bool(source.head.notices) == noticed


def test_rows_of_one_picture_are_gathered_wherever_they_stand(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["path", "label"], [["a.jpg", "fox"], ["b.jpg", "deer"], ["a.jpg", "hare"]])
    records = list(open_source(tmp_path / "t.csv").images())
    assert [[one.label for one in record.annotations or ()] for record in records] == [["fox", "hare"], ["deer"]]


def test_boxes_of_a_picture_stored_sideways_are_turned_with_it(tmp_path: Path) -> None:
    from tests.pictures import oriented_jpeg

    put(tmp_path / "a.jpg", oriented_jpeg(6, 40, 60))  # stored 60 x 40, seen 40 x 60
    image = {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40}
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 30, 10]}
    content = {"images": [image], "annotations": [annotation], "categories": [{"id": 1, "name": "fox"}]}
    write_json(tmp_path / "a.json", content)
    (record,) = open_source(tmp_path / "a.json").images()
    assert (record.width, record.height) == (40, 60)
    assert record.annotations and record.annotations[0].box == pytest.approx((0.75, 0.0, 0.25, 0.5))


def test_a_file_for_each_part_is_one_coco_set(tmp_path: Path) -> None:
    for part in ("train", "val"):
        folder = tmp_path / part
        made.make_coco(folder, images=4, start=len(part) * 100)
        (folder / "annotations.json").rename(tmp_path / f"instances_{part}2017.json")
        for image in (folder / "images").iterdir():
            put(tmp_path / "images" / f"{part}_{image.name}", image.read_bytes())
    for part in ("train", "val"):
        file = tmp_path / f"instances_{part}2017.json"
        file.write_text(file.read_text().replace("images/IMG", f"images/{part}_IMG"))
    forecast = open_source(tmp_path, format="coco").forecast()
    assert (forecast.images, forecast.parts) == (8, {"train": 4, "validation": 4})


def test_results_of_a_machine_are_no_labels(tmp_path: Path) -> None:
    made.make_megadetector(tmp_path)
    source = open_source(tmp_path)
    records = list(source.images())
    assert all(record.annotations is None for record in records)
    assert source.head.machine and source.head.machine.detector == "md_v5a.0.0.pt"
    assert records[0].detections and records[0].detections[0].scores == (("roe deer", 0.8), ("red fox", 0.15))
    assert (records[3].detections, records[-1].detections) == ((), None)
    assert records[-1].failure == "Failure image access"


def test_camera_traps_keep_place_time_burst_and_what_is_empty(tmp_path: Path) -> None:
    made.make_coco_ct(tmp_path)
    records = list(open_source(tmp_path).images())
    assert records[3].annotations == ()
    assert (records[4].site, records[4].sequence, records[4].captured_at) == ("loc1", "burst-1", "2021-05-02T06:01:01")
    assert records[0].annotations and records[0].annotations[0].count == 2


def test_an_observation_of_an_event_holds_for_each_of_its_media(tmp_path: Path) -> None:
    made.make_camtrapdp(tmp_path)
    records = list(open_source(tmp_path).images())
    assert [[one.label for one in record.annotations or ()] for record in records[3:6]] == [["roe deer"]] * 3
    assert [record.annotations for record in records[9:12]] == [(), (), ()]
    assert records[0].annotations and records[0].annotations[0].fields["life-stage"] == "adult"
    assert records[0].captured_at == "2022-06-01T10:00:00+02:00"


# In a process of its own: what other tests left behind, threads and lazy imports among it, is not this reader's memory.
PEAKS = """
import sys, tracemalloc
from pathlib import Path
from webapp.datasets.formats.opening import open_source

for file in sys.argv[1:]:
    tracemalloc.start()
    count = sum(1 for _ in open_source(Path(file), format="coco").read(False))
    print(count, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


@pytest.mark.long
def test_memory_stays_flat_with_a_long_file(tmp_path: Path) -> None:
    def coco(images: int) -> Path:
        file = tmp_path / f"{images}.json"
        with file.open("w") as text:
            text.write('{"annotations": [')
            rows = (f'{{"id": {n}, "image_id": {n}, "category_id": 1, "bbox": [1, 1, 2, 2]}}' for n in range(images))
            text.writelines(("," if n else "") + row for n, row in enumerate(rows))
            text.write('], "categories": [{"id": 1, "name": "fox"}], "images": [')
            listed = (f'{{"id": {n}, "file_name": "{n}.jpg", "width": 9, "height": 9}}' for n in range(images))
            text.writelines(("," if n else "") + row for n, row in enumerate(listed))
            text.write("]}")
        return file

    sizes = (2500, 2500, 25000)  # the first pays for imports
    files = [str(coco(images)) for images in sizes]
    told = subprocess.run([sys.executable, "-c", PEAKS, *files], capture_output=True, text=True, check=True)
    counts, peaks = zip(*(map(int, line.split()) for line in told.stdout.splitlines()), strict=True)
    assert counts == sizes
    assert peaks[2] < 1.2 * peaks[1]


def test_the_pictures_of_a_table_may_lie_in_any_one_folder_beside_it(tmp_path: Path) -> None:
    put(tmp_path / "My card (2)" / "a.jpg", picture(1))
    put(tmp_path / "empty" / "notes.txt", "x")
    write_csv(tmp_path / "seen.csv", ["file", "label"], [["a.jpg", "fox"]])
    found = list(open_source(tmp_path).images())
    assert [(one.path, one.file is not None) for one in found] == [("My card (2)/a.jpg", True)]


def test_a_table_nobody_understands_is_told_beside_folders_and_read_once_it_is_explained(tmp_path: Path) -> None:
    put(tmp_path / "card" / "a.jpg", picture(1))
    write_csv(tmp_path / "seen.csv", ["Bildname", "Tierart"], [["card/a.jpg", "fox"]])
    folders = open_source(tmp_path)
    assert folders.head.format == "imagefolder"
    assert any("seen.csv" in one for one in folders.head.notices)
    mapping = {"Bildname": "path", "Tierart": "label"}
    (only,) = open_source(tmp_path, format="csv", options={"mapping": mapping}).images()
    assert only.annotations is not None and only.annotations[0].label == "fox"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("31.05.2024 18:30", "2024-05-31T18:30:00"),
        ("01.02.2024 18:30:05", "2024-02-01T18:30:05"),
        ("2024/05/31 18:30", "2024-05-31T18:30:00"),
        ("NA", ""),
    ],
)
def test_times_of_spreadsheets_are_understood_where_day_and_month_are_sure(
    written: str, meant: str, tmp_path: Path
) -> None:
    put(tmp_path / "a.jpg", picture(1))
    write_csv(tmp_path / "t.csv", ["File", "Species", "DateTime"], [["a.jpg", "fox", written]])
    (record,) = open_source(tmp_path / "t.csv").images()
    assert record.captured_at == meant


def test_a_time_that_may_be_read_in_two_ways_is_refused_by_its_line(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", picture(1))
    write_csv(tmp_path / "t.csv", ["File", "Species", "DateTime"], [["a.jpg", "fox", "05/04/2024 18:30"]])
    with pytest.raises(SourceError, match=r"line 2: '05/04/2024 18:30' is no time"):
        open_source(tmp_path / "t.csv")


def test_cells_without_a_value_and_decimal_commas_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path / f"{name}.jpg", picture(ord(name)))
    lines = ["file;species;site;latitude;longitude;count;sex", "a.jpg;NA;NA;50,25;-1,5;NA;NA", "b.jpg;fox;;;;2;female"]
    put(tmp_path / "t.csv", "\r\n".join(lines))
    source = open_source(tmp_path / "t.csv")
    first, second = source.images()
    assert (first.annotations, first.site) == (None, "NA")  # a place may be called so
    assert [(site.latitude, site.longitude) for site in source.head.sites] == [(50.25, -1.5)]
    (fox,) = second.annotations or ()
    assert (fox.label, fox.count, fox.fields) == ("fox", 2, {"sex": "female"})
    put(tmp_path / "bad.csv", "file,species,latitude\na.jpg,fox,north")
    with pytest.raises(SourceError, match=r"line 2: 'north' is no number\.$"):
        open_source(tmp_path / "bad.csv")


def test_names_are_found_however_accents_and_endings_are_spelled(tmp_path: Path) -> None:
    put(tmp_path / unicodedata.normalize("NFD", "Bär 1.JPG"), picture(1))
    put(tmp_path / "fox.jpg", picture(2))
    put(tmp_path / "fox.JPG", picture(3))
    composed = unicodedata.normalize("NFC", "Bär 1.jpg")
    write_csv(tmp_path / "t.csv", ["file", "label"], [[composed, "bear"], ["fox.JPG", "fox"], ["gone.jpg", "fox"]])
    bear, fox, gone = open_source(tmp_path / "t.csv").images()
    assert bear.file is not None and bear.file.is_file()
    assert fox.file == tmp_path / "fox.JPG"
    assert gone.file is None and gone.problem == "gone.jpg is not there."


@pytest.mark.parametrize(
    "name", ["./images/train/a.jpg", "images/train/a.jpg", "/elsewhere/set/coco/images/train/a.jpg"]
)
def test_a_list_of_yolo_starts_from_its_own_folder(name: str, tmp_path: Path) -> None:
    put(tmp_path / "coco/images/train/a.jpg", picture(1))
    put(tmp_path / "coco/labels/train/a.txt", "0 0.5 0.5 0.2 0.2\n")
    put(tmp_path / "coco/train.txt", f"{name}\n")
    put(tmp_path / "data.yaml", "path: coco\ntrain: train.txt\nnames: {0: cat}\n")
    (record,) = open_source(tmp_path).images()
    assert (record.path, record.part) == ("coco/images/train/a.jpg", "train")
    assert record.file is not None and [one.label for one in record.annotations or ()] == ["cat"]
