"""Boxes are read from every layout, thinned out, and lead to crops that are classified."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.card import Card, DetectorHead, Label, read_card
from classifier.detection import decode, find
from classifier.engine import load_pipeline
from classifier.errors import ModelError
from classifier.preprocessing import window
from classifier.types import Answer, Decoded, PipelineSpec
from tests.classifier.conftest import BLUE, RED
from tests.colour_versions import make_colour_detector, make_colour_version

# In a 32 x 32 input: left half, the same a little moved, right half, and a faint one.
LEFT, LEFT_AGAIN, RIGHT = [8, 16, 14, 30, 1.0, 0.9], [9, 16, 14, 30, 1.0, 0.8], [24, 16, 14, 30, 1.0, 0.7]
FAINT = [16, 4, 4, 4, 0.5, 0.2]


@pytest.fixture
def card(colour_folder: Path) -> Card:
    labels = (Label("animal", "animal"), Label("person", "person"), Label("none", "none", kind="background"))
    head = DetectorHead(layout="rows", boxes="boxes")
    return replace(read_card(colour_folder), role="detector", labels=labels, detector=head, crop_mode="squash")


def found(card: Card, tensors: dict[str, np.ndarray], threshold: float = 0.3) -> list[tuple[int, float]]:
    view = window(card, 100, 100)
    boxes = find(card, decode(card, tensors, 0), view, width=100, height=100, threshold=threshold)
    return [(box.label, round(box.score, 3)) for box in boxes]


def test_rows_multiply_objectness_and_label_score(card: Card) -> None:
    row = np.array([[[16, 16, 8, 8, 0.5, 0.2, 0.8]]], np.float32)
    assert found(card, {"boxes": row}) == [(1, 0.4)]


def test_columns_hold_boxes_across(card: Card) -> None:
    card = replace(card, detector=DetectorHead(layout="columns", boxes="boxes"))
    column = np.array([[[16], [16], [8], [8], [0.9], [0.1]]], np.float32)
    assert found(card, {"boxes": column}) == [(0, 0.9)]


def test_separate_tensors_with_labels_counted_from_one(card: Card) -> None:
    head = DetectorHead(
        layout="separate",
        boxes="b",
        scores="s",
        labels="l",
        first_label=1,
        box_form="corners",
        box_unit="relative",
    )
    tensors = {
        "b": np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]], np.float32),
        "s": np.array([[0.9, 0.6, 0.99]], np.float32),
        "l": np.array([[2, 1, 7]], np.float32),
    }
    assert found(replace(card, detector=head), tensors) == [(1, 0.9), (0, 0.6)]


def test_of_overlapping_boxes_of_a_label_the_best_stays(card: Card) -> None:
    rows = np.array([[[16, 16, 8, 8, 1, 0.6, 0], [16, 17, 8, 8, 1, 0.9, 0], [16, 16, 8, 8, 1, 0, 0.5]]], np.float32)
    assert found(card, {"boxes": rows}) == [(0, 0.9), (1, 0.5)]


def test_no_box_is_no_error(card: Card) -> None:
    assert found(card, {"boxes": np.zeros((1, 0, 7), np.float32)}) == []


def test_boxes_that_are_not_numbers_are_dropped(card: Card) -> None:
    assert found(card, {"boxes": np.array([[[np.nan, 1, 1, 1, 1, 1, 0]]], np.float32)}) == []


def test_a_card_that_counts_other_labels_is_told_so(card: Card) -> None:
    with pytest.raises(ModelError, match="hold 4 box values and 1 scores"):
        found(card, {"boxes": np.zeros((1, 3, 6), np.float32)})


def two_colours() -> Decoded:
    """Left half red, right half blue."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = RED, BLUE
    return Decoded(pixels, 64, 64)


def recognise(tmp_path: Path, boxes: list[list[float]], **spec: object) -> Answer:
    detector = make_colour_detector(tmp_path / "detector", boxes=boxes)
    pipeline = load_pipeline(PipelineSpec(digest="x", detector=detector, **spec), device="cpu")  # type: ignore[arg-type]
    [answer] = pipeline.recognise([two_colours()])
    assert isinstance(answer, Answer)
    return answer


def test_every_box_is_cropped_and_classified(tmp_path: Path, colour_folder: Path) -> None:
    answer = recognise(tmp_path, [LEFT, LEFT_AGAIN, RIGHT, FAINT], classifier=colour_folder)
    assert [region.label for region in answer.regions] == ["red", "blue"]
    assert answer.counts == {"red": 1, "blue": 1}
    first = answer.regions[0]
    assert first.box is not None and first.detection is not None
    assert first.box.x == pytest.approx(1 / 32, abs=0.01) and first.box.width == pytest.approx(14 / 32, abs=0.01)
    assert (first.detection.label, round(first.detection.score, 2)) == ("animal", 0.9)
    assert first.embedding is not None


def test_with_nothing_found_the_whole_picture_is_asked_about_if_the_project_says_so(
    tmp_path: Path, colour_folder: Path
) -> None:
    answer = recognise(tmp_path, [FAINT], classifier=colour_folder)
    assert [region.box for region in answer.regions] == [None]
    # Half red and half blue is neither to this classifier, and unlike a bare "nothing" it is not certain of it.
    assert answer.label == "grey" and answer.score < 0.9 and answer.regions[0].embedding is not None


def test_with_nothing_found_the_background_answers_otherwise(tmp_path: Path, colour_folder: Path) -> None:
    answer = recognise(tmp_path, [FAINT], classifier=colour_folder, whole_image_when_nothing_found=False)
    assert (answer.label, answer.counts) == ("grey", {})


def test_a_pipeline_that_could_not_say_nothing_is_refused(tmp_path: Path) -> None:
    classifier = make_colour_version(tmp_path / "no-grey", background="")
    with pytest.raises(ModelError, match="may find nothing"):
        recognise(tmp_path, [FAINT], classifier=classifier, whole_image_when_nothing_found=False)


def test_a_detector_alone_answers_with_its_own_label(tmp_path: Path) -> None:
    answer = recognise(tmp_path, [LEFT, RIGHT])
    assert (answer.label, answer.counts) == ("animal", {"animal": 2})
    assert answer.regions[0].scores.sum() == pytest.approx(1)


def test_a_detector_alone_that_finds_nothing_says_so_with_its_doubt(tmp_path: Path) -> None:
    answer = recognise(tmp_path, [FAINT])
    assert answer.label == "nothing-found"
    assert answer.score == pytest.approx(0.9)


def test_a_projects_own_threshold_counts(tmp_path: Path) -> None:
    assert recognise(tmp_path, [FAINT], thresholds={"detection": 0.05}).label == "animal"
