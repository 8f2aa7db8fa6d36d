"""Recipe fine-tune with a tiny network: what is frozen, what is taken over, what a kill costs."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from classifier.card import WEIGHTS, Label, file_digest, read_card, write_card
from classifier.errors import ModelError
from classifier.network import build, read_weights, write_weights
from tests.training.conftest import ARCHITECTURE, TINY, TINY_WORDS
from training.contract import RunConfig, follow, read_progress
from training.learning.cache import SmallCopies, inputs_of
from training.learning.checkpoint import LAST, load
from training.learning.fine_tune import Task, fine_tune, two_stage
from training.learning.freezing import find_frozen, freeze, train_mode, trainable
from training.learning.learner import Learner
from training.learning.loader import Batch
from training.learning.losses import make_loss
from training.learning.machine import Machine, in_pieces
from training.learning.schedules import Schedule
from training.learning.start import Start, build_network, find_start
from training.learning.stopping import Cancelled, LearnedNothing, Stop
from training.run_folder import RunFolder
from training.train import train

MakeTask = Callable[..., Task]
CPU = Machine(torch.device("cpu"), None)


def tiny_network(outputs: int = 3, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(replace(find_start(TINY).card, labels=labels(outputs), output_count=outputs, input_size=(32, 32)))


def labels(count: int) -> tuple[Label, ...]:
    return tuple(Label(f"kind-{number}", f"Kind {number}") for number in range(count))


def learner(config: RunConfig = TINY, *, outputs: int = 3, network: nn.Module | None = None) -> Learner:
    card = replace(find_start(TINY).card, labels=labels(outputs), output_count=outputs, input_size=(32, 32))
    loss = make_loss(config, np.full(outputs, 5))
    return Learner(network or tiny_network(outputs), card, config, CPU, Schedule(config, 10, 5), loss)


def batch(images: int = 8, *, outputs: int = 3, seed: int = 0) -> Batch:
    made = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (images, 32, 32, 3), dtype=torch.uint8, generator=made)
    return Batch(pixels, torch.arange(images) % outputs, torch.ones(images))


def parent(card_labels: int = 5, seed: int = 3) -> Start:
    """A start with tensors, as pretrained weights are."""
    card = replace(find_start(TINY).card, labels=labels(card_labels), input_size=(32, 32))
    return Start("a parent", card, tensors=tiny_network(card_labels, seed=seed).state_dict())


@pytest.mark.parametrize("stages", [2, -1])
def test_frozen_stages_stay_bit_equal_with_their_statistics(stages: int) -> None:
    made = learner(replace(TINY, frozen_stages=stages))
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    for step in range(3):
        made.step(batch(seed=step), step)
    after = made.network.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    frozen = [name for name in before if name.startswith(("conv_stem", "bn1", "blocks.0"))]
    assert frozen and not moved & set(frozen)
    assert any("running_mean" in name for name in moved) == (stages != -1)
    assert {"classifier.weight", "classifier.bias"} <= moved
    if stages == -1:
        assert moved == {"classifier.weight", "classifier.bias"}


def test_batch_norm_may_stand_still_while_everything_learns() -> None:
    made = learner(replace(TINY, freeze_batch_norm=True))
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.step(batch(), 0)
    after = made.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if "running" in name)
    assert not torch.equal(after["conv_stem.weight"], before["conv_stem.weight"])


def test_too_many_frozen_stages_are_refused_with_their_number() -> None:
    with pytest.raises(ModelError, match="this network has 7 stages"):
        find_frozen(tiny_network(), replace(TINY, frozen_stages=7))


def test_the_head_learns_alone_at_first_and_then_everything() -> None:
    made = learner(replace(TINY, head_epochs=1))
    made.begin_epoch(0)
    alone, whole = trainable(made.network)
    assert 0 < alone < whole / 50
    made.begin_epoch(1)
    assert trainable(made.network) == (whole, whole)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
def test_other_kinds_of_networks_freeze_too(name: str) -> None:
    from classifier.network import create

    network = create(name, outputs=3, input_size=(32, 32))
    frozen = find_frozen(network, replace(TINY, frozen_stages=2))
    freeze(network, frozen)
    train_mode(network, frozen)
    learning, whole = trainable(network)
    assert 0 < learning < whole and frozen.modules and not any(module.training for module in frozen.modules)


def test_deeper_layers_learn_more_slowly() -> None:
    made = learner(replace(TINY, layer_decay=0.5))
    made.step(batch(), 9)
    rates = [group["lr"] for group in made.optimizer.param_groups]
    assert min(rates) < 0.05 * max(rates)


@pytest.mark.parametrize("pieces", [2, 4])
def test_a_step_in_pieces_has_the_gradients_of_the_whole(pieces: int) -> None:
    """With BatchNorm standing still; otherwise each piece has statistics of its own."""
    config = replace(TINY, freeze_batch_norm=True)
    whole, parts = learner(config), learner(replace(config, accumulate=pieces))
    first, second = (float(made.step(batch(), 3)) for made in (whole, parts))
    assert first == pytest.approx(second, rel=1e-4)
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(parts.network.state_dict()[name], value, rtol=1e-3, atol=1e-4)


class Hungry(nn.Module):
    """Has no memory for more than three pictures at once."""

    def forward(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 3:
            raise torch.OutOfMemoryError("no memory")


def test_out_of_memory_halves_the_pieces_and_the_step_is_done() -> None:
    made = learner(replace(TINY, freeze_batch_norm=True))
    said: list[int] = []
    made.on_halving = said.append
    made.served.register_forward_pre_hook(Hungry())
    exact = learner(replace(TINY, freeze_batch_norm=True))
    assert float(made.step(batch(), 3)) == pytest.approx(float(exact.step(batch(), 3)), rel=1e-4)
    assert said == [2, 4] and made.pieces == 4
    made.step(batch(), 4)
    assert said == [2, 4], "it remembers"


def test_out_of_memory_halves_what_is_watched_at_once() -> None:
    seen: list[range] = []

    def act(chosen: slice) -> int:
        if chosen.stop - chosen.start > 3:
            raise torch.OutOfMemoryError("no memory")
        seen.append(range(chosen.start, chosen.stop))
        return len(seen[-1])

    assert sum(in_pieces(8, 16, act)) == 8 and [one.start for one in seen] == [0, 2, 4, 6]
    with pytest.raises(torch.OutOfMemoryError):
        in_pieces(2, 4, lambda chosen: act(slice(0, 9)))


@pytest.mark.parametrize("optimizer", ["sgd", "lion"])
def test_other_optimisers_of_timm_work_by_name_and_go_through_a_checkpoint(optimizer: str, tmp_path: Path) -> None:
    from training.learning.checkpoint import save

    config = replace(TINY, optimizer=optimizer)
    first, second = learner(config), learner(config, network=tiny_network(seed=9))
    first.step(batch(), 0)
    tensors, values = first.tensors()
    save(tmp_path, LAST, tensors, {"learner": values})
    saved = load(tmp_path, LAST)
    assert saved is not None
    second.restore(saved)
    for made in (first, second):
        made.step(batch(seed=1), 1)
    for name, value in first.best_network.state_dict().items():
        assert torch.equal(second.best_network.state_dict()[name], value), name


def test_an_optimiser_that_timm_does_not_know_is_refused() -> None:
    with pytest.raises(ModelError, match="optimizer=wishful"):
        learner(replace(TINY, optimizer="wishful"))


def test_other_labels_get_a_new_head_on_the_very_same_backbone(task: MakeTask) -> None:
    made = task()
    built = build_network(parent(), made.data.labels, made.config)
    assert built.backbone_tensors == built.equal_tensors > 20 and built.head == "new"
    assert built.network.get_classifier().out_features == 4  # type: ignore[operator]


def test_the_same_labels_keep_the_head(task: MakeTask) -> None:
    made = task()
    start = parent(4)
    built = build_network(start, made.data.labels, made.config)
    assert built.head == "that of the start" and start.tensors is not None
    assert torch.equal(built.network.state_dict()["classifier.weight"], start.tensors["classifier.weight"])


def test_weights_of_another_network_are_refused(task: MakeTask) -> None:
    made = task()
    other = replace(parent(), tensors={"stem.weight": torch.zeros(1)})
    with pytest.raises(ModelError, match="does not fit test_efficientnet"):
        build_network(other, made.data.labels, made.config)


def test_a_new_head_on_known_features_begins_warm(task: MakeTask) -> None:
    first: dict[bool, float] = {}
    for warm in (True, False):
        made = task(start=parent(), epochs=1, learning_rate=1e-30, frozen_stages=-1, augment=False, warm_head=warm)
        root = _folder(made.folder.root / f"warm-{warm}")
        config = replace(made.config, start="weights", start_from="x")
        trained = fine_tune(replace(made, config=config, folder=RunFolder(root)))
        assert trained.card.normalised_head == warm
        first[warm] = trained.history[0]["train_loss"]
    assert first[True] < 0.9 * first[False], "without one real step"


def test_validation_pictures_are_those_of_service_and_never_varied(task: MakeTask) -> None:
    made = task()
    card = replace(find_start(TINY).card, input_size=(32, 32))
    folder = RunFolder(made.folder.root / "elsewhere")
    (made.folder.root / "elsewhere").mkdir()
    first = inputs_of(made.data.validation.lines, made.data.pictures, card, made.folder, 1)
    second = inputs_of(made.data.validation.lines, made.data.pictures, card, folder, 2)
    assert (first.pixels == second.pixels).all() and len(first.positions) == 24


def test_small_copies_are_made_once_and_no_larger_than_needed(task: MakeTask, tmp_path: Path) -> None:
    made = task()
    [line] = made.data.train.lines[:1]
    copies = SmallCopies(tmp_path, 20, made.data.pictures)
    assert copies.make(line) and copies.read(line).shape == (20, 20, 3)
    [file] = tmp_path.rglob("*.jpg")
    before = file.stat().st_mtime_ns
    assert copies.make(line) and file.stat().st_mtime_ns == before


def test_learning_gets_better_and_the_best_epoch_is_kept(task: MakeTask) -> None:
    made = task(epochs=6, learning_rate=1e-2, ema_decay=0.0)
    trained = fine_tune(made)
    losses = [one["loss"] for one in trained.history]
    assert min(losses) < losses[0]
    kept = json.loads((made.folder.checkpoint / "best.json").read_text())
    assert kept["epoch"] == 1 + int(np.argmin(losses)) and kept["measures"]["loss"] == min(losses)
    assert float((trained.logits.argmax(axis=1) == trained.watched.truth).mean()) == pytest.approx(
        kept["measures"]["accuracy"]
    )


def test_a_profile_says_where_the_time_of_a_few_steps_goes(task: MakeTask) -> None:
    given = task(epochs=2, batch_size=8, profile_steps=2)
    fine_tune(given)
    text = (given.folder.root / "profile.txt").read_text()
    assert re.match(r"2 steps of \d+ ms, \d+% of it waiting for pictures", text) and "conv" in text
    with gzip.open(given.folder.root / "profile.json.gz") as file:
        assert json.load(file)["traceEvents"]


def test_it_stops_early_when_nothing_gets_better(task: MakeTask) -> None:
    made = task(epochs=30, learning_rate=1e-30, warmup_epochs=0.0, patience=2, metric="accuracy", ema_decay=0.0)
    fine_tune(replace(made, config=replace(made.config, freeze_batch_norm=True)))
    said = [read_progress(text) for text in made.folder.progress.read_text().splitlines()]
    assert sum(one.kind == "epoch" for one in said) <= 8


def test_a_loss_that_is_no_number_ends_at_once(task: MakeTask) -> None:
    with pytest.raises(LearnedNothing, match="no number|not numbers"):
        fine_tune(task(learning_rate=1e12, optimizer="sgd", clip_norm=0.0, epochs=5, ema_decay=0.0))


class AskedAfter(Stop):
    """Asked to stop once so many steps were done."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __getattribute__(self, name: str) -> Any:
        if name != "asked":
            return super().__getattribute__(name)
        self.steps -= 1
        return self.steps <= 0

    def check(self) -> None:
        """Before training begins nobody asks."""


