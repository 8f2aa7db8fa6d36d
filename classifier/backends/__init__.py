"""What runs a network: one protocol, and the choice of who implements it on this machine.

A back end takes uint8 pixels (batch x height x width x 3) and answers named float32 tensors. It normalises by the
card, hides its own precision, and verifies what it reads against the card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from classifier.card import ONNX, WEIGHTS, Card
from classifier.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OutOfMemory(ModelError):
    """A batch was too large for the device; a smaller one may fit."""


class Network(Protocol):
    """A loaded network. One thread at a time may call `run`."""

    @property
    def words(self) -> str:
        """For people: back end, precision and device, such as `openvino bf16 CPU`."""

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda`, `cuda:1`."""

    def run(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        """The wanted outputs of one batch; raises OutOfMemory where a smaller batch may fit."""


Loader = Callable[..., Network]

# Module of each back end and the file of a model folder it needs. Each has `load(folder, card, outputs=, device=,
# threads=, cache=)`.
BACKENDS: dict[str, tuple[str, str]] = {
    "openvino": ("classifier.backends.openvino", ONNX),
    "torch": ("classifier.backends.torch", WEIGHTS),
}


def has_gpu() -> bool:
    """Whether an NVIDIA driver is there, found without importing torch."""
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg"))


def choose(folder: Path, card: Card, *, device: str, backend: str | None = None) -> tuple[str, str]:
    """The back end and device for a model folder: torch on a GPU, OpenVINO on a CPU, or what was asked for."""
    if device == "auto":
        device = "cuda" if has_gpu() and WEIGHTS in card.files and _cuda_works() else "cpu"
    name = backend or ("openvino" if device == "cpu" else "torch")
    if name not in BACKENDS:
        raise ModelError(f"no back end is called {name!r}; there are {', '.join(BACKENDS)}")
    needed = BACKENDS[name][1]
    if needed not in card.files:
        raise ModelError(
            f"{folder} has no {needed}, which the {name} back end reads. "
            f"It can run with device {'cpu' if name == 'torch' else 'cuda'} if it has "
            f"{ONNX if name == 'torch' else WEIGHTS}."
        )
    return name, device


def _cuda_works() -> bool:
    import torch

    return torch.cuda.is_available()


def load(
    folder: Path,
    card: Card,
    *,
    outputs: Sequence[str],
    device: str = "auto",
    backend: str | None = None,
    threads: int | None = None,
    cache: Path | None = None,
) -> Network:
    """A ready network that answers `outputs`; `cache` is a folder where a compiled form may be kept."""
    name, device = choose(folder, card, device=device, backend=backend)
    loader: Loader = import_module(BACKENDS[name][0]).load
    return loader(folder, card, outputs=outputs, device=device, threads=threads, cache=cache)
