"""A tiny real version, evaluated, damaged and calibrated by the engine that serves it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.card import read_card, verify_folder
from tests.colour_versions import COLOURS, make_colour_version
from tests.training.outcomes import LABELS, manifest, sha
from training.__main__ import main
from training.contract import (
    TEST,
    TRAIN,
    VALIDATION,
    ManifestLabel,
    ManifestLine,
    ReportError,
    follow,
    read_outcomes,
    read_report,
)
from training.evaluation.calibrate import calibrate, calibrate_folder
from training.evaluation.corruptions import KINDS, SEVERITIES, corrupted
from training.evaluation.evaluate import evaluate
from training.pictures import Pictures

RGB = {"red": (200, 30, 40), "green": (40, 190, 50), "blue": (30, 50, 200), "grey": (90, 90, 90)}
GREY = ManifestLabel("grey", "nothing but grey", kind="background")


class Colours:
    """A few pictures of each colour in every part, in groups, and the version that tells them apart."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = make_colour_version(root / "model", temperature=2.0)
        self.lines: list[ManifestLine] = []
        self.files: dict[str, str] = {}

    def add(self, colour: str, part: str, *, drawn: str | None = None, **fields: object) -> ManifestLine:
        """One picture; `drawn` in another colour than it is said to be."""
        number = len(self.lines) + 1
        path = self.root / f"{number}.png"
        pixels = np.full((40, 48, 3), RGB[drawn or colour], np.uint8)
        pixels[::2, ::2] //= 2
        Image.fromarray(pixels).save(path)
        about = {"label": colour, "group": f"g{number % 12}", **fields}
        line = ManifestLine(image=number, sha256=sha(number), part=part, **about)  # type: ignore[arg-type]
        self.lines.append(line)
        self.files[line.sha256] = str(path)
        return line

    @property
    def manifest(self) -> Path:
        return manifest(self.root / "m.jsonl", self.lines, labels=[*LABELS, GREY])

    @property
    def pictures(self) -> Pictures:
        (self.root / "pictures.json").write_text(json.dumps({"files": self.files}))
        return Pictures.read(self.root / "pictures.json")


@pytest.fixture
def colours(tmp_path: Path) -> Colours:
    made = Colours(tmp_path)
    for _ in range(4):
        for colour in COLOURS:
            made.add(colour, TEST)
            made.add(colour, VALIDATION)
            made.add(colour, TRAIN)
    return made


def test_the_report_is_of_the_part_that_was_asked_for(colours: Colours) -> None:
    wrong = colours.add("red", TEST, drawn="blue")
    report = evaluate(
        model=colours.model, manifest=colours.manifest, pictures=colours.pictures, out=colours.root / "out", batch=5
    )
    assert report == read_report(colours.root / "out" / "report.json")
    assert (report.images, report.part, report.name) == (13, TEST, read_card(colours.model).name)
    assert report.metrics["accuracy"].value == pytest.approx(12 / 13)
    found = {one.image: one for one in read_outcomes(colours.root / "out" / "outcomes-test.jsonl.gz")}
    assert (found[wrong.image].truth, found[wrong.image].answer) == ("red", "blue")
    assert found[wrong.image].truth_rank > 1 and found[wrong.image].group == wrong.group
    assert {one.trained_on for one in report.classes} == {4}
    assert report.speed is not None and report.speed.milliseconds_whole >= report.speed.milliseconds_network > 0
    assert report.size_bytes > 1000


def test_scores_before_the_temperature_are_surer(colours: Colours) -> None:
    """The card's temperature of 2 makes scores milder; both are in the report."""
    report = evaluate(
        model=colours.model, manifest=colours.manifest, pictures=colours.pictures, out=colours.root / "out"
    )
    assert report.temperature == 2.0
    assert report.before is not None and report.after is not None
    assert report.before.ece < report.after.ece
    for one in read_outcomes(colours.root / "out" / "outcomes-test.jsonl.gz"):
        assert one.raw_score is not None and one.raw_score > one.score


def test_what_has_no_truth_is_counted_and_not_scored(colours: Colours) -> None:
    colours.add("red", TEST, cannot_tell=True)
    colours.add("grey", TEST, drawn="grey", label=None)
    missing = colours.add("green", TEST)
    Path(colours.files[missing.sha256]).unlink()
    damaged = colours.add("green", TEST)
    Path(colours.files[damaged.sha256]).write_bytes(b"no picture at all")
    report = evaluate(
        model=colours.model, manifest=colours.manifest, pictures=colours.pictures, out=colours.root / "out"
    )
    assert report.not_scored == {"cannot tell": 1, "original missing": 1}
    assert report.images == 14, "an empty picture has the background label for its truth"
    assert sum(report.failures.values()) == 1, "what cannot be recognised counts as wrong"
    assert report.metrics["accuracy"].value == pytest.approx(13 / 14)


