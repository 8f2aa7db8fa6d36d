"""Comparisons: verdicts by group, refusals, label maps, classes, slices, galleries, the command."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.outcomes import LABELS, lines_of, manifest, outcome, pair, report, sha, side
from training.__main__ import main
from training.contract import (
    TEST,
    TRAIN,
    VALIDATION,
    Comparison,
    ManifestLabel,
    ManifestLine,
    Measured,
    Outcome,
    ParetoPoint,
    ReportError,
    Speed,
    comparison_values,
    pareto,
    parse_comparison,
    read_compared,
    report_values,
    write_outcomes,
)
from training.evaluation.compare import OtherImages, Side, compare
from training.evaluation.seen import Seen, SeenImages, seen_among
from training.run_folder import write_json

Pair = tuple[list[Outcome], list[Outcome]]


def compared(path: Path, sides: Pair, **other: object) -> Comparison:
    file = manifest(path / "m.jsonl", lines_of(sides[0]))
    return compare(a=side(file, "old", sides[0]), b=side(file, "new", sides[1]), manifest=file, **other)  # type: ignore[arg-type]


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_a_clearly_better_version_is_called_better_in_a_sentence(tmp_path: Path) -> None:
    found = compared(tmp_path, pair(30, 20, 0.7, 0.85))
    accuracy = found.metrics["accuracy"]
    assert found.verdict == accuracy.verdict == "better"
    assert accuracy.interval is not None and accuracy.interval[0] > 0
    assert (
        accuracy.difference
        == pytest.approx(accuracy.b - accuracy.a)
        == pytest.approx((found.fixed - found.broken) / 600)
    )
    assert found.p is not None and found.p <= 0.05 and found.groups == 30 and found.images == 600
    assert found.sentence.startswith("new is better than old: accuracy 8")
    # Between two shares lie points: a per cent of a share is another number.
    assert " points, 95 % interval +" in found.sentence and "30 groups" in found.sentence


def test_the_other_way_round_it_is_worse(tmp_path: Path) -> None:
    a, b = pair(30, 20, 0.7, 0.85)
    there, back = compared(tmp_path, (a, b)), compared(tmp_path / "back", (b, a))
    assert back.verdict == "worse"
    assert (back.fixed, back.broken, back.p) == (there.broken, there.fixed, there.p)
    assert back.metrics["log_loss"].difference == pytest.approx(-there.metrics["log_loss"].difference)


def test_an_interval_that_holds_zero_is_no_evidence(tmp_path: Path) -> None:
    found = compared(tmp_path, pair(20, 20, 0.8, 0.8, seed=1))
    low, high = found.metrics["accuracy"].interval or (1, -1)
    assert low < 0 < high
    assert found.verdict == "no evidence"
    assert found.sentence.startswith("No evidence of a difference between new and old")


def test_under_ten_groups_nothing_is_decided_whatever_mcnemar_says(tmp_path: Path) -> None:
    found = compared(tmp_path, pair(9, 60, 0.6, 0.9))
    assert found.verdict == "too few groups"
    assert found.p is None and found.metrics["accuracy"].interval is None
    assert found.mcnemar_p < 1e-6 and found.mcnemar_note == "assumes independent images"
    assert found.sentence.startswith("Too few groups")


def test_mcnemar_never_decides(tmp_path: Path) -> None:
    """One site of twelve changed, on every image: images say much, groups say nothing."""
    a = [outcome(n, "red", "blue" if n < 40 else "red", group=f"g{n // 40}") for n in range(480)]
    found = compared(tmp_path, (a, [outcome(n, "red", "red", group=f"g{n // 40}") for n in range(480)]))
    assert found.mcnemar_p < 1e-9
    assert found.verdict == "no evidence" and found.p == 1.0


def test_images_without_a_group_are_groups_of_their_own(tmp_path: Path) -> None:
    a, b = pair(30, 10, 0.6, 0.9)
    loose = tuple([replace(one, group="") for one in rows] for rows in (a, b))
    assert compared(tmp_path, (loose[0], loose[1])).groups == 300


def test_another_figure_can_decide(tmp_path: Path) -> None:
    found = compared(tmp_path, pair(30, 20, 0.7, 0.85), decided_by="macro_f1")
    assert found.p == found.metrics["macro_f1"].p and "macro f1" in found.sentence
    with pytest.raises(ReportError, match="cannot decide"):
        compared(tmp_path, pair(30, 20, 0.7, 0.85), decided_by="beauty")


# ---- refusals --------------------------------------------------------------------------------------------------------


def refused(tmp_path: Path, seen: Seen, lines: Sequence[ManifestLine] | None = None) -> SeenImages:
    sides = pair(12, 10, 0.7, 0.8)
    file = manifest(tmp_path / "old.jsonl", [*lines_of(sides[0]), *(lines or ())])
    newer = manifest(tmp_path / "new.jsonl", lines_of(sides[0][:40]))
    new = side(file, "new", sides[1], seen=seen, trained_on=newer)
    with pytest.raises(SeenImages) as caught:
        compare(a=side(file, "old", sides[0], model="runs/old/model"), b=new, manifest=file)
    return caught.value


def test_a_version_that_was_trained_on_a_test_image_is_refused_with_an_offer(tmp_path: Path) -> None:
    error = refused(tmp_path, Seen(frozenset({sha(7), sha(10**9)})))
    assert (error.version, error.images, error.near, error.total) == ("new", (7,), (), 120)
    assert "1 of the 120 test images" in str(error)
    assert "Evaluate old, the older version, on the newer test part" in str(error)
    assert f"python -m training evaluate runs/old/model --manifest {tmp_path}/new.jsonl" in str(error)


def test_a_near_duplicate_of_a_training_image_counts_as_seen(tmp_path: Path) -> None:
    """By the clusters of the manifest that is tested on, which knows training images of later, too."""
    sides = pair(12, 10, 0.7, 0.8)
    lines = lines_of(sides[0])
    lines[4] = replace(lines[4], cluster=3)
    file = manifest(tmp_path / "m.jsonl", [*lines, ManifestLine(image=900, sha256=sha(900), part=TRAIN, cluster=3)])
    seen = Seen(frozenset({sha(900)}))
    with pytest.raises(SeenImages, match="as a near-duplicate") as caught:
        compare(a=side(file, "old", sides[0], seen=seen), b=side(file, "new", sides[1]), manifest=file)
    assert caught.value.near == (sides[0][4].image,)


def test_what_was_a_near_duplicate_then_still_is(tmp_path: Path) -> None:
    then = [
        ManifestLine(image=1, sha256=sha(5), part=TRAIN, cluster=1),
        ManifestLine(image=2, sha256=sha(7), part="left-out", left_out="beyond-count", cluster=1),
        ManifestLine(image=3, sha256=sha(8), part=TEST),
        ManifestLine(image=4, sha256=sha(9), part=VALIDATION),
    ]
    seen = seen_among(then)
    assert seen == Seen(frozenset({sha(5), sha(9)}), frozenset({sha(7)}))
    assert refused(tmp_path, Seen(frozenset({sha(10**9)}), frozenset({sha(7)}))).near == (7,)


def test_a_leak_within_one_snapshot_calls_for_a_new_one(tmp_path: Path) -> None:
    sides = pair(12, 10, 0.7, 0.8)
    file = manifest(tmp_path / "m.jsonl", lines_of(sides[0]))
    leaking = side(file, "new", sides[1], seen=Seen(frozenset({sha(1)})), trained_on=file)
    with pytest.raises(SeenImages, match="Freeze a new snapshot whose parent"):
        compare(a=side(file, "old", sides[0]), b=leaking, manifest=file)


def test_other_images_are_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    a, b = pair(12, 10, 0.7, 0.8)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    other = manifest(tmp_path / "other.jsonl", lines_of(a[:50]))
    with pytest.raises(OtherImages, match="old was evaluated on the test part of the snapshot") as caught:
        compare(a=side(other, "old", a), b=side(file, "new", b), manifest=file)
    assert f"python -m training evaluate MODEL --manifest {file}" in str(caught.value)


def test_unknown_training_is_said_and_not_refused(tmp_path: Path) -> None:
    a, b = pair(12, 10, 0.7, 0.8)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    found = compare(a=side(file, "old", a, seen=None), b=side(file, "new", b), manifest=file)
    assert not found.a.trained_on_known and found.b.trained_on_known
    assert any("What old was trained on is not recorded" in note for note in found.notes)


def test_images_that_only_one_side_has_are_left_out_and_counted(tmp_path: Path) -> None:
    a, b = pair(12, 10, 0.7, 0.8)
    found = compared(tmp_path, (a, b[5:]))
    assert found.images == 115
    assert found.notes == ("5 outcomes of one version only were left out: their originals were missing for the other.",)


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_labels_that_only_one_version_knows_are_listed_and_both_scopes_scored(tmp_path: Path) -> None:
    a, b = pair(24, 15, 0.8, 0.8)
    a = [replace(one, answer="red") if one.truth == "blue" else one for one in a]
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    found = compare(a=side(file, "old", a, labels=("red", "green")), b=side(file, "new", b), manifest=file)
    assert (found.only_a_knows, found.only_b_knows) == ((), ("blue",))
    assert found.verdict == "better", "on the whole, what the old version cannot say counts"
    assert found.intersection.verdict == "no evidence"
    assert found.intersection.images == sum(one.truth != "blue" for one in a) < found.images
    assert {one.key: one.known_to_a for one in found.classes} == {"red": True, "green": True, "blue": False}


def test_merged_labels_are_compared_under_their_name_of_today(tmp_path: Path) -> None:
    a, b = pair(12, 10, 1.0, 1.0)
    old = [replace(one, answer="crimson", top=(("crimson", 0.9),)) if one.truth == "red" else one for one in a]
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    labels = ("crimson", "green", "blue")
    merged = compare(
        a=side(file, "old", old, labels=labels), b=side(file, "new", b), manifest=file, merges={"crimson": "red"}
    )
    assert merged.metrics["accuracy"].a == 1.0 and merged.merged == {"crimson": "red"}
    assert merged.only_a_knows == merged.only_b_knows == ()
    apart = compare(a=side(file, "old", old, labels=labels), b=side(file, "new", b), manifest=file)
    assert apart.metrics["accuracy"].a < 1 and apart.only_a_knows == ("crimson",)


def test_classes_are_ranked_by_change_and_corrected_for_their_number(tmp_path: Path) -> None:
    a, b = pair(40, 15, 0.8, 0.8, seed=2)
    b = [outcome(one.image, one.truth, one.truth, group=one.group) if one.truth == "green" else one for one in b]
    found = compared(tmp_path, (a, b))
    assert [abs(one.difference) for one in found.classes] == sorted(
        (abs(one.difference) for one in found.classes), reverse=True
    )
    first = found.classes[0]
    assert (first.key, first.name, first.verdict, first.b) == ("green", "Green", "better", 1.0)
    assert first.interval is not None and first.interval[0] > 0 and first.fixed > first.broken == 0
    assert {one.verdict for one in found.classes[1:]} == {"no evidence"}
    assert all(one.p is not None and one.p_corrected is not None and one.p_corrected >= one.p for one in found.classes)
    milder = compared(tmp_path, (a, b), correction="benjamini-hochberg")
    assert milder.correction == "benjamini-hochberg" and milder.classes[0].verdict == "better"


def test_many_labels_without_a_difference_give_no_verdicts(tmp_path: Path) -> None:
    """Of 60 labels, one in twenty would look different by chance."""
    random = np.random.default_rng(4)
    rows: Pair = ([], [])
    for image in range(60 * 30):
        for found in rows:
            truth = f"label {image % 60}"
            found.append(outcome(image, truth, truth if random.random() < 0.7 else "other", group=f"g{image // 60}"))
    found = compared(tmp_path, rows)
    assert any(one.p is not None and one.p <= 0.05 for one in found.classes)
    assert {one.verdict for one in found.classes} == {"no evidence"}


def test_a_label_in_few_groups_gets_neither_interval_nor_p(tmp_path: Path) -> None:
    a, b = pair(12, 10, 0.8, 0.8)
    rare = [
        [replace(one, truth="rare", answer="rare") if one.group == "g3" else one for one in rows] for rows in (a, b)
    ]
    found = compared(tmp_path, (rare[0], rare[1]))
    one = next(one for one in found.classes if one.key == "rare")
    assert (one.groups, one.interval, one.p, one.p_corrected, one.verdict) == (1, None, None, None, "too few groups")


# ---- galleries, matrix, slices, front --------------------------------------------------------------------------------


def test_galleries_hold_what_was_fixed_broken_and_is_wrong_in_both_surest_first(tmp_path: Path) -> None:
    truth = [("red", "red"), ("blue", "red"), ("green", "red"), ("red", "blue"), ("blue", "blue")]
    a = [outcome(n, "red", first, score=0.5 + n / 10) for n, (first, _) in enumerate(truth)]
    b = [outcome(n, "red", second) for n, (_, second) in enumerate(truth)]
    found = compared(tmp_path, (a, b))
    assert (found.fixed_images, found.broken_images, found.both_wrong_images) == ((2, 1), (3,), (4,))
    assert (found.fixed, found.broken, found.both_wrong, found.both_right) == (2, 1, 1, 1)
    cells = {(one.truth, one.answer): (one.a, one.b) for one in found.matrix}
    assert cells == {("red", "red"): (2, 3), ("red", "blue"): (2, 2), ("red", "green"): (1, 0)}
    assert (found.matrix[-1].a, found.matrix[-1].b) == (2, 2), "the largest changes stand first"


def test_slices_are_by_site_camera_hour_and_quality(tmp_path: Path) -> None:
    a, b = pair(40, 10, 0.7, 0.7)
    b = [outcome(n.image, n.truth, n.truth, group=n.group) if n.image % 20 < 10 else n for n in b]
    about = [
        {
            "site_name": "river" if one.image % 20 < 10 else "hill",
            "camera": "one camera",
            "captured_at": f"2024-05-01T{one.image % 24:02d}:00:00",
            "brightness": 0.1 if one.image % 20 < 10 else 0.5,
        }
        for one in a
    ]
    lines = [replace(line, **fields) for line, fields in zip(lines_of(a), about, strict=True)]  # type: ignore[arg-type]
    file = manifest(tmp_path / "m.jsonl", lines)
    found = compare(a=side(file, "old", a), b=side(file, "new", b), manifest=file)
    by = {(one.by, one.value): one for one in found.slices}
    assert by["site", "river"].change.verdict == "better" and by["site", "hill"].change.verdict == "no evidence"
    assert by["site", "river"].images == 200 and by["light", "dark"].change == by["site", "river"].change
    assert {value for name, value in by if name == "hour"} == {
        "night 0-6",
        "morning 6-12",
        "afternoon 12-18",
        "evening 18-24",
    }
    assert not any(name == "camera" for name, _ in by), "one camera is no division"


def test_for_galleries_each_image_is_in_its_slices(tmp_path: Path) -> None:
    a, b = pair(12, 5, 0.6, 0.9)
    sites = {one.image: ("river", "hill", "")[one.image % 3] for one in a}
    lines = [replace(line, site_name=sites[line.image], brightness=0.5) for line in lines_of(a)]
    file = manifest(tmp_path / "m.jsonl", lines)
    words = [str(run_folder(tmp_path / name, name, file, rows)) for name, rows in (("old", a), ("new", b))]
    assert main(["compare", *words, "--out", str(tmp_path / "out.json.gz")]) == 0
    whole = read_compared(tmp_path / "out.json.gz")
    (by_site,) = whole.slices
    assert (by_site.by, by_site.values) == ("site", ("hill", "river")), "one light is no division"
    places = zip(whole.images, by_site.of, strict=True)
    assert {one[0]: by_site.values[place] if place >= 0 else "" for one, place in places} == sites
    assert whole.comparison is not None
    assert {one.value: one.images for one in whole.comparison.slices} == Counter(filter(None, sites.values()))


def test_the_front_leaves_out_what_another_beats_in_everything() -> None:
    points = [
        ParetoPoint("a", "exact", 0.9, 50, 100, True),
        ParetoPoint("b", "quick", 0.8, 5, 100, True),
        ParetoPoint("c", "beaten", 0.8, 6, 100, True),
        ParetoPoint("d", "same as b", 0.8, 5, 100, True),
    ]
    assert [one.on_front for one in pareto(points)] == [True, True, False, True]
    a_few_labels_less = ParetoPoint("e", "worse, slower, hardly smaller", 0.7, 60, 9_990, True)
    good = ParetoPoint("f", "good", 0.9, 50, 10_000, True)
    assert [one.on_front for one in pareto([good, a_few_labels_less])] == [True, False]
    same_network_again = ParetoPoint("g", "less right, hardly quicker", 0.8, 47, 10_000, True)
    assert [one.on_front for one in pareto([good, same_network_again])] == [True, False]


def test_settings_that_differ_are_listed(tmp_path: Path) -> None:
    a, b = pair(12, 10, 0.7, 0.8)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    sides = [
        Side(report(file, name, configuration=settings), rows)
        for name, settings, rows in (
            ("old", {"epochs": 5, "seed": 1}, a),
            ("new", {"epochs": 9, "seed": 1, "mixup": 0.2}, b),
        )
    ]
    found = compare(a=sides[0], b=sides[1], manifest=file)
    assert [(one.key, one.a, one.b) for one in found.settings] == [("epochs", 5, 9), ("mixup", None, 0.2)]


# ---- the command, and size -------------------------------------------------------------------------------------------


def run_folder(path: Path, name: str, file: Path, outcomes: Sequence[Outcome]) -> Path:
    speed = Speed("cpu", "openvino f32 CPU", 8, 90.0, 11.0, 9.0)
    made = report(file, name, speed=speed, metrics={"accuracy": Measured(0.5)})
    write_json(path / "report.json", report_values(made))
    write_outcomes(path / "outcomes-test.jsonl.gz", outcomes)
    (path / "manifest.jsonl").write_bytes(file.read_bytes())
    return path


def test_the_command_prints_what_scripts_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair(15, 20, 0.6, 0.9)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    words = [str(run_folder(tmp_path / name, name, file, rows)) for name, rows in (("old", a), ("new", b))]
    assert main(["compare", *words, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["metrics"]["accuracy"]) >= {"a", "b", "difference", "interval"}
    assert {"p", "groups", "mcnemar_p", "verdict", "fixed", "broken"} <= set(printed)
    assert printed["verdict"] == "better" and printed["groups"] == 15
    assert comparison_values(parse_comparison(printed)) == printed
    assert main(["compare", *words]) == 0
    assert "assumes independent images" in capsys.readouterr().out


def test_the_command_refuses_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = pair(15, 20, 0.6, 0.9)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    trained = manifest(tmp_path / "trained.jsonl", [replace(line, part=TRAIN) for line in lines_of(a[:3])])
    words = [str(run_folder(tmp_path / name, name, file, rows)) for name, rows in (("old", a), ("new", b))]
    assert main(["compare", *words, "--a-trained-on", str(trained)]) == 1
    assert "old saw 3 of the 300 test images" in capsys.readouterr().err


def test_for_programs_one_file_holds_the_comparison_with_every_image_or_the_refusal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = pair(15, 20, 0.6, 0.9)
    file = manifest(tmp_path / "m.jsonl", lines_of(a))
    words = [str(run_folder(tmp_path / name, name, file, rows)) for name, rows in (("old", a), ("new", b))]
    out = tmp_path / "out.json.gz"
    assert main(["compare", *words, "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    whole = read_compared(out)
    assert whole.comparison is not None and whole.refusal is None and len(whole.images) == 300
    assert not whole.slices, "nothing divides these images"
    right = [(whole.labels[t], whole.labels[x], whole.labels[y]) for _, t, x, y, _, _ in whole.images]
    assert sum(x != t == y for t, x, y in right) == whole.comparison.fixed
    trained = manifest(tmp_path / "trained.jsonl", [replace(line, part=TRAIN) for line in lines_of(a[:3])])
    assert main(["compare", *words, "--b-trained-on", str(trained), "--out", str(out)]) == 1
    refusal = read_compared(out).refusal
    assert refusal is not None and read_compared(out).comparison is None
    assert (refusal.code, refusal.side, refusal.images, refusal.total) == ("seen-images", "b", 3, 300)
    out.write_bytes(out.read_bytes()[:50])
    with pytest.raises(ReportError, match="Compare the versions again"):
        read_compared(out)


@pytest.mark.long
@pytest.mark.proof
def test_100_000_images_of_1_000_labels_are_compared_in_seconds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    count, labels = 100_000, [f"label {place}" for place in range(1000)]
    truth = [labels[place] for place in random.integers(0, 1000, count)]
    groups = random.integers(0, 20_000, count).tolist()
    rows: Pair = ([], [])
    for found, share in zip(rows, (0.70, 0.71), strict=True):
        right = (random.random(count) < share).tolist()
        other = random.integers(0, 1000, count).tolist()
        found += [
            outcome(
                place, truth[place], truth[place] if right[place] else labels[other[place]], group=f"g{groups[place]}"
            )
            for place in range(count)
        ]
    known = [ManifestLabel(key, key) for key in labels]
    file = manifest(tmp_path / "m.jsonl", lines_of(rows[0]), labels=[*LABELS, *known])
    sides = [side(file, name, found, labels=labels) for name, found in zip(("old", "new"), rows, strict=True)]
    begun = time.process_time()
    found = compare(a=sides[0], b=sides[1], manifest=file)
    assert found.verdict == "better" and len(found.classes) == 1000
    assert time.process_time() - begun < 30
