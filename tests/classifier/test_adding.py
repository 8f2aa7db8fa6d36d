"""Versions made without training: from a hub, from a file, from somebody else's ONNX, from another site."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from classifier.adding import add_onnx, add_pretrained, export_version, import_version
from classifier.card import ONNX, WEIGHTS, file_digest, folder_digest, read_card, verify_folder
from classifier.engine import load_pipeline
from classifier.errors import CardError, DigestMismatch, ModelError, WeightsUnavailable
from classifier.types import Answer, PipelineSpec
from tests.classifier.conftest import RED, plain
from tests.classifier.stub_hub import COMMIT, stub_hub
from tests.colour_versions import make_colour_detector, make_colour_version

NAME = "test_efficientnet"
REPOSITORY = "timm/test_efficientnet.r160_in1k"


def recognise(folder: Path, role: str = "classifier") -> Answer:
    spec = PipelineSpec(digest="x", **{role: folder})  # type: ignore[arg-type]
    [answer] = load_pipeline(spec, device="cpu").recognise([plain(RED)])
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.long
def test_from_the_hub_at_a_pinned_revision(
    random_weights: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = random_weights(NAME)
    with stub_hub({f"{REPOSITORY}/model.safetensors": weights.read_bytes()}) as (address, seen):
        monkeypatch.setenv("HF_ENDPOINT", address)
        folder = add_pretrained(NAME, out=tmp_path / "versions" / NAME)
    card = verify_folder(folder)
    assert f"GET /{REPOSITORY}/resolve/{COMMIT}/model.safetensors" in seen
    assert card.origin.source == f"hub {REPOSITORY}"
    assert (card.origin.revision, card.origin.digest) == (COMMIT, file_digest(weights))
    assert card.origin.licence == "apache-2.0"
    assert len(card.labels) == 399 and card.labels[-1].name == "not an animal"
    assert set(card.files) == {ONNX, WEIGHTS}
    assert recognise(folder).label in {label.key for label in card.labels}
    assert [path.name for path in folder.parent.iterdir()] == [NAME]


def test_a_wrong_name_or_path_is_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from classifier.adding import add_pretrained
for name, weights in (("resnet18", Path("nonexistent")), ("nosuchnet", None), ("resnet_18x", None)):
    try:
        add_pretrained(name, out=Path({str(tmp_path)!r}, "made"), weights=weights)
    except Exception as error:
        print(error)
assert not {{"torch", "timm"}} & set(sys.modules)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    wrong_path, unknown, near = said.stdout.splitlines()
    assert wrong_path.startswith("nonexistent is not a file")
    assert unknown == "timm knows no architecture 'nosuchnet'. Similar names: none"
    assert "resnet" in near.partition("Similar names: ")[2]


def test_a_hub_out_of_reach_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(WeightsUnavailable, match="models add resnet18 --weights FILE"):
        add_pretrained("resnet18", out=tmp_path / "resnet18")
    assert list(tmp_path.iterdir()) == []


def test_a_hub_without_the_file_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stub_hub({}) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(WeightsUnavailable, match="--weights FILE"):
            add_pretrained("convnextv2_atto", out=tmp_path / "atto")


def test_a_name_timm_does_not_know_brings_similar_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'convnextv2_atom'. Similar names: .*convnextv2_atto"):
        add_pretrained("convnextv2_atom", out=tmp_path / "x")


@pytest.mark.long
def test_from_a_file_with_labels_of_its_own(tiny_timm: Path) -> None:
    card = read_card(tiny_timm)
    assert [label.key for label in card.labels][:2] == ["kind-0", "kind-1"]
    assert card.origin.source.startswith("file ") and len(card.origin.digest) == 64
    assert card.embedding_space and card.embedding_size > 0


def test_weights_that_hold_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"x": Path("/")}}, path)
    with pytest.raises(ModelError, match="Files that hold code are refused"):
        add_pretrained(NAME, weights=path, out=tmp_path / "out")


def test_weights_of_another_network_are_refused(random_weights: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not fit the architecture test_efficientnet"):
        add_pretrained(NAME, weights=random_weights("test_resnet"), out=tmp_path / "out")


def test_outputs_nobody_named_are_refused(random_weights: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="5 outputs.*--labels FILE"):
        add_pretrained(NAME, weights=random_weights(NAME, outputs=5), out=tmp_path / "out")
    with pytest.raises(ModelError, match="2 names were given for the 5 outputs"):
        add_pretrained(NAME, weights=random_weights(NAME, outputs=5), labels=["a", "b"], out=tmp_path / "out")


def test_a_version_is_never_written_over(colour_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Versions never change"):
        import_version(colour_folder, colour_folder)


@pytest.fixture
def foreign(colour_folder: Path, tmp_path: Path) -> tuple[Path, dict[str, object]]:
    """Somebody else's ONNX file, and what a person would write about it."""
    file = tmp_path / "theirs.onnx"
    shutil.copyfile(colour_folder / ONNX, file)
    card = {
        "name": "Theirs",
        "input_size": [32, 32],
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "interpolation": "bilinear",
        "crop_pct": 1,
        "crop_mode": "center",
        "labels": ["Red", "Green", "Blue", {"key": "none", "name": "none", "kind": "background"}],
    }
    return file, card


