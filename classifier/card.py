"""A model folder: its card, read and written loudly, and the digests that make it immutable."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from classifier.errors import CardError, DigestMismatch
from classifier.strict_json import FieldError, from_json, to_json

FORMAT_VERSION = 1
CARD = "card.json"
WEIGHTS = "weights.safetensors"
ONNX = "model.onnx"

LabelKind = Literal["normal", "background", "unknown", "ignore"]
Role = Literal["classifier", "detector", "identifier", "external"]


@dataclass(frozen=True, slots=True)
class Label:
    """One answer a version can give; `key` never changes, `parent` is the key of a label or ancestor, or ''."""

    key: str
    name: str
    kind: LabelKind = "normal"
    synonyms: tuple[str, ...] = ()
    parent: str = ""
    scientific_name: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which an answer counts; None where nothing was measured."""

    typical: float | None = None
    conservative: float | None = None
    background: float = 0.5
    open_set: float | None = None
    open_set_prior: float | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """Which tensor of the network is what; '' where it has none. `scores` are logits unless said otherwise."""

    scores: str = "logits"
    scores_are: Literal["logits", "probabilities"] = "logits"
    embedding: str = "embedding"
    features: str = "features"


@dataclass(frozen=True, slots=True)
class DetectorHead:
    """How to read boxes from a detector's tensors.

    `rows` is one tensor of boxes x (4 box values, objectness, one score a label); `columns` is (4 box values, one
    score a label) x boxes; `separate` has boxes, scores and, unless scores hold one column a label, labels.
    """

    layout: Literal["rows", "columns", "separate"]
    box_form: Literal["center", "corners"] = "center"
    box_unit: Literal["pixels", "relative"] = "pixels"
    boxes: str = ""
    scores: str = ""
    labels: str = ""
    first_label: int = 0
    score_threshold: float = 0.2
    iou_threshold: float = 0.45
    most_boxes: int = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the starting weights came from, and on what terms."""

    licence: str = ""
    source: str = ""
    revision: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything needed to ask a network correctly and to say where it came from.

    `input_size` is height, width. `labels` are in the order of the scores; `ancestors` are the inner labels of their
    tree and never answers. `label_groups` gives for a label key the network outputs whose probabilities add up;
    empty means output i is label i. `precision` is by back end. `embedding_space` names the backbone by digest:
    versions that share it share stored embeddings. `normalised_head`: the last layer reads the L2-normalised embedding,
    as stored ones are. `files` are SHA-256 digests of all other files of the folder.
    """

    format_version: int
    role: Role
    name: str
    architecture: str
    input_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    crop_pct: float
    crop_mode: Literal["center", "squash", "border"]
    labels: tuple[Label, ...]
    ancestors: tuple[Label, ...] = ()
    label_groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    output_count: int = 0
    outputs: Outputs = Outputs()
    detector: DetectorHead | None = None
    temperature: float = 1.0
    precision: Mapping[str, str] = field(default_factory=dict)
    precision_evidence: str = ""
    thresholds: Thresholds = Thresholds()
    snapshot: str = ""
    parent_version: str = ""
    training_config: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    origin: Origin = Origin()
    embedding_space: str = ""
    embedding_size: int = 0
    normalised_head: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""

    def groups(self) -> tuple[tuple[int, ...], ...]:
        """For each label, in order, the outputs whose probabilities add up."""
        if not self.label_groups:
            return tuple((index,) for index in range(len(self.labels)))
        return tuple(self.label_groups[label.key] for label in self.labels)

    def background_index(self) -> int | None:
        """Position of the label that says "nothing we look for", if this version has one."""
        return next((i for i, label in enumerate(self.labels) if label.kind == "background"), None)


def parse_card(data: object, *, origin: str = CARD) -> Card:
    """A checked card from decoded JSON or YAML; `origin` is what error messages call it."""
    version = data.get("format_version") if isinstance(data, Mapping) else None
    if version != FORMAT_VERSION:
        raise CardError(
            f"{origin}: format_version is {version!r}, this Osprey reads {FORMAT_VERSION}. "
            "Use the Osprey that wrote it, or write the card anew."
        )
    try:
        card = from_json(Card, data)
    except FieldError as error:
        raise CardError(f"{origin}: {error}") from error
    fault = next(_faults(card), None)
    if fault:
        raise CardError(f"{origin}: {fault}")
    return card


