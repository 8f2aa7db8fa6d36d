"""Figures of a report against scikit-learn and by hand; reports and outcomes on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, precision_recall_fscore_support

from classifier.card import Card, Label
from tests.training.outcomes import manifest, outcome, pair
from training.contract import (
    TEST,
    TRAIN,
    ManifestLine,
    Outcome,
    ReportError,
    parse_report,
    read_outcomes,
    read_report,
    report_values,
    write_outcomes,
)
from training.evaluation.metrics import class_reports, confusion, figures
from training.evaluation.reliability import promises, reject_curve, reliability
from training.evaluation.reports import report_of
from training.evaluation.samples import sample_of
from training.evaluation.tables import table_of, translated
from training.run_folder import write_json


def values(outcomes: list[Outcome], **other: object) -> dict[str, float]:
    return {name: one.value for name, one in figures(table_of(outcomes), **other).items()}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return pair(12, 25, 0.8, 0.9)[0]


def test_figures_are_those_of_scikit_learn(outcomes: list[Outcome]) -> None:
    truth, answer = [one.truth for one in outcomes], [one.answer for one in outcomes]
    found = values(outcomes)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, answer))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, answer))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, answer, average="macro"))
    rows = np.array([[one.truth_score, 1 - one.truth_score] for one in outcomes])
    assert found["log_loss"] == pytest.approx(log_loss([0] * len(rows), rows, labels=[0, 1]))


def test_labels_have_the_precision_recall_and_f1_of_scikit_learn(outcomes: list[Outcome]) -> None:
    truth, answer = [one.truth for one in outcomes], [one.answer for one in outcomes]
    keys = sorted(set(truth))
    expected = precision_recall_fscore_support(truth, answer, labels=keys)
    found = class_reports(table_of(outcomes), {"red": "Red"}, trained_on={"red": 7}, known=frozenset({"red"}))
    assert [one.key for one in found] == keys
    for place, one in enumerate(found):
        assert one.precision is not None
        shown = (one.precision.value, one.recall.value, one.f1.value, one.images)
        assert shown == pytest.approx([column[place] for column in expected])
        assert one.recall.interval is not None and one.recall.interval[0] < one.recall.value < one.recall.interval[1]
    assert [(one.name, one.trained_on, one.known) for one in found if one.key == "red"] == [("Red", 7, True)]


def test_the_five_best_answers_count_by_rank() -> None:
    rows = [outcome(rank, "red", "blue", truth_rank=rank) for rank in range(1, 7)] + [
        outcome(9, "x", "y", truth_rank=0)
    ]
    found = values(rows)
    assert found["top5"] == pytest.approx(5 / 7)
    assert found["map5"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 7)


def test_bands_are_by_images_in_training() -> None:
    rows = [outcome(1, "red", "red"), outcome(2, "green", "red"), outcome(3, "blue", "blue"), outcome(4, "blue", "red")]
    found = values(rows, trained_on={"red": 101, "green": 100, "blue": 19})
    assert (found["many_shot_recall"], found["medium_shot_recall"], found["few_shot_recall"]) == (1, 0, 0.5)
    assert "few_shot_recall" not in values(rows[:2], trained_on={"red": 101, "green": 20})


def test_an_image_that_could_not_be_recognised_counts_as_wrong() -> None:
    rows = [outcome(1, "red", "red"), Outcome(2, "", "", "red", "", 0.0, 0.0, 0, failure="damaged")]
    assert values(rows)["accuracy"] == 0.5
    assert [(one.truth, one.answer, one.images) for one in confusion(table_of(rows))] == [
        ("red", "", 1),
        ("red", "red", 1),
    ]


def test_confident_and_wrong_costs_much_but_not_without_end() -> None:
    assert values([outcome(1, "red", "blue", truth_score=0.0)])["log_loss"] == pytest.approx(-np.log(1e-7))


def test_the_calibration_error_is_the_gap_between_score_and_truth() -> None:
    scores, right = np.array([0.95] * 10 + [0.55] * 10), np.array([True] * 9 + [False] + [True] * 3 + [False] * 7)
    found = reliability(scores, right)
    assert found is not None
    assert found.ece == pytest.approx((0.05 + 0.25) / 2)
    assert [(one.images, one.right) for one in found.bins] == [(10, 0.3), (10, 0.9)]
    assert reliability(np.array([np.nan, 0.5]), np.array([True, True])) is None


def test_rejecting_doubtful_answers_leaves_fewer_wrong_ones() -> None:
    scores, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])
    points = [(one.threshold, one.kept, one.wrong) for one in reject_curve(scores, right)]
    assert points == [(0.6, 1.0, 0.25), (0.7, 0.75, pytest.approx(1 / 3)), (0.8, 0.5, 0.0), (0.9, 0.25, 0.0)]
    assert len(reject_curve(np.random.default_rng(0).random(5000), np.ones(5000, np.bool_))) == 100


def test_a_promise_holds_on_images_it_was_not_made_on() -> None:
    """Scores that mean what they say: what is kept is wrong at most as often as promised, but for bad luck."""
    random, kept_promises = np.random.default_rng(0), 0
    for _ in range(12):
        made, kept = calibrated_outcomes(random), table_of(calibrated_outcomes(random))
        one = next(one for one in promises(table_of(made), at_most=[0.05]))
        assert one.threshold is not None and one.upper <= 0.05 and 0.2 < one.kept < 0.7
        above = kept.score >= one.threshold
        kept_promises += (~kept.right[above]).mean() <= 0.05
    assert kept_promises >= 11


def calibrated_outcomes(random: np.random.Generator) -> list[Outcome]:
    scores = 1 - 0.5 * random.random(1500) ** 2
    rights = random.random(1500) < scores
    return [
        outcome(place, "red", "red" if right else "blue", group=f"g{place % 40}", score=score)
        for place, (score, right) in enumerate(zip(scores.tolist(), rights.tolist(), strict=True))
    ]


def test_no_threshold_is_promised_that_does_not_hold() -> None:
    rows = [outcome(place, "red", "blue", group=f"g{place}") for place in range(40)]
    assert [one.threshold for one in promises(table_of(rows))] == [None] * 4


def test_merged_labels_answer_together() -> None:
    found = translated(
        outcome(1, "fox", "dog", top=(("dog", 0.4), ("fox", 0.35), ("vixen", 0.25)), truth_score=0.35, truth_rank=2),
        {"vixen": "fox"},
    )
    assert (found.answer, found.score, found.truth_score, found.truth_rank) == ("fox", pytest.approx(0.6), 0.6, 1)


# ---- the report ------------------------------------------------------------------------------------------------------


def colour_card() -> Card:
    return Card(
        format_version=1,
        role="classifier",
        name="three colours",
        architecture="none",
        input_size=(32, 32),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bilinear",
        crop_pct=1.0,
        crop_mode="squash",
        labels=(Label("red", "Red"), Label("green", "Green")),
    )


def test_a_report_says_everything_and_reads_back_the_same(tmp_path: Path, outcomes: list[Outcome]) -> None:
    lines = [ManifestLine(image=10_000 + place, sha256=f"{place}", part=TRAIN, label="red") for place in range(3)]
    lines += [ManifestLine(image=one.image, sha256=one.sha256, part=TEST, label=one.truth) for one in outcomes]
    sample = sample_of(manifest(tmp_path / "m.jsonl", lines), TEST)
    report = report_of(outcomes, card=colour_card(), version="d" * 64, sample=sample, notes=["made by hand"])
    write_json(tmp_path / "report.json", report_values(report))
    assert read_report(tmp_path / "report.json") == report
    assert report.images == 300 and report.groups == 12 and report.unknown_labels == ("blue",)
    assert {one.key: one.trained_on for one in report.classes} == {"red": 3, "green": 0, "blue": 0}
    accuracy = report.metrics["accuracy"]
    assert accuracy.interval is not None and accuracy.interval[0] < accuracy.value < accuracy.interval[1]
    assert sum(one.images for one in report.confusion) == 300
    assert 0.3 < report.majority_share < 0.4 and report.answered_labels == 3
    assert report.before is None, "nobody knows the scores before the temperature"


def test_what_is_no_report_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"format": "another"}))
    with pytest.raises(ReportError, match=r"report\.json is no report"):
        read_report(tmp_path / "report.json")
    with pytest.raises(ReportError, match="unknown key"):
        parse_report({"format": "osprey-report", "format_version": 1, "surprise": 1})


def test_outcomes_read_back_the_same_and_the_same_outcomes_are_the_same_bytes(tmp_path: Path) -> None:
    rows = [
        outcome(1, "red", "blue", group="g1", raw_score=0.7),
        Outcome(2, "ab", "", "red", "", 0.0, 0.0, 0, failure="damaged"),
    ]
    write_outcomes(tmp_path / "a.jsonl.gz", rows)
    write_outcomes(tmp_path / "b.jsonl.gz", rows)
    assert read_outcomes(tmp_path / "a.jsonl.gz") == rows
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    (tmp_path / "c.jsonl.gz").write_bytes((tmp_path / "a.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(ReportError, match="cannot be read"):
        read_outcomes(tmp_path / "c.jsonl.gz")
