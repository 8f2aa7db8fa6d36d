"""`augment_data` as a person types it: files, labels, weights and boxes of what it makes, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.creatures import creature
from classifier.images import decode
from training.augmentation import augment_data
from training.augmentation.label_file import Frame, box_of, layout_of
from training.contract import RunConfig
from training.learning.examples import read_weights

BOX = (60, 48, 100, 90)  # left, top, width, height of what is red


def draw(path: Path, seed: int, *, box: tuple[int, int, int, int] | None = None) -> None:
    image = creature(seed % 3, seed, side=240)
    if box:
        image.paste((250, 10, 10), (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`in/` with pictures in two folders, and labels.csv beside it."""
    names = [f"{'ab'[number % 2]}/{number}.{'jpg' if number % 3 else 'png'}" for number in range(7)]
    for number, name in enumerate(names):
        draw(tmp_path / "in" / name, number)
    rows = [f"{name},kind {number % 3}" for number, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["filepath,label", *rows]) + "\n")
    return tmp_path


def augment(folder: Path, *words: str, out: str = "out", new: str = "new.csv", labels: str = "labels.csv") -> int:
    return augment_data.main([
        "--input_folder", str(folder / "in"), "--output_folder", str(folder / out),
        "--label_file", str(folder / labels), "--new_label_and_weights_file", str(folder / new), *words,
    ])  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}


def test_originals_and_copies_lie_in_the_new_folder_with_labels_and_weights(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder / "in")
    assert augment(folder, "--copies", "3") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["copies"] == 21
    assert "picture/s" in said.err, "a progress bar"
    assert contents(folder / "in") == before
    made = contents(folder / "out")
    assert {name: made[name] for name in before} == before
    rows = table(folder / "new.csv")
    assert {row["filepath"] for row in rows} | {"augmentation.yaml"} == set(made)
    assert len({made[row["filepath"]] for row in rows}) == len(rows) == 28, "all pictures differ"
    by_origin: dict[str, float] = {}
    for row in rows:
        origin = row["source"] or row["filepath"]
        by_origin[origin] = by_origin.get(origin, 0) + float(row["weight"])
        assert row["label"] == next(one["label"] for one in rows if one["filepath"] == origin)
        assert bool(row["op"]) == bool(row["source"])
        assert row["sequence"] == origin, "freezing keeps a burst in one part"
    assert by_origin == {name: pytest.approx(1) for name in before}


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(folder: Path) -> None:
    for out, workers, seed in (("one", "1", "5"), ("four", "4", "5"), ("other", "4", "6")):
        words = ("--config", "strong", "--workers", workers, "--seed", seed)
        assert augment(folder, *words, out=out, new=f"{out}.csv") == 0
    assert contents(folder / "one") == contents(folder / "four")
    assert (folder / "one.csv").read_bytes() == (folder / "four.csv").read_bytes()
    same, other = contents(folder / "one"), contents(folder / "other")
    assert not [name for name in same if "-aug" in name and same[name] == other[name]]


def test_boxes_move_with_the_pixels(folder: Path) -> None:
    draw(folder / "in" / "boxed.png", 1, box=BOX)
    text = f'filepath,label,bbox,image_width,image_height\nboxed.png,fish,"[{", ".join(map(str, BOX))}]",240,240\n'
    (folder / "labels.csv").write_text(text)
    (folder / "steps.yaml").write_text("steps:\n- crop: {least: 0.4}\n- flip\n- rotate: {degrees: 15, share: 1}\n")
    assert augment(folder, "--config", str(folder / "steps.yaml"), "--copies", "8") == 0
    rows, layout = table(folder / "new.csv"), layout_of(folder / "new.csv")
    assert len(rows) == 9
    for row in rows[1:]:
        pixels = decode(folder / "out" / row["filepath"], at_least=0).pixels
        height, width = pixels.shape[:2]
        assert (row["image_width"], row["image_height"]) == (str(width), str(height))
        box = box_of(layout, row, Frame(width, height))
        red = np.argwhere((pixels[:, :, 0] > 200) & (pixels[:, :, 1] < 60))
        assert box is not None
        assert red[:, 1].min() >= box.x * width - 2
        assert red[:, 0].min() >= box.y * height - 2
        assert red[:, 1].max() <= (box.x + box.width) * width + 2
        assert red[:, 0].max() <= (box.y + box.height) * height + 2
        assert len(red) > 0.2 * box.width * width * box.height * height