def write(path: Path, card: dict[str, object]) -> Path:
    path.write_text(yaml.safe_dump(card))
    return path


def test_somebody_elses_onnx_answers_in_the_same_engine(
    foreign: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    file, card = foreign
    folder = add_onnx(file, role="classifier", card_yaml=write(tmp_path / "card.yaml", card), out=tmp_path / "out")
    assert recognise(folder).label == "red"
    assert verify_folder(folder).origin.digest == file_digest(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": 1}, "colour: unknown key"),
        ({"mean": "zero"}, "mean: expected a list"),
        ({"role": "detector"}, "--role classifier"),
        ({"outputs": {"scores": "mood"}}, "no output 'mood'"),
        ({"labels": ["Red"]}, r"gives \(4,\) scores a picture, its card speaks of 1"),
        ({"input_size": [33, 32]}, r"the card's input_size is \[33, 32\]"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_and_leaves_nothing(
    foreign: tuple[Path, dict[str, object]], tmp_path: Path, change: dict[str, object], words: str
) -> None:
    file, card = foreign
    with pytest.raises((CardError, ModelError), match=words):
        add_onnx(file, role="classifier", card_yaml=write(tmp_path / "c.yaml", card | change), out=tmp_path / "o" / "x")
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())


def test_a_file_with_a_fixed_batch_size_is_refused(foreign: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    file, card = foreign
    model = onnx.load(file)
    fixed = onnx.helper.make_node("Reshape", ["pixels", "shape"], ["flat"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 3, 32, 32]), "shape"))
    model.graph.node[0].input[0] = "flat"
    model.graph.node.insert(0, fixed)
    onnx.save(model, file)
    with pytest.raises(ModelError, match="free batch size"):
        add_onnx(file, role="classifier", card_yaml=write(tmp_path / "c.yaml", card), out=tmp_path / "out")


def test_a_detector_gets_a_way_to_say_nothing(tmp_path: Path) -> None:
    theirs = make_colour_detector(tmp_path / "theirs", boxes=[[8, 16, 14, 30, 1.0, 0.9]])
    card = {
        "input_size": [32, 32],
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "interpolation": "bilinear",
        "crop_pct": 1,
        "crop_mode": "border",
        "labels": ["animal"],
        "detector": {"layout": "rows", "boxes": "found"},
    }
    yaml_file = write(tmp_path / "c.yaml", card)
    folder = add_onnx(theirs / ONNX, role="detector", card_yaml=yaml_file, out=tmp_path / "out")
    assert [label.kind for label in read_card(folder).labels] == ["normal", "background"]
    assert recognise(folder, "detector").label == "animal"


def test_an_identifier_needs_no_labels(foreign: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    file, card = foreign
    yaml_file = write(tmp_path / "c.yaml", card | {"labels": []})
    folder = add_onnx(file, role="identifier", card_yaml=yaml_file, out=tmp_path / "out")
    assert recognise(folder, "identifier").regions[0].identity_embedding is not None


def test_a_version_moves_between_sites_unchanged(colour_folder: Path, tmp_path: Path) -> None:
    taken = export_version(colour_folder, tmp_path / "stick" / "colours")
    home = import_version(taken, tmp_path / "other" / "colours")
    assert folder_digest(home) == folder_digest(colour_folder)
    assert recognise(home).label == "red"


def test_a_version_damaged_on_the_way_is_refused(tmp_path: Path) -> None:
    taken = export_version(make_colour_version(tmp_path / "mine"), tmp_path / "stick")
    (taken / ONNX).chmod(0o644)
    (taken / ONNX).write_bytes(b"")
    with pytest.raises(DigestMismatch, match="model.onnx is damaged"):
        import_version(taken, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["../../escape", "run.py", "/etc/passwd"])
def test_a_card_cannot_name_files_outside_its_folder(tmp_path: Path, name: str) -> None:
    taken = export_version(make_colour_version(tmp_path / "mine"), tmp_path / "stick")
    card = json.loads((taken / "card.json").read_text())
    card["files"][name] = "0" * 64
    (taken / "card.json").chmod(0o644)
    (taken / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="a version holds only"):
        import_version(taken, tmp_path / "other")


def test_links_are_not_followed(tmp_path: Path) -> None:
    taken = export_version(make_colour_version(tmp_path / "mine"), tmp_path / "stick")
    (taken / ONNX).rename(tmp_path / "elsewhere")
    (taken / ONNX).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link"):
        import_version(taken, tmp_path / "other")
