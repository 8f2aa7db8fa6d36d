"""Lighter forms: integers and 16-bit weights that answer as the network they are made of, measured, and sealed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from classifier.card import ONNX, WEIGHTS, folder_digest, read_card, verify_folder
from tests.training.conftest import TINY_WORDS
from training.__main__ import main
from training.contract import ConfigError, parse_config, read_report
from training.publishing.quantise import _cut

WORDS = [*TINY_WORDS, "variants=int8,f16", "epochs=6", "lower_precision=false"]


@pytest.fixture(scope="module")
def trained(colour_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that made both; not written to afterwards."""
    import shutil

    root = Path(shutil.copytree(colour_run, tmp_path_factory.mktemp("variants") / "run"))
    assert main(["train", str(root), *WORDS]) == 0
    return root


@pytest.mark.long
def test_each_form_is_a_version_of_its_own_with_its_evidence(trained: Path) -> None:
    for name in ("int8", "f16"):
        card = verify_folder(trained / "variants" / name)
        assert card.parent_version == folder_digest(trained / "model")
        assert card.name.endswith(f", {name}") and "validation pictures, f32 on" in card.precision_evidence
        assert WEIGHTS not in card.files and card.embedding_space != read_card(trained / "model").embedding_space
        assert card.labels == read_card(trained / "model").labels


@pytest.mark.long
def test_the_table_holds_each_against_f32_on_the_same_pictures(trained: Path) -> None:
    for name in ("report.json", "report-validation.json"):
        full, *others = read_report(trained / name).variants
        assert (full.name, full.same) == ("f32", 1.0)
        assert [one.name for one in others] == ["int8", "f16"]
        assert {one.pictures for one in others} == {full.pictures}
        int8, f16 = others
        assert f16.same == 1.0 and f16.log_loss == pytest.approx(full.log_loss, abs=0.01)
        assert int8.same >= 0.9 and int8.accuracy >= full.accuracy - 0.1
        assert f16.bytes < 0.75 * full.bytes and int8.bytes < 0.75 * full.bytes
        assert all(one.milliseconds > 0 and one.digest for one in others)


@pytest.mark.long
def test_integers_are_integers_and_the_last_layer_is_none(trained: Path) -> None:
    graph = onnx.load(trained / "variants" / "int8" / ONNX).graph
    made_of = {one.name: one.data_type for one in graph.initializer}
    assert sum(kind == onnx.TensorProto.INT8 for name, kind in made_of.items() if name.endswith("_quantised")) > 5
    last = next(node for node in graph.node if "logits" in node.output)
    assert not any(name.endswith("_dequantised") for name in last.input)


@pytest.mark.long
def test_the_command_makes_them_of_any_model_folder(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "export",
        str(trained / "model"),
        "--variants",
        "f16",
        "--run",
        str(trained),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    table = json.loads(capsys.readouterr().out.splitlines()[-1])["variants"]
    assert [one["name"] for one in table] == ["f32", "f16"]
    assert table[1]["digest"] == folder_digest(tmp_path / "out" / "f16")
    assert main(words) == 1 and "versions never change" in capsys.readouterr().err
    assert main(words[:4]) == main(words[:2]) == 2


def test_a_range_is_cut_where_it_loses_least() -> None:
    random = np.random.default_rng(0)
    bell = random.normal(size=4000).astype(np.float32)
    spiked = np.concatenate([bell, np.array([1000.0], dtype=np.float32)])
    low, high = _cut(bell, float(bell.min()), float(bell.max()))
    assert high > 0.7 * bell.max() and low < 0.7 * bell.min()
    assert _cut(spiked, -3.5, 1000.0)[1] <= 1000.0


def test_there_is_no_variant_of_another_name() -> None:
    with pytest.raises(ConfigError, match="int4"):
        parse_config({"start": "nothing", "architecture": "resnet18", "variants": "int8,int4"})
