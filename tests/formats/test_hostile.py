"""Sources that are broken or mean harm: refused by name, with the file and the line, and nothing outside is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import datasets_made as made
from tests.datasets_made import picture, put, write_csv, write_json
from webapp.datasets.formats.cells import disarmed, open_table, rearmed
from webapp.datasets.formats.detect import detect
from webapp.datasets.formats.job import safe_name
from webapp.datasets.formats.opening import open_source
from webapp.datasets.formats.output import FolderOutput, OutputError, ZipOutput, checked_name
from webapp.datasets.formats.records import SourceError


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A picture that lies beside the source's folder."""
    return put(tmp_path / "secret.jpg", picture(1))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / "source" / "a.jpg", picture(2))
    return tmp_path / "source"


@pytest.mark.parametrize("name", ["../secret.jpg", "x/../../secret.jpg", "..\\secret.jpg", "{absolute}", "link.jpg"])
@pytest.mark.parametrize("format", ["csv", "coco", "megadetector", "darknet"])
def test_what_lies_outside_is_refused_by_name(format: str, name: str, root: Path, outside: Path) -> None:
    (root / "link.jpg").symlink_to(outside)
    name = name.format(absolute=outside)
    if format == "csv":
        write_csv(root / "t.csv", ["path", "label"], [[name, "fox"], ["a.jpg", "fox"]])
        source = open_source(root / "t.csv")
    elif format == "coco":
        images = [{"id": number, "file_name": file} for number, file in enumerate([name, "a.jpg"])]
        write_json(root / "t.json", {"images": images, "annotations": [], "categories": []})
        source = open_source(root / "t.json", format="coco")
    elif format == "megadetector":
        images = [{"file": file, "detections": []} for file in (name, "a.jpg")]
        write_json(root / "t.json", {"images": images, "detection_categories": {"1": "animal"}, "info": {}})
        source = open_source(root / "t.json")
    else:
        put(root / "t.names", "boat\n")
        put(root / "train.txt", f"{name}\na.jpg\n")
        put(root / "t.data", "classes=1\ntrain=train.txt\nnames=t.names\n")
        source = open_source(root / "t.data")
    refused, good = source.images()
    assert refused.file is None and good.file == root / "a.jpg"
    assert any(said in refused.problem for said in ("out of the folder", "outside"))
    assert Path(name.replace("\\", "/")).name in refused.problem


def test_a_folder_that_is_a_link_is_not_entered(root: Path, outside: Path) -> None:
    (root / "more").symlink_to(outside.parent, target_is_directory=True)
    assert [record.path for record in open_source(root).images()] == ["a.jpg"]


def test_names_of_another_machine_are_found_by_their_ends(root: Path) -> None:
    put(root / "cam1" / "b.jpg", picture(3))
    rows = [["/home/ann/data/cam1/b.jpg", "fox"], ["D:\\data\\a.jpg", "fox"]]
    write_csv(root / "t.csv", ["path", "label"], rows)
    assert [record.path for record in open_source(root / "t.csv").images()] == ["cam1/b.jpg", "a.jpg"]


BOMB = """<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
]><annotation><object><name>&b;</name></object></annotation>"""
FETCH = """<!DOCTYPE annotation [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&a;</name></object></annotation>"""


