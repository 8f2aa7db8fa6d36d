"""`python -m training lr-find RUN_FOLDER`: one pass at ever higher learning rates, its plot, and a suggestion.

Writes lr-find.json and lr-find.svg into the run folder; nothing else of the run changes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ClassifierError
from training.augmentation.augment import AugmentationError
from training.config import read_config
from training.contract import ConfigError, ManifestError, RunConfig
from training.labels import LabelsError
from training.pictures import Pictures, PicturesError
from training.run_folder import RunFolder, borrowed, write_json, write_text

if TYPE_CHECKING:
    from training.learning.examples import Data

LOWEST, HIGHEST = 1e-6, 1.0
_SMOOTHING = 0.9
_TOO_BAD = 4.0  # times the best loss, where it has diverged
_KNOWS_NOTHING = 10  # steps until the average holds more than a few losses
_FEWEST_IN_A_FALL, _FEWEST_STEPS = 5, 10
_FEWEST_IMAGES = 1000  # a new last layer that began on fewer would know them by heart
_SAID = (AugmentationError, ClassifierError, ConfigError, LabelsError, ManifestError, PicturesError, OSError)


@dataclass(frozen=True, slots=True)
class Found:
    """Smoothed losses by rate. `steepest` is where the loss falls fastest, `suggested` a tenth of where it is lowest
    if that is lower, so that a whole run stays stable."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    steepest: float
    suggested: float


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Found:
    """What a curve of raw losses says. Where it falls nowhere, the highest rate counts at which it does not rise."""
    raw, smooth = np.asarray(losses), smoothed(losses)
    first = min(len(smooth) // 6, _KNOWS_NOTHING)
    noise = _noise(raw)
    lowest = int(np.flatnonzero(smooth <= smooth[first:].min() + 3 * noise)[-1])
    # Past the lowest point nothing falls any more.
    falls = smooth[first : lowest + 1].max() - smooth[lowest] > 5 * noise
    width = max(_FEWEST_IN_A_FALL, len(smooth) // 6)
    # By the losses themselves: the average comes some steps late.
    steepest = rates[first + _steepest(raw[first : lowest + 1], width)] if falls else rates[lowest]
    return Found(tuple(rates[: len(smooth)]), tuple(smooth.tolist()), steepest, min(steepest, rates[lowest] / 10))


def smoothed(losses: Sequence[float]) -> NDArray[np.float64]:
    """A moving average that does not begin at 0."""
    found, average = [], 0.0
    for number, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        found.append(average / (1 - _SMOOTHING**number))
    return np.array(found)


def _noise(losses: NDArray[np.float64]) -> float:
    """How much the average wavers by chance: by how much a loss differs from the one before. A runaway is no noise."""
    if len(losses) < 2:
        return 0.0
    one = 1.48 * float(np.median(np.abs(np.diff(losses)))) / math.sqrt(2)
    return one * math.sqrt((1 - _SMOOTHING) / (1 + _SMOOTHING))


def _steepest(losses: NDArray[np.float64], width: int) -> int:
    """The middle of the `width` steps over which a line through the losses falls most: of two alone chance decides."""
    if len(losses) <= width:
        return len(losses) // 2
    steps = np.arange(width) - (width - 1) / 2
    slopes = np.lib.stride_tricks.sliding_window_view(losses, width) @ steps
    return int(np.argmin(slopes)) + width // 2


def find(folder: RunFolder, config: RunConfig, *, steps: int) -> Found:
    """Train for so many steps, the rate rising evenly on a logarithmic scale, until the loss runs away."""
    from training.learning.examples import gather
    from training.learning.fine_tune import Task, learner_of
    from training.learning.machine import machine_of
    from training.learning.start import find_start
    from training.learning.stopping import Stop

    # The rate is set by us: no schedule, no moving average, and never an epoch's end.
    plain = replace(config, recipe="fine-tune", schedule="constant", warmup_epochs=0.0, ema_decay=0.0, head_epochs=0)
    data = _looked_at(gather(folder.manifest, Pictures.read(folder.pictures), plain), plain, steps)
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    losses: list[float] = []
    with machine_of(plain) as machine:
        made = learner_of(Task(plain, folder, machine, data, find_start(plain), Stop()))
        batches = (batch for epoch in range(steps) for batch in made.loader.epoch(epoch))
        for step, batch in zip(range(steps), batches, strict=False):
            made.learner.config = replace(plain, learning_rate=float(rates[step]))
            losses.append(float(made.learner.step(batch, step)))
            if not math.isfinite(losses[-1]) or _runs_away(losses):
                break
    whole = [loss for loss in losses if math.isfinite(loss)]
    if not whole:
        raise ConfigError(f"the loss is no number even at a rate of {LOWEST:g}: look at weights, precision and images")
    return suggest([float(rate) for rate in rates], whole)


def _runs_away(losses: Sequence[float]) -> bool:
    """By the average: the best of some twenty batches alone may be a quarter of the others."""
    smooth = smoothed(losses)
    return bool(smooth[-1] > _TOO_BAD * smooth.min())


def _looked_at(data: Data, config: RunConfig, steps: int) -> Data:
    """As many training images as the steps draw, by lot: no more are copied or embedded; nothing is validated."""
    most = max(_FEWEST_IMAGES, steps * config.batch_size)
    drawn = np.random.default_rng([config.seed, 8]).permutation(len(data.train))[:most]
    return replace(data, train=data.train.only(np.sort(drawn)), validation=data.validation.only([]))


def plot(found: Found) -> str:
    """The curve as a small SVG: rate on a logarithmic scale, the suggestion marked."""
    width, height, edge = 640, 360, 44
    low, high = min(found.losses), min(max(found.losses), 3 * min(found.losses) + 1e-9)
    across = math.log(found.rates[-1] / found.rates[0]) or 1.0

    def place(rate: float, loss: float) -> tuple[float, float]:
        x = edge + (width - 2 * edge) * math.log(rate / found.rates[0]) / across
        y = height - edge - (height - 2 * edge) * (min(loss, high) - low) / ((high - low) or 1.0)
        return round(x, 1), round(y, 1)

    points = " ".join(f"{x},{y}" for x, y in (place(*pair) for pair in zip(found.rates, found.losses, strict=True)))
    mark, _ = place(found.suggested, low)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13"><title>Loss by learning rate</title>'
        f'<line x1="{edge}" y1="{height - edge}" x2="{width - edge}" y2="{height - edge}" stroke="gray"/>'
        f'<polyline points="{points}" fill="none" stroke="#2563eb" stroke-width="2"/>'
        f'<line x1="{mark}" y1="{edge}" x2="{mark}" y2="{height - edge}" stroke="#b45309" stroke-dasharray="4"/>'
        f'<text x="{mark + 6}" y="{edge}" fill="#b45309">suggested {found.suggested:.2g}</text>'
        f'<text x="{edge}" y="{height - 16}">{found.rates[0]:.0e}</text>'
        f'<text x="{width - edge}" y="{height - 16}" text-anchor="end">{found.rates[-1]:.0e}</text>'
        f'<text x="6" y="{edge}">{high:.2f}</text><text x="6" y="{height - edge}">{low:.2f}</text></svg>\n'
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a run folder, with manifest and pictures.json")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that go before those of the file")
    parser.add_argument("--steps", type=int, default=100, help="how many rates to try (default 100)")


def run(arguments: argparse.Namespace) -> int:
    root: Path = arguments.folder
    if arguments.steps < _FEWEST_STEPS:
        sys.stderr.write(f"--steps {arguments.steps}: under {_FEWEST_STEPS} rates no curve can be seen.\n")
        return 2
    try:
        config = read_config(root / "config.yaml", arguments.settings)
        with tempfile.TemporaryDirectory(prefix="osprey-lr-find-") as beside:
            # Its own progress and cache, so that a run that follows this folder does not see them.
            folder = borrowed(RunFolder(root), Path(beside))
            found = find(folder, config, steps=arguments.steps)
    except _SAID as error:
        sys.stderr.write(f"{error}\n")
        return 1
    write_json(root / "lr-find.json", asdict(found))
    write_text(root / "lr-find.svg", plot(found))
    sys.stdout.write(json.dumps({"suggested": found.suggested, "steepest": found.steepest}) + "\n")
    return 0
