"""Everything a run needs to go on after it was killed, in one file that is there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training.run_folder import write_json

LAST, BEST = "last", "best"
_META = "state"


@dataclass(frozen=True, slots=True)
class Saved:
    """Tensors by name, and plain values that go with them."""

    tensors: Mapping[str, torch.Tensor]
    values: Mapping[str, Any]

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors of one part, such as `network`, without its name."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")}


def save(folder: Path, name: str, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    """Write `name`.safetensors, values inside, in one step; `name`.json repeats the values for people."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    beside = folder / f".{name}.safetensors"
    whole = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    save_file(whole, beside, metadata={_META: json.dumps(values)})
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.replace(path)
    write_json(folder / f"{name}.json", values)


def load(folder: Path, name: str) -> Saved | None:
    """What was saved last under a name; None where there is nothing."""
    path = folder / f"{name}.safetensors"
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        return Saved(tensors, json.loads(file.metadata()[_META]))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimiser's state as tensors by name, and what in it is no tensor."""
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{number}.{key}"] = value
            else:
                values[f"{number}.{key}"] = value
    return tensors, values


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]
) -> None:
    """The reverse, into an optimiser made the same way."""
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in (*tensors.items(), *values.items()):
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = _laid_out_like(parameters[int(number)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: torch.Tensor, value: Any) -> Any:
    """Files hold plain rows; fused kernels walk a parameter and its state by their places in memory."""
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
