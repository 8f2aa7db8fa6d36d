"""Logs of other trainers against counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.contract import TrainerLogError, log_lines, parse_trainer_log, read_trainer_log

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


def test_a_network_of_one_layer_does_not_number_it() -> None:
    old = [
        "Region Avg IOU: 0.2, Class: 0.1, Obj: 0.5, No Obj: 0.4, Avg Recall: 0.1,  count: 1",
        "Region Avg IOU: 0.5, Class: 0.1, Obj: 0.5, No Obj: 0.4, Avg Recall: 0.1,  count: 2",
        "1: 742.2, 742.2 avg, 0.001 rate, 5.9 seconds, 64 images",
    ]
    found = parse_trainer_log(old)
    assert found.curve("IoU").values == (pytest.approx(0.4),)
    assert [curve.name for curve in found.curves if "IoU" in curve.name] == ["IoU"]


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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_log_of_windows_is_read_like_any_other(tmp_path: Path, encoding: str) -> None:
    text = ORIGINAL.partition("\n")[2].replace("-nan", "-nan(ind)").replace("\n", "\r\n") + "3: 700.1, 70"
    (tmp_path / "train_log.txt").write_bytes(text.encode(encoding))
    found = read_trainer_log(tmp_path / "train_log.txt")
    assert found.curves == parse_trainer_log(ORIGINAL.splitlines()).curves and found.skipped == 2


def test_the_first_line_after_a_byte_order_mark_counts() -> None:
    chunks = [b"\xef\xbb", b"\xbf1: 7.5, 7.5 avg, 0.1 rate, 3.2 seconds, 64 images\r", b"\n2: 6.5, 7.0 avg, "]
    assert parse_trainer_log(log_lines(chunks)).curve("loss").values == (7.5,)


def test_the_forks_precision_belongs_to_the_step_before_it() -> None:
    found = parse_trainer_log([*FORK.splitlines(), " mean average precision (mAP@0.50) = 0.634152, or 63.42 % "])
    assert (found.curve("mAP@0.50").steps, found.curve("mAP@0.50").values) == ((1000,), (0.634152,))


def test_decimal_commas_stand_where_semicolons_part_the_cells() -> None:
    assert parse_trainer_log(["epoch;loss\n", "1;0,5\n", "2;0,25\n"]).curve("loss").values == (0.5, 0.25)


def test_of_a_table_that_is_cut_off_the_half_cell_is_left_out() -> None:
    found = parse_trainer_log(["epoch,loss,accuracy\n", "1,0.5,0.25\n", "2,0.37,0.5\n", "3,0.3"])
    assert found.curve("loss").values == (0.5, 0.37) and found.curve("accuracy").steps == (1, 2)


@pytest.mark.parametrize("content", [b"\x89PNG" * 500_000, b'epoch,loss\n1,"' + b"2\n" * 100_000])
def test_what_is_no_text_and_a_quotation_mark_without_end_are_refused(content: bytes) -> None:
    with pytest.raises(TrainerLogError, match="no lines of text|is no table"):
        parse_trainer_log(log_lines([content]))