def test_labels_merged_since_answer_together(colours: Colours) -> None:
    for line in list(colours.lines):
        if line.part == TEST and line.label == "green":
            colours.lines[colours.lines.index(line)] = ManifestLine(
                image=line.image, sha256=line.sha256, part=TEST, label="blue", group=line.group
            )
    arguments = {"model": colours.model, "manifest": colours.manifest, "pictures": colours.pictures}
    apart = evaluate(**arguments, out=colours.root / "apart")  # type: ignore[arg-type]
    merged = evaluate(**arguments, out=colours.root / "merged", merges={"green": "blue"})  # type: ignore[arg-type]
    assert apart.metrics["accuracy"].value == pytest.approx(2 / 3)
    assert merged.metrics["accuracy"].value == 1.0


def test_a_part_without_images_is_refused(colours: Colours) -> None:
    colours.lines = [line for line in colours.lines if line.part != TEST]
    with pytest.raises(ReportError, match="The test part of .* has no image whose truth is known"):
        evaluate(model=colours.model, manifest=colours.manifest, pictures=colours.pictures, out=colours.root / "out")


def test_the_command_writes_both_files_says_how_far_it_is_and_prints_the_figures(
    colours: Colours, capsys: pytest.CaptureFixture[str]
) -> None:
    _ = colours.pictures
    words = ["evaluate", colours.model, "--manifest", colours.manifest, "--pictures", colours.root / "pictures.json"]
    assert main([str(word) for word in [*words, "--out", colours.root / "out", "--part", "validation"]]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["images"] == 12 and printed["metrics"]["accuracy"]["value"] == 1.0
    assert {path.name for path in (colours.root / "out").iterdir()} == {
        "outcomes-validation.jsonl.gz",
        "progress.jsonl",
        "report-validation.json",
    }
    said = [one for _, one in follow(colours.root / "out" / "progress.jsonl")]
    assert (said[-1].stage, said[-1].done, said[-1].of) == ("evaluating", 12, 12)
    assert main([str(word) for word in ["evaluate", colours.root, *words[2:], "--out", colours.root / "out"]]) == 1
    assert "is not a model folder" in capsys.readouterr().err


# ---- corruptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_worse_the_more_severe_and_the_same_each_time(kind: str) -> None:
    random = np.random.default_rng(1)
    pixels = np.asarray(Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((240, 180)))
    before = pixels.copy()
    away = []
    for severity in SEVERITIES:
        one = corrupted(pixels, kind=kind, severity=severity, seed=3)
        assert one.shape == pixels.shape and one.dtype == np.uint8
        assert (one == corrupted(pixels, kind=kind, severity=severity, seed=3)).all()
        away.append(float(np.abs(one.astype(float) - pixels).mean()))
    assert away == sorted(away) and away[0] > 0
    assert (pixels == before).all()


def test_unknown_corruptions_are_refused() -> None:
    with pytest.raises(ValueError, match="kinds are noise, blur"):
        corrupted(np.zeros((4, 4, 3), np.uint8), kind="rain", severity=1, seed=0)


def test_robustness_is_part_of_the_report_when_asked_for(colours: Colours) -> None:
    report = evaluate(
        model=colours.model,
        manifest=colours.manifest,
        pictures=colours.pictures,
        out=colours.root / "out",
        corruption=(1, 5),
        corruption_images=6,
    )
    found = {(one.kind, one.severity): one for one in report.corruptions}
    assert set(found) == {(kind, severity) for kind in KINDS for severity in (1, 5)}
    assert {one.images for one in report.corruptions} == {6}
    assert found["blur", 1].accuracy == 1.0
    assert found["dark", 5].accuracy == 0.0, "what is nearly black is no colour"


# ---- calibration -----------------------------------------------------------------------------------------------------


def test_the_temperature_undoes_an_overconfidence_that_is_known(colours: Colours) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (4000, 3))
    powers = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (random.random(4000)[:, None] > powers.cumsum(axis=1)).sum(axis=1)
    card = read_card(make_colour_version(colours.root / "plain", background=""))
    found = calibrate(card, (3 * logits).astype(np.float32), truth, [f"g{place % 40}" for place in range(4000)])
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.before is not None and found.after is not None
    assert found.after.ece < 0.03 < found.before.ece
    assert found.log_loss_after < found.log_loss_before
    kept = [one.kept for one in found.promises if one.threshold is not None]
    assert kept == sorted(kept) and len(kept) >= 2, "the more may be wrong, the less is to be reviewed"


def test_a_calibrated_folder_is_a_new_version_with_the_same_network(
    colours: Colours, capsys: pytest.CaptureFixture[str]
) -> None:
    _ = colours.pictures
    words = ["calibrate", colours.model, "--manifest", colours.manifest, "--pictures", colours.root / "pictures.json"]
    assert main([str(word) for word in [*words, "--out", colours.root / "new"]]) == 0
    printed = json.loads(capsys.readouterr().out)
    old, new = read_card(colours.model), verify_folder(colours.root / "new")
    assert new.temperature == pytest.approx(printed["temperature"]) and new.temperature < old.temperature
    assert new.files == old.files and new.parent_version and printed["images"] == 12
    assert main([str(word) for word in [*words, "--out", colours.root / "new"]]) == 1
    assert "versions never change" in capsys.readouterr().err


def test_nothing_is_calibrated_on_what_was_trained_on(colours: Colours) -> None:
    with pytest.raises(ReportError, match="use validation"):
        calibrate_folder(model=colours.model, manifest=colours.manifest, pictures=colours.pictures, part=TRAIN)
