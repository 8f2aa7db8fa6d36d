"""Which parts of a network stay as they are: no gradients, and statistics that do not move either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timm.models import group_modules, group_parameters
from torch import nn

from classifier.errors import ModelError
from training.contract import RunConfig
from training.learning.start import head_prefixes

_NORMS = (nn.modules.batchnorm._BatchNorm,)
ALL_BUT_HEAD = -1


@dataclass(frozen=True, slots=True)
class Frozen:
    """What stands still: parameters by name, and the modules that are kept as in service while the rest trains."""

    parameters: frozenset[str]
    modules: tuple[nn.Module, ...]


def find_frozen(network: nn.Module, config: RunConfig, *, only_head: bool = False) -> Frozen:
    """What a config freezes; `only_head` is for the epochs in which nothing but the last layer learns."""
    heads = head_prefixes(network)
    names = [name for name, _ in network.named_parameters() if not name.startswith(heads)]
    if only_head or config.frozen_stages == ALL_BUT_HEAD:
        return Frozen(frozenset(names), tuple(_body(network, heads)))
    asked: Any = network
    parameters = group_parameters(network, asked.group_matcher(coarse=True))
    modules = group_modules(network, asked.group_matcher(coarse=True))
    stages = sorted(parameters)
    if not 0 <= config.frozen_stages < len(stages):
        raise ModelError(
            f"frozen_stages={config.frozen_stages}, but this network has {len(stages)} stages: choose fewer, or -1 for "
            "all but the last layer"
        )
    chosen = stages[: config.frozen_stages]
    still = {name for stage in chosen for name in parameters[stage] if not name.startswith(heads)}
    known = dict(network.named_modules())
    kept = [known[name] for stage in chosen for name in modules.get(stage, ()) if name in known]
    # Containers that stand still as a whole may hold dropout or stochastic depth, which have no parameters.
    kept += [module for name, module in known.items() if _all_still(name, module, still)]
    if config.freeze_batch_norm:
        kept += [module for module in known.values() if isinstance(module, _NORMS)]
    return Frozen(frozenset(still), tuple(dict.fromkeys(kept)))


def _body(network: nn.Module, heads: tuple[str, ...]) -> list[nn.Module]:
    """Every module that is neither the last layer nor around it."""
    return [
        module
        for name, module in network.named_modules()
        if name and not any(head.startswith(f"{name}.") for head in heads)
    ]


def _all_still(name: str, module: nn.Module, still: set[str]) -> bool:
    own = [f"{name}.{parameter}" if name else parameter for parameter, _ in module.named_parameters()]
    return bool(own) and all(parameter in still for parameter in own)


def freeze(network: nn.Module, frozen: Frozen) -> None:
    """No gradients for what is frozen, gradients for the rest."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen.parameters)


def train_mode(network: nn.Module, frozen: Frozen) -> None:
    """Training mode, but not for what is frozen: BatchNorm would go on counting there."""
    network.train()
    for module in frozen.modules:
        module.eval()


def trainable(network: nn.Module) -> tuple[int, int]:
    """Parameters that learn, and all of them."""
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(count for count, learns in counts if learns), sum(count for count, _ in counts)
