"""A temperature that makes scores mean what they say, and thresholds that keep a promise, from the validation part.

    python -m training calibrate MODEL --manifest FILE --pictures FILE --out FOLDER

Prints both as JSON; `--out` writes a new model folder that has them on its card. Nothing else of the version changes,
so its answers are the same, but for the background label, which is weighed against a threshold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classifier.calibration import HIGHEST, LOWEST
from classifier.card import Card, folder_digest, read_card, seal_folder, write_card
from classifier.errors import ClassifierError
from classifier.scores import Scorer
from classifier.strict_json import to_json
from training.contract import TRAIN, VALIDATION, ManifestError, Outcome, Promise, Reliability, ReportError
from training.evaluation.recognising import Recogniser
from training.evaluation.reliability import promises, reliability
from training.evaluation.samples import sample_of
from training.evaluation.tables import table_of
from training.pictures import Pictures, PicturesError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.float32]

# Doubtful answers go to a person: at most this share of the others is wrong.
TYPICAL, CONSERVATIVE = 0.05, 0.01
_GOLDEN = (5**0.5 - 1) / 2
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Calibration:
    """The best temperature, what it makes of the reliability, and the thresholds that follow."""

    images: int
    groups: int
    temperature: float
    log_loss_before: float
    log_loss_after: float
    before: Reliability | None
    after: Reliability | None
    promises: tuple[Promise, ...]

    def threshold(self, at_most: float) -> float | None:
        return next((one.threshold for one in self.promises if one.at_most == at_most), None)


def calibrate(card: Card, outputs: Rows, truth: NDArray[np.integer], group: list[str]) -> Calibration:
    """`outputs` are the network's (rows), `truth` places among the card's labels, `group` names by image."""
    if not len(outputs):
        raise ReportError("No image of this part shows a label that the version knows: there is nothing to fit.")
    if card.outputs.scores_are != "logits":
        raise ReportError(f"{card.name} gives probabilities, not logits: a temperature cannot be put on them.")
    loss = _Loss(card, outputs, truth)
    temperature = loss.lowest()
    before = _scores(card, outputs, 1.0)
    after = _scores(card, outputs, temperature)
    table = table_of(
        [
            Outcome(place, "", name, str(right), str(int(row.argmax())), float(row.max()), float(row[right]), 0)
            for place, (row, right, name) in enumerate(zip(after, truth.tolist(), group, strict=True))
        ]
    )
    right = np.asarray(before.argmax(axis=1) == truth)
    return Calibration(
        images=len(outputs),
        groups=table.groups,
        temperature=temperature,
        log_loss_before=loss(1.0),
        log_loss_after=loss(temperature),
        before=reliability(before.max(axis=1).astype(np.float64), right),
        after=reliability(table.score, table.right),
        promises=promises(table),
    )


def _scores(card: Card, outputs: Rows, temperature: float) -> Rows:
    return Scorer(replace(card, temperature=temperature))(outputs)


class _Loss:
    """Mean log-loss by temperature; labels may add up several outputs."""

    def __init__(self, card: Card, outputs: Rows, truth: NDArray[np.integer]) -> None:
        self._card, self._outputs, self._truth = card, outputs, truth

    def __call__(self, temperature: float) -> float:
        rows = Scorer(replace(self._card, temperature=temperature)).probabilities(self._outputs)
        return float(-np.log(np.maximum(rows[np.arange(len(rows)), self._truth], _LEAST)).mean())

    def lowest(self, tolerance: float = 1e-4) -> float:
        """By golden-section search on the logarithm."""
        low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
        while high - low > tolerance:
            left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
            if self(float(np.exp(left))) < self(float(np.exp(right))):
                high = right
            else:
                low = left
        return float(np.exp((low + high) / 2))


def calibrate_folder(
    *, model: Path, manifest: Path, pictures: Pictures, part: str = VALIDATION, batch: int = 32, device: str = "auto"
) -> Calibration:
    """Recognise a part and calibrate on the images whose label the version knows."""
    if part == TRAIN:
        raise ReportError("Scores of images that were trained on are too good to calibrate with: use validation.")
    sample = sample_of(manifest, part)
    recogniser = Recogniser(model, device=device)
    places = {label.key: place for place, label in enumerate(recogniser.card.labels)}
    truth = {line.image: places.get(key) for line, key in zip(sample.lines, sample.truth, strict=True)}
    rows: list[Rows] = []
    rights: list[int] = []
    groups: list[str] = []
    for found in recogniser.recognise(sample.lines, pictures, batch=batch):
        place = truth[found.line.image]
        if found.outputs is not None and place is not None:
            rows.append(found.outputs)
            rights.append(place)
            groups.append(found.line.group)
    stacked = np.stack(rows) if rows else np.zeros((0, 0), np.float32)
    return calibrate(recogniser.card, stacked, np.array(rights, dtype=np.int64), groups)


def write_calibrated(model: Path, out: Path, calibration: Calibration) -> str:
    """A new model folder with temperature and thresholds on its card; returns its digest."""
    if out.exists():
        raise ReportError(f"{out} is there already, and versions never change: choose another folder.")
    card = read_card(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    limits = replace(
        card.thresholds, typical=calibration.threshold(TYPICAL), conservative=calibration.threshold(CONSERVATIVE)
    )
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".making-") as made:
        folder = Path(made) / "version"
        for name in card.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _same_file(model / name, folder / name)
        parent = folder_digest(model)
        write_card(folder, replace(card, temperature=calibration.temperature, thresholds=limits, parent_version=parent))
        return seal_folder(folder, out)


def _same_file(source: Path, target: Path) -> None:
    """A second name where the file system can; a model folder's files are read-only."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


# ---- command line ----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--manifest", type=Path, required=True, help="the frozen images, as in a run folder")
    parser.add_argument("--pictures", type=Path, required=True, help="pictures.json, or the run folder that has it")
    parser.add_argument("--part", default=VALIDATION, help="never one that the version was trained on")
    parser.add_argument("--batch", type=int, default=32, help="so many pictures at once (32)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--out", type=Path, help="write the calibrated model folder here")


def run(arguments: argparse.Namespace) -> int:
    """Print the calibration as JSON; exit status 1 with a sentence when it cannot be done."""
    try:
        found = calibrate_folder(
            model=arguments.model,
            manifest=arguments.manifest,
            pictures=Pictures.read(arguments.pictures),
            part=arguments.part,
            batch=arguments.batch,
            device=arguments.device,
        )
        values: dict[str, Any] = to_json(found)
        if arguments.out is not None:
            values["version"] = write_calibrated(arguments.model, arguments.out, found)
    except (ClassifierError, ManifestError, PicturesError, ReportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(values) + "\n")
    return 0
