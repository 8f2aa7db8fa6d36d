"""`classify`, as a person or a script types it."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from classifier.cli.classify import main
from classifier.registry import Active, write_active
from tests.classifier.conftest import BLUE, GREEN, RED


def picture(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), colour).save(path, quality=95)
    return path


@pytest.fixture
def data(colour_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose project `animals` is answered by the colour version."""
    folder = tmp_path / "data"
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / "colour").symlink_to(colour_folder)
    write_active(folder, Active("d" * 64, "animals", classifier="versions/colour"))
    monkeypatch.setenv("OSPREY_DATA", str(folder))
    return folder


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return picture(tmp_path / "in" / "red.jpg", RED)


def test_one_picture_prints_one_label(data: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image", str(red)]) == 0
    assert capsys.readouterr().out == "['Red']\n"


def test_a_path_alone_is_the_same(data: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(red)]) == 0
    assert capsys.readouterr().out == "['Red']\n"


def test_standard_input_and_nothing_else_on_the_streams(data: Path, red: Path) -> None:
    command = [sys.executable, "-m", "classifier.cli.classify"]
    done = subprocess.run(command, input=red.read_bytes(), capture_output=True, check=False, env=dict(os.environ))
    assert (done.stdout, done.stderr, done.returncode) == (b"['Red']\n", b"", 0)


def test_verbose_prints_all_labels_best_first_and_they_sum_to_one(
    data: Path, red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--verbose", str(red)]) == 0
    rows = ast.literal_eval(capsys.readouterr().out)
    assert [row[0] for row in rows][0] == "Red" and {row[0] for row in rows} == {
        "Red",
        "Green",
        "Blue",
        "nothing but grey",
    }
    scores = [row[1] for row in rows]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)


def test_json_is_one_line(data: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(red)]) == 0
    [line] = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert answer["label"] == "Red" and answer["counts"] == {"Red": 1} and answer["regions"][0]["box"] is None
    assert answer["path"] == str(red) and answer["pipeline"] == "d" * 64


def test_several_print_path_tab_label_in_order_and_a_bad_one_goes_to_stderr(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [picture(tmp_path / f"{index}.jpg", colour) for index, colour in enumerate((BLUE, RED, GREEN) * 7)]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff no picture")
    missing = tmp_path / "missing.jpg"
    given = [*paths[:3], bad, *paths[3:], missing]
    assert main([str(path) for path in given]) == 65
    captured = capsys.readouterr()
    expected = [f"{path}\t['{name}']" for path, name in zip(paths, ("Blue", "Red", "Green") * 7, strict=True)]
    assert captured.out.splitlines() == expected
    assert str(bad) in captured.err and f"{missing}: No such file" in captured.err


def test_a_picture_of_which_a_part_is_missing_says_so(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = picture(tmp_path / "whole.png", RED)
    noise = Image.effect_noise((640, 480), 60).convert("RGB")
    noise.save(tmp_path / "cut.jpg", quality=90)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert main(["--json", str(whole), str(cut)]) == 0
    captured = capsys.readouterr()
    sound, damaged = map(json.loads, captured.out.splitlines())
    assert (sound["damaged"], sound["damaged_share"], damaged["damaged"]) == (False, 0.0, True)
    assert (
        f"classify: {cut}: damaged, {round(100 * damaged['damaged_share'])} % of its rows are missing" in captured.err
    )
    assert str(whole) not in captured.err


def test_a_folder_stands_for_the_pictures_below_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "season"
    picture(folder / "b" / "1.jpg", BLUE)
    picture(folder / "a.png", RED)
    (folder / "notes.txt").write_text("seen at dawn")
    (folder / ".hidden.jpg").write_bytes(b"")
    assert main([str(folder)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{folder / 'a.png'}\t['Red']\n{folder / 'b' / '1.jpg'}\t['Blue']\n"
    assert "2/2" in captured.err


def test_a_folder_without_pictures_is_bad_input(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 65


def test_a_bad_picture_alone_is_bad_input(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"nothing of the kind")))
    assert main([]) == 65
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("classify: standard input: ")


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--json", "--verbose", "x"], ["--project", "a", "--model", "b"]]
)
def test_a_usage_error_is_2(data: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_an_unknown_project_is_2_and_names_those_there_are(
    data: Path, red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--project", "whales", str(red)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Projects with one: animals" in captured.err


def test_a_model_folder_needs_no_data_folder(
    colour_folder: Path, red: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OSPREY_DATA", raising=False)
    assert main(["--model", str(colour_folder), str(red)]) == 0
    assert capsys.readouterr().out == "['Red']\n"


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0 and "cat cat.jpg | classify" in capsys.readouterr().out


def test_ranks_are_a_table_with_each_picture_once_and_its_labels_best_first(
    data: Path, red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(red.parent / "b" / "blue.jpg", BLUE)
    (red.parent / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    assert main(["--csv", "ranks", str(red.parent)]) == 65
    header, torn, blue, first = capsys.readouterr().out.splitlines()
    assert (header, torn) == ("Image,Id", "a.jpg,")
    assert blue.startswith("b/blue.jpg,Blue ") and first.startswith("red.jpg,Red ")
    assert sorted(first.removeprefix("red.jpg,").split(" ")) == ["Blue", "Green", "Red", "nothing_but_grey"]


def test_scores_are_a_table_of_all_labels_whose_lines_sum_to_one(
    data: Path, red: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--csv", "scores", str(red.parent)]) == 0
    header, line = csv.reader(capsys.readouterr().out.splitlines())
    assert header[0] == "image" and set(header[1:]) == {"Red", "Green", "Blue", "nothing but grey"}
    scores = dict(zip(header[1:], map(float, line[1:]), strict=True))
    assert max(scores, key=lambda name: scores[name]) == "Red" and sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_a_table_holds_no_picture_twice(data: Path, red: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--csv", "ranks", str(red), str(red.parent)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "'red.jpg'" in err