@pytest.mark.parametrize(
    ("xml", "said"),
    [(BOMB, "defines entities"), (FETCH, "defines entities"), ("<annotation><object>", "line 1"), ("", "no XML")],
)
def test_a_hostile_or_broken_annotation_is_told_of_and_the_others_are_read(xml: str, said: str, tmp_path: Path) -> None:
    made.make_voc(tmp_path, images=3)
    put(tmp_path / "Annotations" / "2008_000002.xml", xml)
    records = list(open_source(tmp_path, format="voc").images())
    assert len(records) == 3
    (bad,) = [record for record in records if record.problem]
    assert said in bad.problem and "2008_000002.xml" in bad.problem
    assert bad.annotations is None and bad.file is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("path,label\na.jpg,fox\n,deer\n", "line 3: no picture is named"),
        ("path,label\na.jpg,fox,what\n", "line 2: 3 cells under 2 columns"),
        ("path,label,count\na.jpg,fox,many\n", "line 2"),
        ("path,label,datetime\na.jpg,fox,yesterday\n", "line 2: 'yesterday' is no time"),
        ("path,path\n", "more than once"),
        ("path,label\n", "no rows"),
        ("", "is empty"),
        ("colour,taste\nred,sweet\n", "No column names the picture's file"),
        (f"path,label\na.jpg,{'x' * (1 << 21)}\n", "field larger"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(content: str, said: str, tmp_path: Path) -> None:
    file = put(tmp_path / "t.csv", content)
    with pytest.raises(SourceError, match=said) as refused:
        open_source(file)
    assert str(file) in str(refused.value) or "columns are" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [', "cut short"),
        ('{"images": [{"id": 1}], "annotations": []}', "image number 1 lacks"),
        ('{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]}', "two images have the id 1"),
        ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "category_id": 9}]}', "category 9"),
        ('{"images": []}', "lists no images"),
    ],
)
def test_a_broken_coco_file_is_refused_by_name(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said):
        open_source(put(tmp_path / "t.json", content), format="coco")


def test_a_few_broken_entries_of_a_coco_file_cost_only_themselves(tmp_path: Path) -> None:
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(12)]
    annotations = [{"image_id": number, "category_id": 1} for number in range(20)]
    annotations = [{**one, "image_id": one["image_id"] % 10} for one in annotations] + [
        {"image_id": 3, "category_id": 9},
        {"image_id": 10, "category_id": 9},
    ]
    content = {
        "images": [*images, {"id": 99}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "fox"}],
    }
    source = open_source(write_json(tmp_path / "t.json", content), format="coco")
    assert source.head.notices == (
        "t.json: image number 13 lacks an id or a file_name: left out.",
        "t.json: 2 annotations were left out, of which the first: "
        "annotation number 21 is of category 9, which the file does not define.",
    )
    records = list(source.images())
    said = [None if record.annotations is None else len(record.annotations) for record in records]
    assert said == [2] * 10 + [None, 0], "an image whose only annotation cannot be read was not seen to be empty"
    assert "annotation number 22 is of category 9" in records[10].problem