def _faults(card: Card) -> Iterator[str]:
    keys = [label.key for label in (*card.labels, *card.ancestors)]
    twice = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
    if twice:
        yield f"labels: the key {twice[0]!r} is used twice"
    orphans = [label for label in (*card.labels, *card.ancestors) if label.parent and label.parent not in keys]
    if orphans:
        yield f"labels: the parent {orphans[0].parent!r} of {orphans[0].key!r} is not a label or ancestor"
    if sum(label.kind == "background" for label in card.labels) > 1:
        yield "labels: more than one has the kind background"
    if card.role in ("classifier", "detector") and not card.labels:
        yield f"labels: a {card.role} needs at least one"
    if card.role == "detector" and card.detector is None:
        yield "detector: a detector needs this block; it says how to read its boxes"
    if min(card.input_size) < 1:
        yield f"input_size: {list(card.input_size)} is not a size"
    if min(card.std) <= 0:
        yield f"std: {list(card.std)} must be above 0"
    if not 0 < card.crop_pct <= 1:
        yield f"crop_pct: {card.crop_pct} is not in 0..1"
    if card.temperature <= 0:
        yield f"temperature: {card.temperature} must be above 0"
    wrong = sorted(set(card.precision.values()) - {"f32", "bf16", "f16"})
    if wrong:
        yield f"precision: {wrong[0]!r} is not one of 'f32', 'bf16', 'f16'"
    yield from _group_faults(card)


def _group_faults(card: Card) -> Iterator[str]:
    keys = {label.key for label in card.labels}
    if not card.label_groups:
        if card.role == "classifier" and card.output_count not in (0, len(card.labels)):
            yield f"output_count: {card.output_count} outputs for {len(card.labels)} labels need label_groups"
        return
    if set(card.label_groups) != keys:
        odd = sorted(set(card.label_groups) ^ keys)[0]
        yield f"label_groups: {odd!r} is not in both labels and label_groups"
    used = [index for group in card.label_groups.values() for index in group]
    if len(used) != len(set(used)):
        yield "label_groups: an output belongs to two labels"
    if used and (min(used) < 0 or max(used) >= card.output_count):
        yield f"label_groups: outputs must be in 0..{card.output_count - 1} (output_count)"
    empty = sorted(key for key, group in card.label_groups.items() if not group)
    if empty:
        yield f"label_groups: {empty[0]!r} has no outputs"


def read_card(folder: Path) -> Card:
    """The card of a model folder, or CardError with the field that is wrong."""
    path = folder / CARD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CardError(f"{folder} is not a model folder: it has no {CARD}") from error
    except ValueError as error:
        raise CardError(f"{path} is not JSON: {error}") from error
    return parse_card(data, origin=str(path))


def write_card(folder: Path, card: Card) -> Card:
    """Write the card of a folder that is still being made, with the digests of every file in it; returns that card."""
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in _files_of(folder)}
    sealed = parse_card(to_json(replace(card, files=files)), origin="the card to write")
    text = json.dumps(to_json(sealed), indent=1, ensure_ascii=False, sort_keys=True)
    (folder / CARD).write_text(text + "\n", encoding="utf-8")
    return sealed


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / CARD)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """The name of a model folder: SHA-256 of its card, which holds the digest of every other file."""
    return file_digest(folder / CARD)


def verify_folder(folder: Path, *, only: Iterable[str] | None = None) -> Card:
    """Read the card and hash the files (all, or `only` those about to be read); DigestMismatch names the bad one."""
    card = read_card(folder)
    if only is None:
        listed = set(card.files)
        for path in _files_of(folder):
            if path.relative_to(folder).as_posix() not in listed:
                raise DigestMismatch(f"{path} is not listed in {CARD}: the folder was changed after it was sealed")
    for name in card.files if only is None else only:
        _verify_file(folder / name, card.files.get(name))
    return card


def _verify_file(path: Path, expected: str | None) -> None:
    if expected is None:
        raise DigestMismatch(f"{path} is not listed in {CARD}")
    if not path.is_file():
        raise DigestMismatch(f"{path} is missing. Fetch or import this version again.")
    found = file_digest(path)
    if found != expected:
        raise DigestMismatch(
            f"{path} is damaged: its SHA-256 begins {found[:12]}, the card says {expected[:12]}. "
            "Fetch or import this version again."
        )


def seal_folder(tmp: Path, final: Path) -> str:
    """Make a finished folder durable and put it in place in one step; returns its digest.

    If `final` already is the very same folder, `tmp` is dropped: sealing twice is one folder.
    """
    digest = folder_digest(tmp)
    for path in (*_files_of(tmp), tmp / CARD):
        path.chmod(0o444)
        _fsync(path)
    _fsync(tmp)
    final.parent.mkdir(parents=True, exist_ok=True)
    if (final / CARD).is_file() and folder_digest(final) == digest:
        shutil.rmtree(tmp)
        return digest
    tmp.rename(final)
    _fsync(final.parent)
    return digest


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
