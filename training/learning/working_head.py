"""A last layer that learns from verdicts while people work: learned, scored on later verdicts, published.

    python -m training working-head learn|score|publish FOLDER

The folder holds `verdicts.jsonl`, `embeddings.npz`, `task.json` (labels, the model folder whose embeddings these are)
and, once learned, `head.npz`. `score` reads `task.json` for the groups of the heads before it in its chain.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.card import ONNX, WEIGHTS, Card, Label, folder_digest, read_card, seal_folder, write_card
from classifier.errors import ClassifierError
from training.contract import EXIT_STATUS, LEARNED_NOTHING, ManifestLine, parse_config
from training.contract.working import GroupScore, HeadVerdict, parse_groups, read_verdicts, score_values
from training.evaluation.prequential import monitored
from training.run_folder import write_json

RECIPE = "working-head"
FEWEST_OF_A_LABEL = 2
FEWEST_WATCHED = 20
PART_WATCHED = 5  # one group in five
VERDICTS, EMBEDDINGS, TASK, HEAD, LEARNED, SCORE = (
    "verdicts.jsonl", "embeddings.npz", "task.json", "head.npz", "learned.json", "score.json"
)  # fmt: skip


class NothingToLearn(Exception):
    """The text says what is missing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Verdicts on images whose embedding is there, and those embeddings, row by row."""

    verdicts: tuple[HeadVerdict, ...]
    vectors: NDArray[np.float32]

    def only(self, chosen: NDArray[np.bool_]) -> Seen:
        kept = tuple(one for one, is_chosen in zip(self.verdicts, chosen, strict=True) if is_chosen)
        return Seen(kept, self.vectors[chosen])


@dataclass(frozen=True, slots=True)
class WorkingHead:
    """outputs = vectors @ weight.T + bias, in the order of `keys`."""

    keys: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    verdicts: int

    def answers(self, vectors: NDArray[np.float32]) -> list[str]:
        return [self.keys[one] for one in (vectors @ self.weight.T + self.bias).argmax(axis=1)]


# ---- learn -----------------------------------------------------------------------------------------------------------


def learn(folder: Path) -> WorkingHead:
    """Fit on all verdicts, with the weight decay and the temperature that one group in five likes best."""
    seen = _read(folder)
    counts = Counter(one.truth for one in seen.verdicts)
    keys = tuple(sorted(key for key, count in counts.items() if count >= FEWEST_OF_A_LABEL))
    if len(keys) < 2:
        raise NothingToLearn("Fewer than two labels have been given twice to images whose embedding is there.")
    seen = seen.only(np.array([one.truth in keys for one in seen.verdicts], dtype=bool))
    watched = np.array([_is_watched(one.group) for one in seen.verdicts], dtype=bool)
    if watched.sum() < FEWEST_WATCHED or len({one.truth for one in seen.only(~watched).verdicts}) < len(keys):
        watched[:] = False  # too little to watch on: a middling decay, scores as they come
    decay, temperature = _chosen(seen.only(~watched), seen.only(watched), keys)
    weight, bias = _fit(seen, None, keys, decay)[0]
    made = WorkingHead(keys, weight, bias, temperature, len(seen.verdicts))
    if len(set(made.answers(seen.vectors))) < 2:
        raise NothingToLearn("It gives every image the same label: the embeddings do not tell these labels apart.")
    _save(folder / HEAD, made)
    write_json(folder / LEARNED, {"verdicts": made.verdicts, "labels": len(keys), "watched": int(watched.sum())})
    return made


def _is_watched(group: str) -> bool:
    return zlib.crc32(group.encode()) % PART_WATCHED == 0


Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def _chosen(train: Seen, watched: Seen, keys: Sequence[str]) -> tuple[float, float]:
    """Weight decay and temperature."""
    from training.evaluation.calibrate import calibrate

    layer, decay = _fit(train, watched, keys, 0.0)
    if not watched.verdicts:
        return decay, 1.0
    logits = watched.vectors @ layer[0].T + layer[1]
    truth = np.array([keys.index(one.truth) for one in watched.verdicts], dtype=np.int64)
    found = calibrate(_plain_card(keys), logits, truth, [one.group for one in watched.verdicts])
    is_perfect = bool((logits.argmax(axis=1) == truth).all())
    return decay, max(1.0, found.temperature) if is_perfect else found.temperature


def _fit(train: Seen, watched: Seen | None, keys: Sequence[str], decay: float) -> tuple[Layer, float]:
    import torch

    from training.learning.head import fit_head

    config = parse_config({"recipe": "head", "start": "version", "start_from": RECIPE, "head_decay": decay})
    empty = Seen((), np.zeros((0, train.vectors.shape[1]), dtype=np.float32))
    parts = [_embeddings(one, keys) for one in (train, watched or empty)]
    found = fit_head(parts[0], parts[1], config, classes=len(keys), device=torch.device("cpu"))
    return (found.weight, found.bias), found.best.decay


def _embeddings(seen: Seen, keys: Sequence[str]) -> Any:
    from training.learning.examples import Examples
    from training.learning.head import Embeddings

    lines = tuple(
        ManifestLine(number, one.sha256, "train", group=one.group) for number, one in enumerate(seen.verdicts)
    )
    truth = np.array([keys.index(one.truth) for one in seen.verdicts], dtype=np.int64)
    weights = np.full(len(lines), 1 / max(1, len(lines)), dtype=np.float32)
    return Embeddings(Examples(lines, truth, weights), seen.vectors)


def _plain_card(keys: Sequence[str]) -> Card:
    return Card(
        format_version=1,
        role="classifier",
        name=RECIPE,
        architecture="",
        input_size=(1, 1),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bilinear",
        crop_pct=1.0,
        crop_mode="center",
        labels=tuple(Label(key, key) for key in keys),
        output_count=len(keys),
    )


# ---- score -----------------------------------------------------------------------------------------------------------


def score(folder: Path) -> dict[str, Any]:
    """The head on verdicts that it has not seen, together with the heads before it in its chain."""
    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    merges: Mapping[str, str] = task.get("merges", {})
    seen, head = _read(folder), _load(folder / HEAD)
    groups: dict[str, list[int]] = {}
    if seen.verdicts:
        for one, answer in zip(seen.verdicts, head.answers(seen.vectors), strict=True):
            counted = groups.setdefault(one.group, [0, 0, 0])
            counted[0] += 1
            counted[1] += merges.get(answer, answer) == one.truth
            counted[2] += one.before == one.truth
    own = [GroupScore(group, *counted) for group, counted in groups.items()]
    values = score_values(monitored([*parse_groups(task.get("chain", [])), *own], own))
    write_json(folder / SCORE, values)
    return values


# ---- publish ---------------------------------------------------------------------------------------------------------


def publish(folder: Path) -> str:
    """A model folder of the network there is with this last layer; its digest."""
    from training.labels import LabelSet
    from training.learning.head_onnx import with_new_head
    from training.learning.start import Start, card_for

    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    head, source = _load(folder / HEAD), Path(task["start"])
    start = Start(source.name, read_card(source), folder=source, parent=folder_digest(source))
    known = {one["key"]: Label(**one) for one in task["labels"]}
    labels = LabelSet(tuple(known.get(key, Label(key, key)) for key in head.keys))
    config = parse_config({"recipe": "head", "start": "version", "start_from": str(source)})
    card = replace(
        card_for(start, labels, config),
        name=task["name"],
        normalised_head=True,
        temperature=head.temperature,
        training_config={"recipe": RECIPE, "verdicts": head.verdicts},
        embedding_size=head.weight.shape[1],
        seed=0,
    )
    made, final = folder / ".model-making", folder / "model"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    with_new_head(source / ONNX, made / ONNX, card, weight=head.weight, bias=head.bias)
    if (source / WEIGHTS).is_file():
        from training.learning.head import Head, Tried
        from training.publishing.publish import write_head_weights

        write_head_weights(start, made, card, Head(head.weight, head.bias, Tried(0.0, 0.0, None), ()))
    write_card(made, card)
    return seal_folder(made, final) if not final.exists() else folder_digest(final)


# ---- files -----------------------------------------------------------------------------------------------------------


def _read(folder: Path) -> Seen:
    """Verdicts whose image has a stored embedding, in the order they were given."""
    verdicts = tuple(read_verdicts(folder / VERDICTS))
    path = folder / EMBEDDINGS
    if not path.exists():
        return Seen((), np.zeros((0, 1), dtype=np.float32))
    with np.load(path, allow_pickle=False) as data:
        known = dict(zip(data["sha256"].tolist(), data["vectors"].astype(np.float32), strict=True))
    there = tuple(one for one in verdicts if one.sha256 in known)
    if not there:
        return Seen((), np.zeros((0, 1), dtype=np.float32))
    return Seen(there, np.stack([known[one.sha256] for one in there]))


def _save(path: Path, head: WorkingHead) -> None:
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        np.savez(
            file,
            keys=np.array(head.keys),
            weight=head.weight.astype(np.float32),
            bias=head.bias.astype(np.float32),
            temperature=np.array(head.temperature),
            verdicts=np.array(head.verdicts),
        )
    beside.replace(path)


def _load(path: Path) -> WorkingHead:
    with np.load(path, allow_pickle=False) as data:
        return WorkingHead(
            tuple(data["keys"].tolist()),
            data["weight"],
            data["bias"],
            float(data["temperature"]),
            int(data["verdicts"]),
        )


# ---- command line ----------------------------------------------------------------------------------------------------

ACTS = {"learn": learn, "score": score, "publish": publish}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("act", choices=tuple(ACTS), help="what to do in the folder")
    parser.add_argument("folder", type=Path, help="with verdicts.jsonl, embeddings.npz and task.json")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 4 when there is nothing to learn, 1 when it cannot be done; what is wrong on standard error."""
    try:
        ACTS[arguments.act](arguments.folder)
    except NothingToLearn as reason:
        sys.stderr.write(f"{reason}\n")
        return EXIT_STATUS[LEARNED_NOTHING]
    except (ClassifierError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
