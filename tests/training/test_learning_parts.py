"""Losses, samplers, schedules, mixing, labels: each against what it should be by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.made_set import colours, make_run
from training.contract import ConfigError, ManifestHead, ManifestLabel, ManifestLine, RunConfig
from training.labels import LabelsError, label_set
from training.learning.examples import gather, read_weights
from training.learning.learned_nothing import reason_of
from training.learning.losses import class_weights, make_loss
from training.learning.measures import is_better, measure
from training.learning.mixing import mix
from training.learning.samplers import batches_of, epoch_order, exposure, exposure_words
from training.learning.schedules import Schedule
from training.pictures import Pictures

CONFIG = RunConfig()
COUNTS = np.array([90, 9, 1])


def test_the_plain_loss_is_that_of_torch() -> None:
    logits, truth = torch.randn(8, 3), torch.randint(0, 3, (8,))
    loss = make_loss(replace(CONFIG, label_smoothing=0.1), COUNTS)
    wanted = torch.nn.functional.cross_entropy(logits, truth, label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, loss.targets(truth), torch.ones(8)), wanted)


def test_logit_adjustment_lifts_rare_labels() -> None:
    """At equal logits while learning, the gradient pushes a rare label's logit up more than a common one's."""
    loss = make_loss(replace(CONFIG, logit_adjustment=1.0), COUNTS)
    flat = torch.zeros(3, 3)
    losses = [loss(flat[:1], loss.targets(torch.tensor([one])), torch.ones(1)).item() for one in range(3)]
    torch.testing.assert_close(losses, [-float(np.log(share)) for share in COUNTS / 100], rtol=1e-5, atol=1e-6)


def test_focal_loss_looks_away_from_what_is_easy() -> None:
    plain, focal = make_loss(CONFIG, COUNTS), make_loss(replace(CONFIG, loss="focal"), COUNTS)
    sure = torch.tensor([[5.0, 0.0, 0.0]])
    target, one = plain.targets(torch.tensor([0])), torch.ones(1)
    assert focal(sure, target, one) < 0.01 * plain(sure, target, one)


@pytest.mark.parametrize("way", ["inverse", "effective"])
def test_class_weights_average_to_one_over_the_images(way: str) -> None:
    weights = class_weights(replace(CONFIG, class_weights=way), COUNTS)  # type: ignore[arg-type]
    assert weights[2] > weights[1] > weights[0]
    assert (weights * COUNTS).sum() / COUNTS.sum() == pytest.approx(1)


def test_a_balanced_sampler_shows_all_labels_alike() -> None:
    truth = np.repeat(np.arange(3), COUNTS)
    shown = {
        name: np.bincount(truth[epoch_order(truth, replace(CONFIG, sampler=name), 0)], minlength=3)  # type: ignore[arg-type]
        for name in ("natural", "square-root", "balanced")
    }
    assert shown["natural"].tolist() == COUNTS.tolist()
    assert shown["balanced"].min() >= 33 and shown["balanced"].max() <= 34
    roots = 100 * np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()
    assert np.abs(shown["square-root"] - roots).max() <= 1
    assert exposure(truth, "balanced")[truth == 2].sum() == pytest.approx(1 / 3)


def test_a_sampler_says_what_it_makes_of_the_labels() -> None:
    truth = np.repeat([0, 1, 3], [60, 30, 3])
    words = exposure_words(truth, "balanced")
    assert words == "balanced sampling: in an epoch each label is seen 31.0 to 31.0 times, where it has 3 to 60 images"
    assert "seen 10.8 to 48.2 times" in exposure_words(truth, "square-root")


def test_an_epoch_is_the_same_for_the_same_seed_and_another_for_the_next() -> None:
    truth = np.arange(50) % 3
    assert (epoch_order(truth, CONFIG, 4) == epoch_order(truth, CONFIG, 4)).all()
    assert (epoch_order(truth, CONFIG, 4) != epoch_order(truth, CONFIG, 5)).any()


def test_two_devices_share_each_step() -> None:
    order = np.arange(21)
    alone = batches_of(order, batch=8)
    both = [batches_of(order, batch=8, rank=rank, world=2) for rank in range(2)]
    assert len(alone) == 2 and all(len(part) == 2 for part in both)
    for step, whole in enumerate(alone):
        assert np.concatenate([part[step] for part in both]).tolist() == whole.tolist()


def rates(**settings: object) -> np.ndarray:
    config = replace(CONFIG, **settings)  # type: ignore[arg-type]
    schedule = Schedule(config, steps=100, epoch_steps=10)
    return np.array([schedule.factor(step) for step in range(100)])


def test_the_cosine_warms_up_and_falls_to_its_end() -> None:
    found = rates(warmup_epochs=1.0)
    assert found[0] < 0.15 and found[10] == pytest.approx(1, abs=0.01) and found[-1] == pytest.approx(0.01, abs=0.01)
    assert (np.diff(found[:10]) > 0).all() and (np.diff(found[11:]) < 0).all()


def test_warm_restarts_come_when_they_should_and_grow() -> None:
    found = rates(warmup_epochs=0.0, restart_epochs=2.0, restart_growth=2.0)
    assert [int(step) + 1 for step in np.flatnonzero(np.diff(found) > 0.5)] == [20, 60]
    assert found[20] == found[60] == 1.0


def test_one_cycle_goes_up_once_and_down_once_and_momentum_against_it() -> None:
    found = rates(schedule="one-cycle")
    assert found.argmax() == 25 and found[0] == pytest.approx(1 / 25) and found[-1] < 0.02
    schedule = Schedule(replace(CONFIG, schedule="one-cycle"), steps=100, epoch_steps=10)
    assert schedule.momentum(25) == pytest.approx(0.8) and schedule.momentum(99) > 0.89


def test_cutmix_says_the_share_that_is_really_left() -> None:
    pixels = torch.zeros(4, 3, 16, 16)
    pixels[2:] = 1
    targets = torch.eye(2)[[0, 0, 1, 1]]
    for seed in range(5):
        made, mixed = mix(pixels, targets, replace(CONFIG, cutmix=1.0), np.random.default_rng(seed))
        torch.testing.assert_close(made.mean(dim=(1, 2, 3)), mixed[:, 1])


def test_mixup_blends_pictures_and_truth_alike() -> None:
    pixels = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    made, mixed = mix(pixels, torch.eye(4), replace(CONFIG, mixup=0.4), np.random.default_rng(1))
    torch.testing.assert_close(made[:, 0, 0, 0], mixed @ torch.arange(4.0))


def line(number: int, label: str | None, part: str = "train", **more: object) -> ManifestLine:
    return ManifestLine(image=number, sha256=f"{number:064d}", part=part, label=label, **more)  # type: ignore[arg-type]


HEAD = ManifestHead(
    project="p",
    seed=0,
    labels=(
        ManifestLabel("cats", "Cats"),
        ManifestLabel("lynx", "Lynx", parent="cats"),
        ManifestLabel("wolf", "Wolf"),
        ManifestLabel("empty", "Empty", kind="background"),
        ManifestLabel("person", "Person", kind="ignore"),
    ),
)


def test_labels_are_those_with_training_images_and_an_empty_image_is_the_background() -> None:
    lines = [line(1, "lynx"), line(2, "wolf"), line(3, None), line(4, "person"), line(5, "lynx")]
    found = label_set(HEAD, lines)
    assert found.keys == ("lynx", "wolf", "empty")
    assert [label.key for label in found.ancestors] == ["cats"] and found.labels[0].parent == "cats"
    assert label_set(HEAD, [*lines, line(6, "wolf")], min_images=2).keys == ("lynx", "wolf")


def test_too_few_labels_are_refused_with_their_counts() -> None:
    with pytest.raises(LabelsError, match="lynx: 2, wolf: 1"):
        label_set(HEAD, [line(1, "lynx"), line(2, "lynx"), line(3, "wolf")], min_images=2)


def test_individuals_are_answers_where_the_snapshot_says_so() -> None:
    head = replace(HEAD, class_by="individual")
    lines = [line(1, "lynx", individual="u2"), line(2, "lynx", individual="u1"), line(3, "lynx")]
    assert label_set(head, lines).keys == ("u1", "u2")


def test_a_balanced_subset_is_drawn_by_seed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", train=[12, 8, 3, 1], validation=1, test=1, side=16, draw=colours)
    config = replace(CONFIG, min_images=3, per_class=3)
    pictures = Pictures.read(folder)
    found = gather(folder / "manifest.jsonl.gz", pictures, config)
    assert found.train.counts(3).tolist() == [3, 3, 3] and len(found.labels) == 3
    assert len(found.validation) == 3, "a label that is left out is not validated on"
    again = gather(folder / "manifest.jsonl.gz", pictures, config)
    other = gather(folder / "manifest.jsonl.gz", pictures, replace(config, seed=1))
    assert found.train.lines == again.train.lines != other.train.lines


def test_weights_of_images_come_from_a_file_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text("file,label,weight\n1.jpg,kind-0,0.5\n")
    assert read_weights(path) == {"1.jpg": 0.5}
    folder = make_run(tmp_path / "run", train=[2, 2], validation=1, test=1, side=16, draw=colours)
    config = replace(CONFIG, image_weights=str(path))
    found = gather(folder / "manifest.jsonl.gz", Pictures.read(folder), config)
    assert found.train.weights.tolist() == [0.5, 1, 1, 1]
    path.write_text("\ufeffImage;Id;weight\r\n1.jpg;a, b;0.5\r\n", encoding="utf-8")
    assert read_weights(path) == {"1.jpg": 0.5}, "as a spreadsheet writes it"
    path.write_text("file,weight\nanother.jpg,0.5\n")
    with pytest.raises(ConfigError, match="names none of the training images"):
        gather(folder / "manifest.jsonl.gz", Pictures.read(folder), config)
    path.write_text("file,weight\n1.jpg,-1\n")
    with pytest.raises(ConfigError, match="line 2 of .* has the weight '-1'"):
        read_weights(path)


def test_what_learned_nothing_is_told_from_what_favours_rare_labels() -> None:
    truth = np.repeat([0, 1, 2], [90, 20, 20])
    always = np.tile([1.0, 0, 0], (130, 1))
    assert "the same label" in reason_of(always, truth)
    assert "not numbers" in reason_of(np.full((130, 3), np.nan), truth)
    by_chance = np.random.default_rng(0).normal(size=(130, 3))
    assert "no better than chance" in reason_of(by_chance, truth)
    rare = np.eye(3)[truth] * 5
    rare[:60, 1] = 9
    assert measure(rare, truth).accuracy < 90 / 130 and reason_of(rare, truth) == ""


def test_of_equal_accuracies_the_lower_loss_is_better_and_no_number_never_is() -> None:
    truth = np.array([0, 1])
    unsure, sure = measure(np.eye(2), truth), measure(5 * np.eye(2), truth)
    broken = measure(np.full((2, 2), np.nan), truth)
    assert is_better("accuracy", sure, unsure) and not is_better("accuracy", unsure, sure)
    assert not is_better("accuracy", broken, None) and is_better("loss", unsure, None)
