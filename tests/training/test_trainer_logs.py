"""Logs of other trainers against counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.contract import TrainerLogError, parse_trainer_log, read_trainer_log

ORIGINAL = """\
Loading weights from darknet53.conv.74...Done!
Region 82 Avg IOU: 0.400000, Class: 0.5, Obj: 0.5, No Obj: 0.4, .5R: 0.0, .75R: 0.0,  count: 1
Region 94 Avg IOU: -nan, Class: -nan, Obj: -nan, No Obj: 0.4, .5R: -nan, .75R: -nan,  count: 0
Region 82 Avg IOU: 0.700000, Class: 0.5, Obj: 0.5, No Obj: 0.4, .5R: 1.0, .75R: 0.0,  count: 2
1: 730.500000, 730.500000 avg, 0.000000 rate, 3.200000 seconds, 64 images
Loaded: 0.000041 seconds
Region 94 Avg IOU: 0.800000, Class: 0.5, Obj: 0.5, No Obj: 0.4, .5R: 1.0, .75R: 1.0,  count: 4
2: -nan, 729.000000 avg, 0.001000 rate, 3.100000 seconds, 128 images
"""
FORK = """\
v3 (iou loss, Normalizer: (iou: 0.75)) Region 82 Avg (IOU: 0.500000), count: 3, class_loss = 0.6, total_loss = 0.8
v3 (iou loss, Normalizer: (iou: 0.75)) Region 94 Avg (IOU: 0.000000), count: 0, class_loss = 0.0, total_loss = 0

 1000: 1.520000, 1.600000 avg loss, 0.001000 rate, 2.500000 seconds, 64000 images, 5.1 hours left
"""


def test_darknets_log_gives_what_a_hand_counts() -> None:
    found = parse_trainer_log(ORIGINAL.splitlines(keepends=True))
    assert (found.kind, found.step) == ("darknet", "iteration")
    assert found.curve("average loss").values == (730.5, 729.0)
    assert found.curve("learning rate").values == (0.0, 0.001)
    assert found.curve("IoU").steps == (1, 2)
    assert found.curve("IoU").values == (pytest.approx((0.4 + 2 * 0.7) / 3), pytest.approx(0.8))
    assert found.curve("IoU, layer 82").steps == (1,)


def test_what_is_no_number_is_skipped_and_counted() -> None:
    found = parse_trainer_log(ORIGINAL.splitlines(keepends=True))
    assert found.curve("loss").steps == (1,), "the loss of step 2 is -nan"
    assert found.skipped == 2


def test_the_forks_dialect_is_read_as_well() -> None:
    found = parse_trainer_log(FORK.splitlines(keepends=True))
    assert found.curve("average loss").values == (1.6,)
    assert found.curve("IoU").values == (0.5,), "a layer without objects says 0 there, and counts for nothing"


def test_a_resumed_training_replaces_the_steps_it_repeats() -> None:
    again = ORIGINAL + "1: 700.0, 700.0 avg, 0.0 rate, 3.2 seconds, 64 images\n"
    assert parse_trainer_log(again.splitlines()).curve("loss").values == (700.0,)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_gives_a_curve_for_each_column_of_numbers(mark: str) -> None:
    rows = [
        "               epoch, train/loss, note, val/accuracy",
        "1, 2.5, warm, 0.4",
        "2, -nan, , 0.5",
        "3, 1.5, x,",
        "",
    ]
    found = parse_trainer_log(row.replace(",", mark) + "\n" for row in rows)
    assert (found.kind, found.step) == ("csv", "epoch")
    assert [one.name for one in found.curves] == ["train/loss", "val/accuracy"]
    assert (found.curve("train/loss").steps, found.curve("train/loss").values) == ((1, 3), (2.5, 1.5))
    assert found.curve("val/accuracy").values == (0.4, 0.5)


def test_rows_are_counted_where_no_column_names_the_step() -> None:
    found = parse_trainer_log(["loss,lr\n", "3,0.1\n", "2,0.1\n"])
    assert (found.step, found.curve("loss").steps) == ("row", (1, 2))


@pytest.mark.parametrize("text", ["", "hello\n", "1,2\n3,4\n", "a,b\nx,y\n"])
def test_what_is_no_log_is_refused_with_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.txt").write_text(text)
    with pytest.raises(TrainerLogError, match=r"log\.txt: (it is neither|none of its columns)"):
        read_trainer_log(tmp_path / "log.txt")
    with pytest.raises(TrainerLogError, match="cannot be read"):
        read_trainer_log(tmp_path / "missing.txt")
