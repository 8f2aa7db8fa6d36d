"""Run folders and tiny networks for the tests of training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.colour_versions import make_colour_version
from tests.training.made_set import colours, make_run
from training.contract import RunConfig
from training.learning.examples import gather
from training.learning.fine_tune import Task
from training.learning.machine import Machine
from training.learning.start import Start, find_start
from training.learning.stopping import Stop
from training.pictures import Pictures
from training.run_folder import RunFolder

ARCHITECTURE = "test_efficientnet"
TINY = RunConfig(
    start="nothing",
    architecture=ARCHITECTURE,
    input_size=32,
    epochs=2,
    batch_size=8,
    deterministic=True,
    precision="f32",
    device="cpu",
    threads=1,
    workers=1,
    checkpoint_steps=1,
    learning_rate=3e-3,
    layer_decay=1.0,
    warmup_epochs=0.5,
    proof_images=100,
)
"""A fine-tuning that takes a second."""

TINY_WORDS = [
    "start=nothing",
    f"architecture={ARCHITECTURE}",
    *(
        f"{key}={getattr(TINY, key)}"
        for key in ("input_size", "epochs", "batch_size", "precision", "device", "threads")
    ),
    *("workers=1", "checkpoint_steps=1", "learning_rate=0.003", "layer_decay=1", "deterministic=true"),
]
"""The same on the command line."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks are quicker alone, and other tests run beside these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose embedding is the mean colour; it has no weights but its ONNX file."""
    return make_colour_version(tmp_path_factory.mktemp("start") / "colour", embedding_space="mean colour")


@pytest.fixture(scope="session")
def colour_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain coloured pictures of four kinds, a long tail; do not write here, use `run_folder`."""
    return make_run(
        tmp_path_factory.mktemp("runs") / "colours", train=[20, 12, 8, 6], validation=6, test=6, side=40, draw=colours
    )


@pytest.fixture
def run_folder(colour_run: Path, tmp_path: Path) -> Path:
    """A fresh run folder over the coloured pictures."""
    return Path(shutil.copytree(colour_run, tmp_path / "run"))


@pytest.fixture
def task(run_folder: Path) -> Callable[..., Task]:
    """Makes a task of a config, as `train` does."""

    def make(
        config: RunConfig = TINY, *, start: Start | None = None, root: Path | None = None, **settings: object
    ) -> Task:
        chosen = replace(config, **settings)  # type: ignore[arg-type]
        folder = RunFolder(root or run_folder)
        data = gather(run_folder / "manifest.jsonl.gz", Pictures.read(run_folder), chosen)
        return Task(chosen, folder, Machine(torch.device("cpu"), None), data, start or find_start(chosen), Stop())

    return make