def test_a_copy_that_shows_none_of_its_boxes_is_not_made_and_weights_still_add_up(folder: Path) -> None:
    text = "filepath,label,x,y,width,height\na/0.png,fish,0,0,4,4\na/0.png,shark,230,230,9,9\n"
    (folder / "labels.csv").write_text(text)
    (folder / "steps.yaml").write_text("least_box: 1\nsteps:\n- crop: {least: 0.3, most: 0.5}\n")
    assert augment(folder, "--config", str(folder / "steps.yaml"), "--copies", "20") == 0
    rows = table(folder / "new.csv")
    pictures = {row["filepath"]: float(row["weight"]) for row in rows}
    assert 1 <= len(pictures) < 21
    assert sum(pictures.values()) == pytest.approx(1)
    copies = [row for row in rows if row["source"]]
    assert len({row["filepath"] for row in copies}) == len(copies), "never both corners, and no line of what is gone"


def test_only_the_training_part_is_varied(folder: Path) -> None:
    rows = [f"a/{number}.{'jpg' if number % 3 else 'png'}" for number in (0, 2, 4, 6)]
    parts = ["train", "val", "test", "Training"]
    lines = [f"{name};x;{part}" for name, part in zip(rows, parts, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["file;label;split", *lines]) + "\n")
    assert augment(folder, "--copies", "1") == 0
    with (folder / "new.csv").open() as file:
        found = list(csv.DictReader(file, delimiter=";"))
    assert [row["split"] for row in found if row["source"]] == ["train", "Training"]
    assert [float(row["weight"]) for row in found if row["split"] in ("val", "test")] == [1, 1]


def test_whales_keep_their_two_columns_and_weights_that_were_there_are_shared(folder: Path) -> None:
    (folder / "labels.csv").write_text("Image,Id,weight\na/0.png,w_1,3\nb/1.jpg,new_whale,0.5\n")
    assert augment(folder, "--config", "fluke", "--copies", "2") == 0
    rows = table(folder / "new.csv")
    assert list(rows[0])[:3] == ["Image", "Id", "weight"]
    assert [(row["Id"], float(row["weight"])) for row in rows] == [("w_1", 1.0)] * 3 + [("new_whale", 0.5 / 3)] * 3
    weights = read_weights(folder / "new.csv")
    assert weights["b/1-aug2.jpg"] == 0.5 / 3
    assert RunConfig(image_weights="new.csv")


@pytest.mark.parametrize(("weight", "expected"), [("full", [1, 1]), ("0.25", [1, 0.25])])
def test_copies_weigh_what_the_file_asks_for(folder: Path, weight: str, expected: list[float]) -> None:
    (folder / "labels.csv").write_text("Image,Id\na/0.png,w_1\n")
    (folder / "steps.yaml").write_text(f"preset: light\nweight: {weight}\n")
    assert augment(folder, "--config", str(folder / "steps.yaml"), "--copies", "1") == 0
    assert [float(row["weight"]) for row in table(folder / "new.csv")] == expected