def test_an_interrupted_run_ends_in_the_same_weights_as_an_unbroken_one(task: MakeTask, tmp_path: Path) -> None:
    whole = fine_tune(task(epochs=3, dropout=0.2, mixup=0.2, root=_folder(tmp_path / "whole")))
    broken = task(epochs=3, dropout=0.2, mixup=0.2, root=_folder(tmp_path / "broken"))
    for steps in (3, 4):
        with pytest.raises(Cancelled):
            fine_tune(replace(broken, stop=AskedAfter(steps)))
    resumed = fine_tune(broken)
    assert "resumed at step 7, epoch 2" in broken.folder.progress.read_text()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    assert (whole.logits == resumed.logits).all()


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(task: MakeTask, tmp_path: Path) -> None:
    root = _folder(tmp_path / "root")
    fine_tune(task(epochs=1, root=root))
    made = task(epochs=1, learning_rate=1e-4, root=root)
    fine_tune(made)
    assert "the run begins anew" in made.folder.progress.read_text()


def test_two_stages_keep_the_features_and_replace_the_head(task: MakeTask) -> None:
    made = task(recipe="two-stage", first_min_images=8, first_per_class=6, epochs=1)
    trained = two_stage(made)
    assert len(trained.card.labels) == 4
    first = made.folder.root / "first-stage" / "checkpoint" / "best.safetensors"
    assert read_weights(first)["classifier.weight"].shape[0] == 3
    said = made.folder.progress.read_text()
    assert "3 labels with 8 or more images, 18 images" in said
    epochs = [one for _, one in follow(made.folder.progress) if one.kind == "epoch"]
    assert [one.stage for one in epochs] == ["first stage, training", "training"], "both are seen where the run is"
    assert epochs[0].seconds_left == pytest.approx(len(made.data.train) / epochs[0].images_per_second)
    assert trained.words.count("tensors before the last layer equal those of the start") == 2


