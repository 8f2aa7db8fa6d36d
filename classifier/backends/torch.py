"""PyTorch: the GPU's back end, and on a CPU the reference that others are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from classifier.backends import OutOfMemory
from classifier.card import WEIGHTS, Card, verify_folder
from classifier.errors import ModelError
from classifier.network import ServedNetwork, build, read_weights
from classifier.preprocessing import normalisation

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Batches are filled up to these sizes, so that kernels are chosen and compiled for a few shapes only.
FIXED_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class TorchNetwork:
    """A network on one device, in evaluation mode."""

    def __init__(self, network: ServedNetwork, card: Card, outputs: Sequence[str], device: str, precision: str) -> None:
        self.device = device
        self._device = torch.device(device)
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "CPU"
        self.words = f"torch {precision} {name}"
        self._outputs = tuple(outputs)
        self._dtype = {"bf16": torch.bfloat16, "f16": torch.float16}.get(precision)
        self._network = network.to(self._device).to(memory_format=torch.channels_last).eval()
        mean, std = normalisation(card)
        self._mean = torch.tensor(mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, device=self._device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def run(self, pixels: NDArray[np.uint8]) -> Mapping[str, NDArray[np.float32]]:
        try:
            answers = self._network.named(self._input(pixels), self._outputs, autocast=self._autocast())
            return {name: answers[name][: len(pixels)].float().cpu().numpy() for name in self._outputs}
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(f"{self.words} had no memory for a batch of {len(pixels)}") from error

    def _input(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(pixels))
        if self._device.type == "cuda":
            batch = self._filled(batch).pin_memory().to(self._device, non_blocking=True)
        # NHWC seen as NCHW is exactly the channels_last layout, so nothing is moved.
        return (batch.permute(0, 3, 1, 2).float() - self._mean) / self._std

    def _filled(self, batch: torch.Tensor) -> torch.Tensor:
        size = next((size for size in FIXED_SIZES if size >= len(batch)), len(batch))
        if size == len(batch):
            return batch
        return torch.cat([batch, batch[-1:].expand(size - len(batch), -1, -1, -1)])

    def _autocast(self) -> AbstractContextManager[object]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)


def load(
    folder: Path,
    card: Card,
    *,
    outputs: Sequence[str],
    device: str,
    threads: int | None,
    cache: Path | None,
    compiled: bool = False,
) -> TorchNetwork:
    """Build the card's architecture, fill it with the folder's weights and move it to the device."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {device!r} was asked for, but PyTorch finds no GPU here. Use device 'cpu'.")
    verify_folder(folder, only=[WEIGHTS])
    if threads and device == "cpu":
        torch.set_num_threads(threads)
    network = ServedNetwork(build(card), card)
    network.network.load_state_dict(read_weights(folder / WEIGHTS), strict=True)
    if compiled:
        network.compile()
    on_gpu = device.startswith("cuda")
    precision = card.precision.get("torch", "f32") if on_gpu else "f32"
    if on_gpu and precision == "f32":
        # cuDNN's own default rounds inputs to 10 bits and still calls it f32.
        torch.backends.cudnn.allow_tf32 = False
    return TorchNetwork(network, card, outputs, device, precision)