def test_damaged_and_missing_pictures_are_listed_and_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (folder / "in" / "b" / "1.jpg").read_bytes()
    (folder / "in" / "b" / "1.jpg").write_bytes(data[: len(data) // 2])
    (folder / "in" / "a" / "2.jpg").write_text("no picture")
    (folder / "in" / "a" / "4.jpg").unlink()
    assert augment(folder) == 0
    listed = {one["picture"]: one["reason"] for one in json.loads((folder / "new-left-out.json").read_text())}
    assert set(listed) == {"b/1.jpg", "a/2.jpg", "a/4.jpg"}
    assert "rows are missing" in listed["b/1.jpg"]
    assert "no such file" in listed["a/4.jpg"]
    assert not [row for row in table(folder / "new.csv") if (row["source"] or row["filepath"]) in listed]
    assert "3 pictures are left out" in capsys.readouterr().err


def test_a_turned_photo_is_varied_upright(folder: Path) -> None:
    image = Image.new("RGB", (80, 40), (0, 0, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "in" / "turned.jpg", exif=exif)
    # The size is said as stored, so the box is of the picture as stored: its left quarter, which is seen at the top.
    (folder / "labels.csv").write_text(
        "filepath,label,x,y,width,height,image_width,image_height\nturned.jpg,x,0,0,20,40,80,40\n"
    )
    (folder / "steps.yaml").write_text("steps:\n- colour: {share: 1}\n")
    assert augment(folder, "--config", str(folder / "steps.yaml"), "--copies", "1") == 0
    copy = table(folder / "new.csv")[1]
    assert decode(folder / "out" / copy["filepath"], at_least=0).pixels.shape == (80, 40, 3)
    assert [float(copy[name]) for name in ("x", "y", "width", "height")] == [0, 0, 40, 20]


def test_a_copy_never_takes_the_name_of_a_picture(folder: Path) -> None:
    draw(folder / "in" / "a" / "0-aug1.png", 9)
    (folder / "labels.csv").write_text("filepath,label\na/0.png,x\na/0-aug1.png,y\n")
    assert augment(folder, "--copies", "1") == 0
    assert len({row["filepath"] for row in table(folder / "new.csv")}) == 4
    assert (folder / "out" / "a" / "0-aug1.png").read_bytes() == (folder / "in" / "a" / "0-aug1.png").read_bytes()


def test_a_stopped_command_goes_on_and_ends_as_an_unbroken_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert augment(folder, out="whole", new="whole.csv") == 0
    made = augment_data.Job.results

    def interrupted(self: augment_data.Job, pictures: Iterator[object], workers: int) -> Iterator[object]:
        for number, one in enumerate(made(self, pictures, workers)):  # type: ignore[arg-type]
            if number == 3:
                raise KeyboardInterrupt
            yield one

    with monkeypatch.context() as patch:
        patch.setattr(augment_data.Job, "results", interrupted)
        assert augment(folder) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not (folder / "new.csv").exists()
    journal = folder / "out" / ".augment_data.jsonl"
    journal.write_bytes(journal.read_bytes() + b'["a/4.jpg", [["half a li')
    assert augment(folder, "--seed", "9") == 1
    assert "an earlier command with other settings began" in capsys.readouterr().err
    kept = folder / "out" / "a" / "0-aug1.png"
    written = kept.stat().st_mtime_ns
    assert augment(folder, "--workers", "1") == 0
    assert kept.stat().st_mtime_ns == written
    assert contents(folder / "out") == contents(folder / "whole")
    assert (folder / "new.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert augment(folder) == 1
    assert "is not empty: empty it or name a new one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"out": "in/out"}, "lie one inside the other"),
        ({"out": "in"}, "lie one inside the other"),
        ({"out": "."}, "lie one inside the other"),
        ({"new": "labels.csv"}, "is the old label file"),
        ({"new": "in/new.csv"}, "lies in the input folder"),
        ({"out": "labels.csv"}, "is a file: name a folder"),
    ],
)
def test_what_could_harm_the_originals_is_refused(
    folder: Path, words: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    assert augment(folder, **words) == 1
    assert said in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a header"),
        ("name,label\na.jpg,x\n", "needs a header with a column that names the pictures"),
        ("filepath,label\n", "has a header and no rows"),
        ("filepath,label\n../a.jpg,x\n", "without `..`"),
        ("filepath,label\n/etc/a.jpg,x\n", "named from the input folder on"),
        ("filepath,label\n,x\n", "line 2: no picture is named"),
        ("filepath,label\na.jpg,x,y\n", "line 2: 3 cells, where the header has 2"),
        ("filepath,weight\na.jpg,-1\n", "the weight '-1' is no number from 0 on"),
        ("filepath,label,label\na.jpg,x,y\n", "two columns of one name"),
    ],
)
def test_a_label_file_that_cannot_be_used_says_why(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "labels.csv").write_text(text)
    assert augment(folder) == 1
    assert said in capsys.readouterr().err
    assert not (folder / "out").exists(), "the same command works once the file is mended"


def test_an_unknown_step_stops_before_anything_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "steps.yaml").write_text("steps: [flup]\n")
    assert augment(folder, "--config", str(folder / "steps.yaml")) == 1
    assert "there is no step 'flup'. Did you mean flip?" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_help_explains_every_step_without_loading_what_is_slow() -> None:
    words = (
        "import sys\nfrom training.augmentation import augment_data\naugment_data.parser().print_help()\n"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 0
    for word in ("--new_label_and_weights_file", "camera-trap", "motion-blur", "largest angle, to either side"):
        assert word in said.stdout
