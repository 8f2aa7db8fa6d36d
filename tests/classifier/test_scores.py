"""What a person sees is ordered, sums to one, and follows the rule for "nothing we look for"."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.calibration import fit_temperature, log_loss, softmax
from classifier.scores import decision_margin, group_probabilities, settle_background

# The last label is the background.
CASES = [
    pytest.param([0.2, 0.1, 0.7], 2, id="background-above-threshold-and-best-is-the-answer"),
    pytest.param([0.3, 0.25, 0.45], 0, id="background-best-but-under-threshold-yields-to-the-best-animal"),
    pytest.param([0.3, 0.2, 0.5], 0, id="background-at-the-threshold-yields"),
    pytest.param([0.6, 0.3, 0.1], 0, id="a-clear-animal-wins"),
]


@pytest.mark.parametrize(("row", "answer"), CASES)
def test_the_background_rule(row: list[float], answer: int) -> None:
    [scores] = settle_background(np.array([row]), background=2, threshold=0.5)
    assert scores.argmax() == answer
    assert scores.sum() == pytest.approx(1, abs=1e-6)


def test_a_beaten_background_stands_just_below_the_winner() -> None:
    [scores] = settle_background(np.array([[0.3, 0.25, 0.45]]), background=2, threshold=0.5)
    assert scores[1] < scores[2] < scores[0]
    assert round(float(scores[2]), 5) < round(float(scores[0]), 5)


def test_a_high_threshold_makes_even_a_sure_background_yield() -> None:
    [scores] = settle_background(np.array([[0.2, 0.0, 0.8]]), background=2, threshold=0.9)
    assert scores.argmax() == 0


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=30),
    st.floats(0, 1),
    st.booleans(),
)
def test_scores_sum_to_one_and_keep_the_order_of_animals(logits: list[float], threshold: float, has: bool) -> None:
    probabilities = softmax(np.array([logits]))
    background = len(logits) - 1 if has else None
    [scores] = settle_background(probabilities, background=background, threshold=threshold)
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    animals = slice(0, -1) if has else slice(None)
    assert scores[animals].argmax() == probabilities[0][animals].astype(np.float32).argmax() or len(logits) == 1
    if has and scores.argmax() == background:
        assert probabilities[0, background] > threshold


def test_outputs_of_one_label_add_up() -> None:
    grouped = group_probabilities(np.array([[0.1, 0.2, 0.3, 0.4]]), [(0, 3), (1, 2)])
    assert grouped.tolist() == [[0.5, 0.5]]


def test_a_lower_temperature_sharpens_and_keeps_the_answer() -> None:
    logits = np.array([[1.0, 2.0, 0.0]])
    cold, warm = softmax(logits, temperature=0.5), softmax(logits, temperature=2)
    assert cold.argmax() == warm.argmax() == 1
    assert cold.max() > warm.max()


def test_fitting_finds_the_temperature_labels_were_drawn_at() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(8000, 5)) * 3
    truth = np.array([rng.choice(5, p=row) for row in softmax(logits, temperature=2.5)])
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(2.5, rel=0.1)
    assert log_loss(logits, truth, temperature=found) < log_loss(logits, truth, temperature=1.0)


@pytest.mark.parametrize(
    ("row", "margin"),
    [
        ([0.6, 0.3, 0.1], 0.3),
        ([0.1, 0.09, 0.81], 0.31),
        ([0.3, 0.25, 0.45], 0.05),
        ([0.44, 0.1, 0.46], 0.04),
    ],
)
def test_the_margin_knows_the_threshold_as_well_as_the_runner_up(row: list[float], margin: float) -> None:
    assert decision_margin(np.array([row]), background=2, threshold=0.5)[0] == pytest.approx(margin)
