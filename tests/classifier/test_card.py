"""Cards are read loudly, and a sealed folder cannot change unnoticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from classifier.card import (
    CARD,
    ONNX,
    Card,
    folder_digest,
    parse_card,
    read_card,
    seal_folder,
    verify_folder,
    write_card,
)
from classifier.errors import CardError, DigestMismatch
from classifier.strict_json import to_json


@pytest.fixture
def folder(colour_folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "version"
    shutil.copytree(colour_folder, copy)
    for path in copy.iterdir():
        path.chmod(0o644)
    return copy


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / CARD
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_card_reads_back_as_it_was_written(folder: Path) -> None:
    card = read_card(folder)
    assert parse_card(json.loads(json.dumps(to_json(card)))) == card
    assert write_card(folder, card) == card


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "colour: unknown key"),
        ({"format_version": 99}, "format_version is 99"),
        ({"input_size": [32]}, "input_size: expected 2 values, got 1"),
        ({"input_size": [32, "x"]}, r"input_size\[1\]: expected a whole number"),
        ({"temperature": "1"}, "temperature: expected a number"),
        ({"temperature": 0}, "temperature: 0.0 must be above 0"),
        ({"crop_mode": "zoom"}, "crop_mode: 'zoom' is not one of"),
        ({"labels": [{"key": "a", "name": "A", "kind": "odd"}]}, r"labels\[0\].kind"),
        ({"labels": [{"key": "a", "name": "A"}, {"key": "a", "name": "B"}]}, "'a' is used twice"),
        ({"labels": [{"key": "a", "name": "A", "parent": "z"}], "output_count": 1}, "parent 'z'"),
        ({"label_groups": {"red": [0]}}, "label_groups: 'blue' is not in both"),
        ({"label_groups": {"red": [0], "green": [0], "blue": [1], "grey": [2]}}, "belongs to two labels"),
        ({"label_groups": {"red": [0], "green": [1], "blue": [2], "grey": [4]}}, r"outputs must be in 0\.\.3"),
        ({"precision": {"openvino": "int3"}}, "precision: 'int3'"),
        ({"role": "detector"}, "detector: a detector needs this block"),
        ({"std": [1, 0, 1]}, "std"),
    ],
)
def test_a_wrong_card_is_refused_with_the_field_that_is_wrong(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    rewrite(folder, **changes)
    with pytest.raises(CardError, match=words) as caught:
        read_card(folder)
    assert str(folder) in str(caught.value)


def test_a_missing_field_is_named(folder: Path) -> None:
    data = json.loads((folder / CARD).read_text())
    del data["mean"]
    (folder / CARD).write_text(json.dumps(data))
    with pytest.raises(CardError, match="mean: missing"):
        read_card(folder)


def test_a_folder_without_a_card_is_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="not a model folder"):
        read_card(tmp_path)


def test_one_changed_bit_is_found_and_the_file_named(folder: Path) -> None:
    content = bytearray((folder / ONNX).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / ONNX).write_bytes(content)
    with pytest.raises(DigestMismatch, match="model.onnx is damaged"):
        verify_folder(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / ONNX).unlink()
    with pytest.raises(DigestMismatch, match="model.onnx is missing"):
        verify_folder(folder)


def test_a_file_that_appeared_after_sealing_is_named(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"x")
    with pytest.raises(DigestMismatch, match="extra.bin is not listed"):
        verify_folder(folder)


def test_a_folder_is_named_by_everything_in_it(folder: Path) -> None:
    before = folder_digest(folder)
    card = read_card(folder)
    (folder / "report.json").write_text("{}")
    write_card(folder, card)
    assert folder_digest(folder) != before


def test_sealing_puts_a_folder_in_place_and_makes_its_files_read_only(folder: Path, tmp_path: Path) -> None:
    final = tmp_path / "deep" / "final"
    digest = seal_folder(folder, final)
    assert folder_digest(final) == digest
    assert not folder.exists()
    assert all(path.stat().st_mode & 0o222 == 0 for path in final.iterdir())


def test_sealing_the_same_folder_twice_is_one_folder(folder: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    final = tmp_path / "final"
    assert seal_folder(folder, final) == seal_folder(twin, final)
    assert not twin.exists()


def test_groups_default_to_one_output_a_label(folder: Path) -> None:
    card: Card = read_card(folder)
    assert card.groups() == ((0,), (1,), (2,), (3,))
    assert card.background_index() == 3