def test_the_second_stage_has_a_new_head_also_where_the_first_one_saw_all_labels(task: MakeTask) -> None:
    trained = two_stage(task(recipe="two-stage", first_min_images=1, first_per_class=6, epochs=1))
    first, second = trained.words.split("second stage")
    assert len(trained.card.labels) == 4 and "the last layer is new" in first and "the last layer is new" in second


@pytest.mark.long
def test_a_whole_run_publishes_a_proven_network(run_folder: Path) -> None:
    assert train(run_folder, [*TINY_WORDS, "epochs=8", "learning_rate=0.01"]) in (0, 4)
    ended = json.loads((run_folder / "ended.json").read_text())
    assert ended["state"] == "done", ended
    card = read_card(run_folder / "model")
    assert card.architecture == ARCHITECTURE and card.origin.source == "random weights"
    assert set(card.files) == {"model.onnx", WEIGHTS}
    said = (run_folder / "progress.jsonl").read_text()
    assert "on 100 pictures" in said
    report = json.loads((run_folder / "report.json").read_text())
    first = file_digest(run_folder / "model" / WEIGHTS)
    again = Path(shutil.copytree(run_folder, run_folder.with_name("again")))
    for name in ("model", "checkpoint", "cache"):
        shutil.rmtree(again / name)
    assert train(again, []) == 0, "from the config it wrote itself"
    assert file_digest(again / "model" / WEIGHTS) == first
    other = json.loads((again / "report.json").read_text())
    assert _timeless(other) == _timeless(report)


