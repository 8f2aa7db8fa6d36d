"""A head that learns from verdicts: learned on stored embeddings, scored on later ones, published as a version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifier.card import read_card
from classifier.engine import load_pipeline
from classifier.images import decode
from classifier.last_layer import read_last_layer
from classifier.types import Answer, PipelineSpec
from tests.colour_versions import make_colour_version
from training.contract import GroupScore, HeadVerdict, group_values, write_verdicts
from training.learning.working_head import NothingToLearn, learn, publish, score

COLOURS = {"cod": (0.9, 0.1, 0.1), "hake": (0.1, 0.9, 0.1), "ling": (0.1, 0.1, 0.9)}


def made(folder: Path, labels: list[str], *, seed: int = 0, before: str = "", groups: int = 10**6) -> None:
    """Verdicts on images near the colour of their label."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    raw = np.array([COLOURS[one] for one in labels]) + random.normal(0, 0.08, (len(labels), 3))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float16)
    names = [f"{seed}-{number}" for number in range(len(labels))]
    np.savez(folder / "embeddings.npz", sha256=np.array(names), vectors=vectors, space=np.array("x"))
    given = [
        HeadVerdict(name, label, f"{seed}-{number % groups}", before)
        for number, (name, label) in enumerate(zip(names, labels, strict=True))
    ]
    write_verdicts(folder / "verdicts.jsonl", given)
    (folder / "task.json").write_text("{}")


def test_it_learns_what_people_call_things_and_is_scored_on_what_it_has_not_seen(tmp_path: Path) -> None:
    made(tmp_path, ["cod", "hake", "ling"] * 60)
    head = learn(tmp_path)
    assert (head.keys, head.verdicts) == (("cod", "hake", "ling"), 180)
    assert 0.01 < head.temperature < 100
    made(tmp_path, ["cod", "hake", "ling"] * 10, seed=1, before="hake")
    found = score(tmp_path)
    assert (found["images"], found["right"], found["before"]) == (30, 30, 10)
    assert found["is_better"] and found["interval"][0] > 0
    assert json.loads((tmp_path / "score.json").read_text()) == json.loads(json.dumps(found))


def test_the_heads_before_it_in_the_chain_count_and_merged_labels_are_one(tmp_path: Path) -> None:
    made(tmp_path, ["cod", "hake"] * 40)
    learn(tmp_path)
    made(tmp_path, ["cod"] * 5, seed=1, before="cod")
    chain = group_values([GroupScore("earlier", 4, 3, 1)])
    (tmp_path / "task.json").write_text(json.dumps({"chain": chain, "merges": {"hake": "cod"}}))
    found = score(tmp_path)
    assert (found["images"], found["right"], found["before"]) == (9, 8, 6)
    assert len(found["own"]) == 5


def test_one_label_or_images_that_look_alike_teach_nothing(tmp_path: Path) -> None:
    made(tmp_path, ["cod"] * 50)
    with pytest.raises(NothingToLearn, match="two labels"):
        learn(tmp_path)
    (tmp_path / "embeddings.npz").unlink()
    with pytest.raises(NothingToLearn):
        learn(tmp_path)


def test_it_becomes_a_version_that_answers_alike_from_pixels_and_from_stored_embeddings(tmp_path: Path) -> None:
    start = make_colour_version(tmp_path / "start", embedding_space="mean colour")
    folder = tmp_path / "head"
    made(folder, ["cod", "hake", "ling"] * 40)
    learn(folder)
    labels = [{"key": key, "name": key.title(), "kind": "normal", "scientific_name": ""} for key in COLOURS]
    (folder / "task.json").write_text(json.dumps({"name": "At work", "start": str(start), "labels": labels}))
    publish(folder)
    card = read_card(folder / "model")
    assert (card.name, card.embedding_space, card.training_config["recipe"]) == (
        "At work",
        "mean colour",
        "working-head",
    )
    assert [label.name for label in card.labels] == ["Cod", "Hake", "Ling"]
    pipeline = load_pipeline(PipelineSpec("x", classifier=folder / "model"), device="cpu")
    layer = read_last_layer(folder / "model", card)
    assert layer is not None
    for key, colour in COLOURS.items():
        path = tmp_path / f"{key}.png"
        Image.new("RGB", (40, 40), tuple(int(255 * one) for one in colour)).save(path)
        [whole] = pipeline.recognise([decode(path, at_least=pipeline.at_least)])
        assert isinstance(whole, Answer)
        vector = whole.regions[0].embedding
        assert vector is not None
        [stored] = pipeline.recognise_embedded(layer(vector[None].astype(np.float32)))
        assert isinstance(stored, Answer)
        assert (whole.label, stored.label) == (key, key)
        assert stored.score == pytest.approx(whole.score, abs=2e-3)
    assert read_last_layer(start, read_card(start)) is None, "its last layer does not read what is stored"