def test_a_bad_box_costs_only_the_box(tmp_path: Path) -> None:
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "bbox": box}
        for number, box in enumerate([[1, 1, 0, 5], [900, 1, 5, 5], [1, 2], ["a", 1, 2, 3], [1, 1, 4, 4]])
    ]
    image = {"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}
    content = {"images": [image], "annotations": annotations, "categories": [{"id": 1, "name": "fox"}]}
    (record,) = open_source(write_json(tmp_path / "t.json", content)).images()
    assert [one.box is not None for one in record.annotations or ()] == [False] * 4 + [True]
    assert "outside the image or has no size" in record.problem


@pytest.mark.parametrize("row", ["0 0.5 0.5", "x 0.5 0.5 0.1 0.1", "700 0.5 0.5 0.1 0.1"])
def test_a_broken_line_of_boxes_is_told_of_and_the_others_are_read(row: str, tmp_path: Path) -> None:
    made.make_yolo(tmp_path, images=3)
    labels = next((tmp_path / "labels").rglob("*.txt"))
    labels.write_text(f"0 0.5 0.5 0.1 0.1\n{row}\n")
    records = list(open_source(tmp_path).images())
    (bad,) = [record for record in records if record.problem]
    assert f"{labels.name}, line 2" in bad.problem
    assert len(bad.annotations or ()) == 1 and len(records) == 3


def test_a_file_of_boxes_in_which_nothing_can_be_read_does_not_say_that_there_is_nothing(tmp_path: Path) -> None:
    made.make_yolo(tmp_path, images=3)
    next((tmp_path / "labels").rglob("*.txt")).write_text("a note, no boxes\n")
    (bad,) = [record for record in open_source(tmp_path).images() if record.problem]
    assert bad.annotations is None


def test_a_few_lines_of_a_table_that_cannot_be_read_cost_only_what_is_wrong_in_them(tmp_path: Path) -> None:
    lines = [[f"{number}.jpg", "fox", "2024-05-31 18:30:00", "1"] for number in range(40)]
    lines[7][2], lines[8][3], lines[9][0] = "noon", "many", ""
    source = open_source(write_csv(tmp_path / "t.csv", ["path", "label", "datetime", "count"], lines))
    records = {record.path: record for record in source.images()}
    assert len(records) == 39 and any("no picture were left out: 1" in notice for notice in source.head.notices)
    assert records["7.jpg"].captured_at == "" and "line 9: 'noon' is no time" in records["7.jpg"].problem
    assert "line 10: 'many' is no number" in records["8.jpg"].problem
    assert [len(record.annotations or ()) for record in records.values()] == [1] * 39


def test_a_folder_of_nothing_says_what_was_seen(tmp_path: Path) -> None:
    put(tmp_path / "notes.docx", b"x")
    with pytest.raises(SourceError, match=r"seen: notes\.docx"):
        detect(tmp_path)
    with pytest.raises(SourceError, match="is not there"):
        open_source(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="There is no format 'mp3'"):
        open_source(tmp_path, format="mp3")
    with pytest.raises(SourceError, match="Unknown option: colour"):
        open_source(write_csv(tmp_path / "t.csv", ["path"], [["a"]]), options={"colour": 1})


def test_two_sources_in_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    made.make_coco(tmp_path, images=1)
    made.make_megadetector(tmp_path, images=2)
    with pytest.raises(SourceError, match="several sources"):
        detect(tmp_path)


# cells, names, places to write to

CELLS = ["=1+1", "+cmd", "-2+3", "@x", "\tx", "'=x", "''@", "'plain", "-60", "-6.5e3", "+4", "", "Ann", "- no"]


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_runs_in_a_spreadsheet_and_each_comes_back(cell: str) -> None:
    shown = disarmed(cell)
    assert rearmed(shown) == cell
    harmless = not shown or shown[0] not in "=+-@\t\r" or shown.lstrip("+-")[:1].isdigit()
    assert harmless


def test_numbers_are_left_alone() -> None:
    assert [disarmed(cell) for cell in ("-60.25", -60.25, "+4", 1e-9)] == ["-60.25", "-60.25", "+4", "1e-09"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Cat-Test_(1).jpeg", "Cat-Test_(1).jpeg"),
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("/abs/x.jpg", "abs/x.jpg"),
        ("C:\\x\\y.jpg", "C_/x/y.jpg"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        ("", "_"),
        ("x" * 300 + ".jpg", "x" * 170 + ".jpg"),
    ],
)
def test_names_in_an_export_are_safe_on_every_disk(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", ["../x", "/x", "a\\b", "", "a\0b"])
def test_an_output_takes_no_name_that_leaves_it(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        checked_name(name)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half-way"), FolderOutput(tmp_path / "out") as out:
        out.add_bytes("a.txt", b"1")
        raise RuntimeError("half-way")
    assert list(tmp_path.iterdir()) == []
    with FolderOutput(tmp_path / "out") as out:
        out.add_bytes("deep/a.txt", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(OutputError, match="is there already"):
        FolderOutput(tmp_path / "out")


def test_a_zip_is_written_to_a_stream_with_texts_and_pictures_in_turn(tmp_path: Path) -> None:
    import io
    import zipfile

    class Stream(io.RawIOBase):
        """Neither seeks nor tells, like a response or a pipe."""

        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.content += memoryview(data)  # type: ignore[call-overload]
            return len(memoryview(data))  # type: ignore[arg-type]

    stream = Stream()
    file = put(tmp_path / "a.jpg", picture(5))
    with ZipOutput(stream) as out, out.open_text("t.csv") as text:
        text.write("ä\n")
        out.add_file("images/a.jpg", file)
        text.write("b\n")
    with zipfile.ZipFile(io.BytesIO(stream.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("t.csv").decode() == "ä\nb\n"
        assert archive.read("images/a.jpg") == file.read_bytes()


def test_a_table_says_where_an_encoding_fails(tmp_path: Path) -> None:
    file = put(tmp_path / "t.csv", b"path,label\na.jpg,fox\nb.jpg,\xff\n")
    with pytest.raises(SourceError, match="line"):
        list(open_table(file, encoding="utf-8").rows())
