"""A lower precision is used only where it was proven to lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classifier.backends import load
from classifier.card import read_card
from classifier.precision import Agreement, compare_precision
from classifier.starter import SOURCES


def colours(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.broadcast_to(colour, (40, 40, 3)).copy() for colour in rng.integers(0, 256, (count, 3), dtype=np.uint8)]


def test_sure_pictures_are_counted_and_close_ones_left_out(colour_folder: Path) -> None:
    close = np.broadcast_to(np.array([200, 201, 0], np.uint8), (40, 40, 3)).copy()
    found = compare_precision(colour_folder, [*colours(20), close], precision="f32")
    assert found.pictures == 21 and found.same == found.sure < 21


def test_a_precision_the_processor_lacks_is_not_proven(colour_folder: Path) -> None:
    network = load(colour_folder, read_card(colour_folder), outputs=("logits",), device="cpu")
    assert network.words == "openvino f32 CPU"
    found = compare_precision(colour_folder, colours(5), precision="f16", backend="openvino")
    assert found.sure in (0, found.same)


@pytest.mark.parametrize(
    ("sure", "same", "proven"), [(200, 200, True), (199, 199, False), (400, 399, False), (0, 0, False)]
)
def test_proof_takes_two_hundred_sure_pictures_and_no_exception(sure: int, same: int, proven: bool) -> None:
    assert Agreement("bf16", 500, sure, same).proven is proven


def test_no_starter_claims_a_lower_precision_without_evidence() -> None:
    for source in SOURCES:
        assert source.precision_evidence and source.precision["torch"] == "f32"
        assert source.precision["openvino"] == "f32" or "on all" in source.precision_evidence