def _timeless(report: dict[str, Any]) -> dict[str, Any]:
    """Without how quick this machine was, and without the digest that dates from that."""
    return {key: value for key, value in report.items() if key not in ("speed", "version", "configuration")}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_start_from_a_weights_file_says_so(task: MakeTask, tmp_path: Path) -> None:
    write_weights(tmp_path / "parent.safetensors", tiny_network(7))
    config = replace(TINY, start="weights", start_from=str(tmp_path / "parent.safetensors"))
    start = find_start(config)
    assert start.words.startswith("pretrained: yes") and start.card.origin.source == "file parent.safetensors"
    built = build_network(start, task().data.labels, config)
    assert built.equal_tensors == built.backbone_tensors


def test_a_version_becomes_torchscript_that_answers_the_same(tmp_path: Path) -> None:
    from training.publishing.export import export_torchscript

    card = replace(find_start(TINY).card, labels=labels(3), output_count=3, input_size=(32, 32), normalised_head=True)
    (tmp_path / "model").mkdir()
    write_weights(tmp_path / "model" / WEIGHTS, tiny_network())
    write_card(tmp_path / "model", card)
    assert export_torchscript(tmp_path / "model", tmp_path / "model.pt") < 1e-3
    assert [path.name for path in tmp_path.glob("*.pt")] == ["model.pt"]
