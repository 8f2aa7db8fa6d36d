"""Fine-tuning against bare forward and backward passes on tensors in memory, in turns within one run.

    ./osprey bench train [--architecture resnet18] [--batch 32] [--rounds 4] [--steps 4] [--side 512] [--json]
    ./osprey bench train --devices cpu,cuda

`bare` is forward and backward alone: no pictures, no optimiser, no moving average. `fine-tune` is what a run does:
small copies read and varied in threads, the step, the optimiser, the moving average. Also the seconds that a last layer
takes on as many stored embeddings, and that the first reading of the pictures takes. With several devices the same
config runs on each, and the fine-tunes' rates are set against the first one's.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.creatures import creature
from classifier.errors import ModelError
from training.contract import RunConfig
from training.contract.manifest import TRAIN, ManifestHead, ManifestLabel, ManifestLine, head_text, line_text
from training.learning.examples import Examples, gather
from training.learning.fine_tune import Ready, Task, learner_of
from training.learning.head import Embeddings, fit_head
from training.learning.loader import Batch
from training.learning.machine import machine_of
from training.learning.start import find_start
from training.learning.stopping import Stop
from training.pictures import Pictures
from training.run_folder import RunFolder

KINDS = 10


def run_folder(root: Path, pictures: int, side: int) -> RunFolder:
    """A manifest over drawn pictures, training part only."""
    lines, files = [], {}
    for number in range(pictures):
        file = io.BytesIO()
        creature(number % KINDS, number, side=side).save(file, "JPEG", quality=90)
        sha256 = hashlib.sha256(file.getvalue()).hexdigest()
        path = root / f"{number}.jpg"
        path.write_bytes(file.getvalue())
        files[sha256] = str(path)
        lines.append(ManifestLine(image=number, sha256=sha256, part=TRAIN, label=f"kind-{number % KINDS}"))
    labels = tuple(ManifestLabel(f"kind-{kind}", f"Kind {kind}") for kind in range(KINDS))
    text = head_text(ManifestHead(project="bench", seed=0, labels=labels)) + "".join(map(line_text, lines))
    (root / "manifest.jsonl").write_text(text, encoding="utf-8")
    (root / "pictures.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return RunFolder(root, quiet=True)


class TrainBench:
    def __init__(self, ready: Ready, config: RunConfig, steps: int) -> None:
        self.ready, self.config, self.steps = ready, config, steps
        self.batches = self._endless()
        self.step = 0
        learner = ready.learner
        batch = next(self.batches)
        device = learner.machine.device
        self.pixels = learner.normalised(batch.pixels.to(device))
        self.targets = learner.loss.targets(batch.truth.to(device))
        self.weights = batch.weights.to(device)

    def _endless(self) -> Iterator[Batch]:
        epoch = 0
        while True:
            yield from self.ready.loader.epoch(epoch)
            epoch += 1

    def bare(self) -> None:
        """Forward and backward on one batch that is there."""
        learner = self.ready.learner
        for _ in range(self.steps):
            learner.served.train()
            learner.network.zero_grad(set_to_none=True)
            with learner.machine.autocast():
                logits = learner.model(self.pixels)[0]
            learner.loss(logits, self.targets, self.weights).backward()  # type: ignore[no-untyped-call]
        self._wait()

    def fine_tune(self) -> None:
        """What a run does."""
        for _ in range(self.steps):
            self.ready.learner.step(next(self.batches), self.step)
            self.step += 1
        self._wait()

    def _wait(self) -> None:
        if self.ready.learner.machine.device.type == "cuda":
            torch.cuda.synchronize()

    def measure(self, rounds: int) -> dict[str, float]:
        """Images per second of both, the median over rounds that take turns."""
        self.bare()
        self.fine_tune()
        seconds: dict[str, list[float]] = {"bare": [], "fine-tune": []}
        for _ in range(rounds):
            for name, act in (("bare", self.bare), ("fine-tune", self.fine_tune)):
                begun = time.perf_counter()
                act()
                seconds[name].append(time.perf_counter() - begun)
        images = self.steps * self.config.batch_size
        rates = {name: images / float(np.median(taken)) for name, taken in seconds.items()}
        return {**rates, "ratio": rates["fine-tune"] / rates["bare"]}


def head_seconds(images: int = 1000, size: int = 1280) -> float:
    """A last layer on drawn embeddings, all five weight decays tried."""
    random = np.random.default_rng(0)
    truth = random.integers(0, KINDS, images)
    vectors = random.normal(size=(KINDS, size))[truth] + 3 * random.normal(size=(images, size))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    examples = Examples((None,) * images, truth, np.ones(images, np.float32))  # type: ignore[arg-type]
    whole = Embeddings(examples, vectors)
    watched = Embeddings(examples.only(np.arange(100)), vectors[:100])
    begun = time.perf_counter()
    fit_head(whole, watched, RunConfig(), classes=KINDS, device=torch.device("cpu"))
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="./osprey bench train", description=__doc__)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4, help="steps of a round")
    parser.add_argument("--side", type=int, default=512, help="pixels of a drawn picture's side")
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--devices", default="auto", help="such as cpu,cuda: the same config on each (auto)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        found = [measured(device, arguments) for device in arguments.devices.split(",")]
    except ModelError as error:
        parser.exit(1, f"{error}\n")
    for one in found:
        one["against first device"] = one["fine-tune"] / found[0]["fine-tune"]
    if arguments.json:
        sys.stdout.write(json.dumps(found[0] if len(found) == 1 else found) + "\n")
    else:
        sys.stdout.write("\n".join(map(_words, found)))
        sys.stdout.write(f"last layer, 1,000 x 1,280   {head_seconds():8.2f} s\n")


def measured(device: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One device: rates of both ways, and what the first reading of the pictures took."""
    config = RunConfig(
        start="nothing", architecture=arguments.architecture, batch_size=arguments.batch, device=device.strip()
    )
    with tempfile.TemporaryDirectory() as made, machine_of(config) as machine:
        folder = run_folder(Path(made), max(arguments.pictures, arguments.batch), arguments.side)
        data = gather(folder.manifest, Pictures.read(folder.pictures), config)
        begun = time.perf_counter()
        ready = learner_of(Task(config, folder, machine, data, find_start(config), Stop()))
        reading = time.perf_counter() - begun
        found: dict[str, Any] = TrainBench(ready, config, arguments.steps).measure(arguments.rounds)
        return {**found, "architecture": config.architecture, "device": machine.words, "reading seconds": reading}


def _words(found: dict[str, Any]) -> str:
    again = found["against first device"]
    return (
        f"{found['architecture']}, {found['device']}\n"
        f"bare forward and backward   {found['bare']:8.1f} images/s\n"
        f"fine-tune                   {found['fine-tune']:8.1f} images/s   {found['ratio']:.2f} of bare"
        f"{'' if again == 1 else f', {again:.2f} times the first device'}\n"
        f"first reading of pictures   {found['reading seconds']:8.1f} s\n"
    )


if __name__ == "__main__":
    main()
