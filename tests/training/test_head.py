"""Recipe head from a run folder to a model folder that the engine runs and the site publishes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from classifier.card import ONNX, read_card, verify_folder
from classifier.engine import load_pipeline
from classifier.images import decode
from classifier.types import Answer, PipelineSpec
from tests.training.made_set import grey, make_run
from training.contract import RunConfig, parse_report, read_manifest, read_progress
from training.learning.embeddings import embed
from training.learning.examples import Examples
from training.learning.head import Embeddings, fit_head
from training.pictures import Pictures
from training.run_folder import RunFolder
from training.train import train

CPU = torch.device("cpu")


def clusters(counts: list[int], *, seed: int = 0, spread: float = 0.6) -> Embeddings:
    """Unit vectors around one direction for each label."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(counts), 16))
    truth = np.repeat(np.arange(len(counts)), counts)
    vectors = centres[truth] + random.normal(size=(len(truth), 16)) * spread * 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    examples = Examples((None,) * len(truth), truth, np.ones(len(truth), np.float32))  # type: ignore[arg-type]
    return Embeddings(examples, vectors.astype(np.float32))


def test_the_head_is_the_optimum_that_scikit_learn_finds() -> None:
    train_set = clusters([30, 30, 30])
    decay = 1e-2
    made = fit_head(train_set, clusters([0, 0, 0]), RunConfig(head_decay=decay), classes=3, device=CPU)
    centre = train_set.vectors.mean(axis=0)
    scale = np.sqrt(((train_set.vectors - centre) ** 2).sum(axis=1).mean())
    oracle = LogisticRegression(C=1 / (decay * 90), tol=1e-8, max_iter=1000)
    oracle.fit((train_set.vectors - centre) / scale, train_set.examples.truth)
    wanted = oracle.predict_proba((train_set.vectors - centre) / scale)
    found = torch.softmax(torch.from_numpy(made.logits(train_set.vectors)), dim=1).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_the_decay_is_the_one_that_validation_likes_best() -> None:
    made = fit_head(clusters([20, 20, 20]), clusters([50, 50, 50], seed=1), RunConfig(), classes=3, device=CPU)
    losses = [one.validation.loss for one in made.tried if one.validation]
    assert len(losses) == 5 and made.best.validation and made.best.validation.loss == min(losses)


def test_an_image_that_weighs_nothing_is_as_if_it_were_not_there() -> None:
    whole = clusters([30, 30])
    weights = np.ones(60, np.float32)
    weights[:10] = 0
    weighed = Embeddings(Examples(whole.examples.lines, whole.examples.truth, weights * 60 / 50), whole.vectors)
    without = Embeddings(whole.examples.only(np.arange(10, 60)), whole.vectors[10:])
    config, nothing = RunConfig(head_decay=1e-2), clusters([0, 0])
    first, second = (fit_head(one, nothing, config, classes=2, device=CPU) for one in (weighed, without))
    np.testing.assert_allclose(first.logits(whole.vectors), second.logits(whole.vectors), atol=0.02)


@pytest.mark.parametrize("setting", [{"sampler": "balanced"}, {"logit_adjustment": 1.0}, {"class_weights": "inverse"}])
def test_what_helps_rare_labels_helps_them(setting: dict[str, Any]) -> None:
    train_set, test_set = clusters([300, 8, 8], spread=1.0), clusters([200, 200, 200], seed=5, spread=1.0)

    def rare_recall(config: RunConfig) -> float:
        made = fit_head(train_set, clusters([0, 0, 0]), config, classes=3, device=CPU)
        right = made.logits(test_set.vectors).argmax(axis=1) == test_set.examples.truth
        return float(right[200:].mean())

    assert rare_recall(RunConfig(head_decay=1e-3, **setting)) > rare_recall(RunConfig(head_decay=1e-3)) + 0.1


def answers(folder: Path, run: Path) -> list[tuple[str, str]]:
    """(truth, answer) of the run's test images, by the engine."""
    _, lines = read_manifest(run / "manifest.jsonl.gz")
    pictures = Pictures.read(run)
    pipeline = load_pipeline(PipelineSpec(digest="x", classifier=folder), device="cpu")
    chosen = [line for line in lines if line.part == "test"]
    said = pipeline.recognise([decode(pictures.path_of(line), at_least=0) for line in chosen])
    return [(str(line.label), one.label) for line, one in zip(chosen, said, strict=True) if isinstance(one, Answer)]


