"""The device a run learns on: which one, in which numbers, and on how many of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from classifier.errors import ModelError
from training.contract import RunConfig

A = TypeVar("A")

_DTYPES = {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}


def in_pieces(count: int, most: int, act: Callable[[slice], A]) -> list[A]:
    """What `act` makes of 0..count, at most so many at a time; half as many where memory runs out."""
    made: list[A] = []
    start = 0
    while start < count:
        try:
            made.append(act(slice(start, min(start + most, count))))
        except torch.OutOfMemoryError:
            if most == 1:
                raise
            most = most // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start += most
    return made


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Machine:
    """A device with the numbers to compute in, and this process's place among those that train together."""

    device: torch.device
    dtype: torch.dtype | None
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def words(self) -> str:
        """For people, such as `bf16 on NVIDIA H100, 2 processes`."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        numbers = {torch.bfloat16: "bf16", torch.float16: "f16"}.get(self.dtype or torch.float32, "f32")
        return f"{numbers} on {name}" + (f", {self.world} processes" if self.world > 1 else "")

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)

    def together(self, value: torch.Tensor) -> torch.Tensor:
        """The largest of a value over all processes; with one process, the value."""
        if self.world > 1:
            dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def machine_of(config: RunConfig) -> Iterator[Machine]:
    """The device of a config, set up; under `torchrun` this process's own, joined to the others."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = _device(config, int(os.environ.get("LOCAL_RANK", "0")))
    threads = config.threads or max(1, processors() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(threads)
    _set_determinism(config.deterministic)
    if config.batch_size % world:
        raise ModelError(f"batch_size={config.batch_size} cannot be shared by {world} processes: choose a multiple")
    if world == 1:
        yield Machine(device, _dtype(config, device))
        return
    # The leading process publishes and evaluates while the others wait.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=2))
    try:
        yield Machine(device, _dtype(config, device), rank, world)
    finally:
        dist.destroy_process_group()


def _device(config: RunConfig, local_rank: int) -> torch.device:
    if config.device == "auto":
        return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    device = torch.device(config.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device={config.device} was asked for, but PyTorch finds no GPU here. Use device=cpu.")
    return device


def _dtype(config: RunConfig, device: torch.device) -> torch.dtype | None:
    if config.precision != "auto":
        return _DTYPES[config.precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else None


def _set_determinism(wanted: bool) -> None:
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = not wanted
