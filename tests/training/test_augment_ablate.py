"""`python -m training ablate`: each step left out, over seeds, and ranked with intervals that count luck."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.training.made_set import store_pictures, write_run
from training.augmentation.ablate import NONE, WHOLE, AblationError, Cancelled, ablate, kinds_of, table_text, weighed
from training.augmentation.augment import planned
from training.config import read_config, write_config
from training.contract import Outcome, RunConfig, parse_config, read_manifest, write_outcomes
from training.run_folder import RunFolder

SETTINGS = {"start": "nothing", "architecture": "test_resnet", "augmentation": "light", "device": "cpu"}


def config(**settings: object) -> RunConfig:
    return parse_config({**SETTINGS, **settings})


def answered(accuracy: float, seed: int, *, images: int = 1500, groups: int = 75) -> list[Outcome]:
    """Outcomes of a version that is right so often; which images are hard is the same for all versions."""
    hard = np.random.default_rng(0).random(images)
    right = hard + 0.03 * np.random.default_rng([1, seed]).standard_normal(images) < accuracy
    return [
        Outcome(image, f"{image:064x}", f"site {image % groups}", "cat", "cat" if yes else "dog", 0.9, 0.9 * yes, 1)
        for image, yes in enumerate(right.tolist())
    ]


def runs(*accuracies: float, first: int) -> list[list[Outcome]]:
    return [answered(accuracy, first + number) for number, accuracy in enumerate(accuracies)]


def test_what_helped_comes_first_and_luck_is_not_called_help() -> None:
    found = weighed(
        {
            WHOLE: runs(0.80, 0.81, 0.80, first=0),
            "grey": runs(0.80, 0.80, 0.81, first=10),
            "crop": runs(0.70, 0.71, 0.71, first=20),
            "blur": runs(0.86, 0.86, 0.87, first=30),
            "flip": runs(0.62, 0.79, 0.84, first=40),
            NONE: runs(0.60, 0.61, 0.60, first=50),
        },
        metric="accuracy",
    )
    assert [one.step for one in found.steps] == ["crop", "flip", "grey", "blur"]
    assert [one.verdict for one in found.steps] == ["helped", "no evidence", "no evidence", "hurt"]
    crop = found.steps[0]
    assert crop.interval is not None
    assert crop.interval[0] < 0.097 < crop.interval[1]
    assert crop.gain == pytest.approx(sum(crop.by_seed) / 3)
    assert found.together is not None
    assert found.together.verdict == "helped"
    words = table_text(found)
    assert words.index("crop") < words.index("blur") < words.index("all of them")
    assert "of 4 steps that do nothing, 0.2 seem to do something" in words


def test_of_a_loss_less_is_better() -> None:
    found = weighed({WHOLE: runs(0.9, 0.9, first=0), "crop": runs(0.5, 0.51, first=9)}, metric="log_loss")
    assert (found.steps[0].gain or 0) > 0


def test_few_groups_are_said() -> None:
    few = {kind: [answered(0.8, 0, groups=4), answered(0.8, 1, groups=4)] for kind in (WHOLE, "crop")}
    assert "too few groups" in " ".join(weighed(few, metric="accuracy").notes)


def test_kinds_are_all_steps_each_left_out_and_none() -> None:
    kinds = kinds_of(config(augmentation="camera-trap"))
    assert list(kinds)[:2] == [WHOLE, "crop"]
    assert list(kinds)[-1] == NONE
    assert "infrared" in kinds
    assert "infrared" not in planned(kinds["infrared"]).names
    assert planned(kinds["infrared"]).names == tuple(name for name in planned(kinds[WHOLE]).names if name != "infrared")
    assert planned(kinds[NONE]).steps == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"augment": False}, "set augment=true"),
        ({"recipe": "head", "start": "run", "start_from": "x"}, "recipe=head"),
        ({"recipe": "sweep"}, "recipe=sweep"),
    ],
)
def test_what_varies_no_pictures_cannot_be_ablated(settings: dict[str, object], words: str) -> None:
    with pytest.raises(AblationError, match=words):
        kinds_of(config(**settings))


# ---- the runs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    lines = store_pictures(tmp_path / "store", {"train": [1, 1], "validation": [1, 1], "test": [1, 1]})
    folder = write_run(tmp_path / "run", lines, tmp_path / "store")
    write_config(RunFolder(folder).config, config(seed=4))
    return folder


class Trainer:
    """Stands where training is: notes which configs it was handed, and answers better with a crop than without."""

    def __init__(self, ends: Sequence[str] = ()) -> None:
        self.configs: list[RunConfig] = []
        self.ends = list(ends)

    def __call__(self, root: Path) -> int:
        folder = RunFolder(root)
        found = read_config(folder.config)
        self.configs.append(found)
        assert folder.pictures.exists()
        assert {line.part for line in read_manifest(folder.manifest)[1]} == {"train", "validation"}, "no test part"
        state = self.ends.pop(0) if self.ends else "done"
        crops = "crop" in planned(found).names
        write_outcomes(root / "outcomes-validation.jsonl.gz", answered(0.8 if crops else 0.6, found.seed))
        return folder.end(state, "as the test wants")


def test_every_kind_is_trained_with_every_seed_once(run_folder: Path) -> None:
    trainer = Trainer()
    found = ablate(run_folder, ["epochs=3"], seeds=2, metric="accuracy", train=trainer)
    assert [(one.seed, planned(one).names) for one in trainer.configs] == [
        (4, ("crop", "flip")), (5, ("crop", "flip")), (4, ("flip",)), (5, ("flip",)),
        (4, ("crop",)), (5, ("crop",)), (4, ()), (5, ()),
    ]  # fmt: skip
    assert {one.epochs for one in trainer.configs} == {3}
    assert [(one.step, one.verdict) for one in found.steps] == [("crop", "helped"), ("flip", "no evidence")]
    written = json.loads((run_folder / "ablation" / "ablation.json").read_text())
    assert written["steps"][0]["step"] == "crop"
    again = Trainer()
    assert ablate(run_folder, ["epochs=3"], seeds=2, metric="accuracy", train=again) == found
    assert again.configs == []


@pytest.mark.long
def test_a_stopped_ablation_goes_on(run_folder: Path) -> None:
    first = Trainer(["done", "cancelled"])
    with pytest.raises(Cancelled):
        ablate(run_folder, seeds=2, train=first)
    second = Trainer()
    ablate(run_folder, seeds=2, train=second)
    assert len(second.configs) == 7


@pytest.mark.long
def test_a_step_without_which_nothing_is_learned_comes_first(run_folder: Path) -> None:
    trainer = Trainer(["done", "done", "done", "done", "learned-nothing"])
    found = ablate(run_folder, seeds=2, metric="accuracy", train=trainer)
    assert (found.steps[0].step, found.steps[0].verdict) == ("flip", "nothing learned without it")
    assert "nothing learned without it" in table_text(found)


def test_a_failed_run_is_named(run_folder: Path) -> None:
    with pytest.raises(AblationError, match="seed-4 failed: as the test wants"):
        ablate(run_folder, seeds=2, train=Trainer(["failed"]))
    with pytest.raises(AblationError, match="at least 2 seeds"):
        ablate(run_folder, seeds=1, train=Trainer())


@pytest.mark.long
@pytest.mark.proof
def test_real_networks_are_trained_with_and_without_a_step(tmp_path: Path) -> None:
    from training.train import train

    counts = {"train": [24, 24], "validation": [12, 12], "test": [4, 4]}
    folder = write_run(tmp_path / "run", store_pictures(tmp_path / "store", counts), tmp_path / "store")
    settings = {"input_size": 64, "epochs": 6, "batch_size": 8, "augmentation": "preset: light\nwithout: [flip]"}
    write_config(RunFolder(folder).config, config(**settings, learning_rate=0.003, layer_decay=1.0))
    found = ablate(folder, seeds=2, metric="accuracy", train=lambda root: train(root, []))
    assert [one.step for one in found.steps] == ["crop"]
    assert (found.images, found.seeds) == (24, 2)