def test_a_run_folder_goes_in_and_a_model_folder_comes_out(run_folder: Path, colour_model: Path) -> None:
    assert train(run_folder, ["recipe=head", f"start_from={colour_model}", "device=cpu", "threads=1"]) == 0
    model = run_folder / "model"
    card, parent = verify_folder(model), read_card(colour_model)
    assert [label.key for label in card.labels] == ["kind-0", "kind-1", "kind-2", "kind-3"]
    assert card.embedding_space == parent.embedding_space and card.normalised_head
    assert card.parent_version and card.snapshot and str(run_folder) not in json.dumps(dict(card.training_config))
    right = [truth == answer for truth, answer in answers(model, run_folder)]
    assert len(right) == 24 and np.mean(right) > 0.9
    report = parse_report(json.loads((run_folder / "report.json").read_text()))
    assert report.metrics["accuracy"].value == pytest.approx(np.mean(right)) and report.images == 24
    assert report.validation and "last layer is new" in " ".join(report.notes)
    ended = json.loads((run_folder / "ended.json").read_text())
    assert ended["state"] == "done" and ended["exit"] == 0
    said = [read_progress(text) for text in (run_folder / "progress.jsonl").read_text().splitlines()]
    assert sum(one.kind == "epoch" for one in said) == 5 * 3 and any(one.best for one in said)


def test_the_site_takes_what_a_run_made(run_folder: Path, colour_model: Path, settings: Any, tmp_path: Path) -> None:
    from webapp.versions.publish import store_folder

    assert train(run_folder, ["recipe=head", f"start_from={colour_model}", "device=cpu", "threads=1"]) == 0
    settings.VERSIONS_DIR = tmp_path / "versions"
    digest, card = store_folder(run_folder / "model")
    assert (tmp_path / "versions" / digest / ONNX).is_file() and len(card.labels) == 4


def test_the_same_run_twice_gives_the_same_bytes(run_folder: Path, colour_model: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run_folder, tmp_path / "other"))
    words = ["recipe=head", f"start_from={colour_model}", "device=cpu", "threads=1", "lower_precision=false"]
    assert train(run_folder, words) == train(other, words) == 0
    for name in ("model/card.json", "model/model.onnx", "outcomes-test.jsonl.gz"):
        assert (run_folder / name).read_bytes() == (other / name).read_bytes(), name


def test_stored_embeddings_are_used_and_only_missing_ones_computed(run_folder: Path, colour_model: Path) -> None:
    _, lines = read_manifest(run_folder / "manifest.jsonl.gz")
    chosen = [line for line in lines if line.part == "train"]
    stored = np.zeros((len(chosen) - 1, 3), np.float16)
    stored[:, 1] = 1
    names = np.array([line.sha256 for line in chosen[1:]])
    np.savez(run_folder / "embeddings.npz", sha256=names, vectors=stored, space=np.array("mean colour"))
    found = embed(chosen, Pictures.read(run_folder), colour_model, RunFolder(run_folder), "cpu")
    assert (found.vectors[1:] == stored).all() and len(found.positions) == len(chosen)
    assert np.linalg.norm(found.vectors[0]) == pytest.approx(1, abs=0.01) and found.vectors[0, 1] < 1


def test_embeddings_of_another_network_are_not_used(run_folder: Path, colour_model: Path) -> None:
    _, lines = read_manifest(run_folder / "manifest.jsonl.gz")
    [first] = [line for line in lines if line.part == "train"][:1]
    wrong = np.ones((1, 7), np.float16)
    np.savez(run_folder / "embeddings.npz", sha256=np.array([first.sha256]), vectors=wrong, space=np.array("other"))
    found = embed([first], Pictures.read(run_folder), colour_model, RunFolder(run_folder), "cpu")
    assert found.vectors.shape == (1, 3)
    assert "another network" in (run_folder / "progress.jsonl").read_text()


def test_a_run_that_learned_nothing_ends_so_and_publishes_nothing(tmp_path: Path, colour_model: Path) -> None:
    folder = make_run(tmp_path / "grey", train=[8, 8, 8], validation=8, test=2, side=40, draw=grey)
    assert train(folder, ["recipe=head", f"start_from={colour_model}", "device=cpu", "threads=1"]) == 4
    ended = json.loads((folder / "ended.json").read_text())
    assert ended["state"] == "learned-nothing" and "%" in ended["reason"] or "same label" in ended["reason"]
    assert not (folder / "model").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=head"], "needs start_from=PATH"),
        (["recipe=head", "start_from=/nowhere"], "not a model folder"),
        (["recipe=head", "start_from={model}", "architecture=resnet18"], "is a onnx, not a resnet18"),
        (["start_from={model}"], "only recipe=head can learn on it"),
    ],
)
def test_a_run_that_cannot_begin_says_why(
    run_folder: Path, colour_model: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(run_folder, [word.format(model=colour_model) for word in words]) == 1
    ended = json.loads((run_folder / "ended.json").read_text())
    assert ended["state"] == "failed" and said in ended["reason"]
    assert said in capsys.readouterr().err


def test_a_picture_that_is_gone_or_damaged_is_left_out(run_folder: Path, colour_model: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(json.loads((run_folder / "pictures.json").read_text())["root"], tmp_path / "store"))
    (run_folder / "pictures.json").write_text(json.dumps({"root": str(store), "ending": {"image/jpeg": ".jpg"}}))
    first, second, *_ = sorted(store.rglob("*.jpg"))
    first.write_bytes(b"no picture")
    second.unlink()
    assert train(run_folder, ["recipe=head", f"start_from={colour_model}", "device=cpu", "threads=1"]) == 0
    assert "cannot be read and is left out" in (run_folder / "progress.jsonl").read_text()
