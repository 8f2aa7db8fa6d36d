"""A network that learns, with everything that moves while it does: weights, optimiser, their moving average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import create_optimizer_v2, param_groups_layer_decay  # type: ignore[attr-defined]
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import nn

from classifier.card import Card
from classifier.errors import ModelError
from classifier.network import ServedNetwork
from classifier.preprocessing import normalisation
from training.contract import RunConfig
from training.learning.checkpoint import Saved, optimizer_tensors, restore_optimizer
from training.learning.freezing import find_frozen, freeze, train_mode
from training.learning.loader import Batch
from training.learning.losses import Loss
from training.learning.machine import Machine, in_pieces
from training.learning.mixing import mix
from training.learning.schedules import Schedule

_EVALUATION_BATCH = 64
_FUSED = ("adam", "adamw", "sgd")  # PyTorch's own, which have one


class Learner:
    """One step at a time. Random numbers of a step depend on seed and step alone, so a resumed run draws the same."""

    def __init__(
        self, network: nn.Module, card: Card, config: RunConfig, machine: Machine, schedule: Schedule, loss: Loss
    ) -> None:
        self.config, self.machine, self.schedule, self.loss = config, machine, schedule, loss
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        served = ServedNetwork(network, card).to(machine.device)
        self.served: ServedNetwork = served.to(memory_format=layout)
        self.layout = layout
        self.frozen = find_frozen(network, config)
        freeze(network, self.frozen)
        self.optimizer = _optimizer(network, config)
        self.ema = ModelEmaV3(network, decay=config.ema_decay, use_warmup=True) if config.ema_decay else None
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.dtype is torch.float16)
        self.pieces = config.accumulate
        self.on_halving: Callable[[int], None] = lambda pieces: None
        mean, std = normalisation(card)
        self._mean = torch.tensor(mean, device=machine.device).view(1, 3, 1, 1)
        self._std = torch.tensor(std, device=machine.device).view(1, 3, 1, 1)
        self.model: nn.Module = self.served
        self._set_dropout(network)
        self.wrap()

    @property
    def network(self) -> nn.Module:
        """The timm network that learns."""
        return self.served.network

    @property
    def best_network(self) -> nn.Module:
        """The weights that are measured and published: the moving average, where there is one."""
        module: nn.Module = self.ema.module if self.ema is not None else self.network
        return module

    def begin_epoch(self, epoch: int) -> None:
        """Freeze or free what the config says for this epoch (from 0)."""
        before = self.frozen
        self.frozen = find_frozen(self.network, self.config, only_head=epoch < self.config.head_epochs)
        freeze(self.network, self.frozen)
        if before.parameters != self.frozen.parameters:
            self.wrap()

    def wrap(self) -> None:
        """For several processes: gradients are averaged over all. Anew whenever other parameters learn."""
        if self.machine.world > 1:
            device = [self.machine.device.index or 0] if self.machine.device.type == "cuda" else None
            self.model = nn.parallel.DistributedDataParallel(self.served, device_ids=device)

    def step(self, batch: Batch, step: int) -> torch.Tensor:
        """One step of the optimiser; returns the mean loss. Out of memory, the step is done again in smaller pieces."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * self.schedule.factor(step) * group.get("lr_scale", 1.0)
            if "betas" in group:
                group["betas"] = (self.schedule.momentum(step), *group["betas"][1:])
            elif "momentum" in group:
                group["momentum"] = self.schedule.momentum(step)
        while True:
            try:
                loss = self._gradients(batch, step)
                break
            except torch.OutOfMemoryError:
                if self.pieces >= len(batch):
                    raise
                self.pieces = min(len(batch), 2 * self.pieces)
                self.on_halving(self.pieces)
                if self.machine.device.type == "cuda":
                    torch.cuda.empty_cache()
        self.scaler.unscale_(self.optimizer)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.network, step=step)
        return loss

    def _gradients(self, batch: Batch, step: int) -> torch.Tensor:
        """Gradients of the mean loss of a batch, gathered over its pieces."""
        torch.manual_seed(_mixed(self.config.seed, step, self.machine.rank))
        train_mode(self.served, self.frozen)
        self.optimizer.zero_grad(set_to_none=True)
        pixels, targets, weights = self._on_device(batch, step)
        total = torch.zeros((), device=self.machine.device)
        pieces = zip(
            pixels.tensor_split(self.pieces),
            targets.tensor_split(self.pieces),
            weights.tensor_split(self.pieces),
            strict=True,
        )
        for images, wanted, counted in pieces:
            with self.machine.autocast():
                logits = self.model(images)[0]
            loss = self.loss(logits, wanted, counted) * (len(images) / len(pixels))
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _on_device(self, batch: Batch, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        device = self.machine.device
        raw = batch.pixels.pin_memory() if device.type == "cuda" else batch.pixels
        pixels = self.normalised(raw.to(device, non_blocking=True))
        targets = self.loss.targets(batch.truth.to(device, non_blocking=True))
        random = np.random.default_rng([self.config.seed, 4, step, self.machine.rank])
        pixels, targets = mix(pixels, targets, self.config, random)
        return pixels, targets, batch.weights.to(device, non_blocking=True)

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 pixels (n x height x width x 3) as the network reads them; so seen they are channels_last already."""
        # In place: two more copies of a batch took a hundredth of a step.
        floats = pixels.permute(0, 3, 1, 2).float().sub_(self._mean).div_(self._std)
        return floats.contiguous(memory_format=self.layout)

    @torch.inference_mode()
    def predict(self, inputs: NDArray[np.uint8], network: nn.Module | None = None) -> NDArray[np.float32]:
        """Logits of pictures as in service, by the weights that would be published."""
        served = self._served(network or self.best_network)

        def logits(chosen: slice) -> NDArray[np.float32]:
            pixels = torch.from_numpy(np.array(inputs[chosen])).to(self.machine.device)
            with self.machine.autocast():
                return np.asarray(served(self.normalised(pixels))[0].float().cpu().numpy())

        return np.concatenate(in_pieces(len(inputs), _EVALUATION_BATCH, logits))

    def _served(self, network: nn.Module) -> ServedNetwork:
        """The same heads and names around another set of weights, in service mode."""
        made = ServedNetwork.__new__(ServedNetwork)
        nn.Module.__init__(made)
        made.network, made.names, made.normalised = network, self.served.names, self.served.normalised
        return made.eval()

    def tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """All that must be saved to go on: tensors by name and plain values."""
        optimizer, values = optimizer_tensors(self.optimizer)
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.ema is not None:
            found |= {f"ema.{name}": value for name, value in self.ema.module.state_dict().items()}
        return {**found, **optimizer}, {"optimizer": values, "scaler": self.scaler.state_dict(), "pieces": self.pieces}

    def restore(self, saved: Saved) -> None:
        """Go on where `tensors` was called."""
        self.network.load_state_dict(saved.part("network"), strict=True)
        if self.ema is not None:
            self.ema.module.load_state_dict(saved.part("ema"), strict=True)
        own = saved.values["learner"]
        restore_optimizer(self.optimizer, saved.part("optimizer"), own["optimizer"])
        self.scaler.load_state_dict(own["scaler"])
        self.pieces = own["pieces"]

    def _set_dropout(self, network: nn.Module) -> None:
        share = self.config.dropout
        if not share:
            return

        def drop(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            return (nn.functional.dropout(inputs[0], share, training=module.training),)

        last: Any = network
        last.get_classifier().register_forward_pre_hook(drop)


def _optimizer(network: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """timm's optimiser over groups of layers, the deeper ones slower."""
    groups = param_groups_layer_decay(network, weight_decay=config.weight_decay, layer_decay=config.layer_decay)
    # One kernel for all tensors: the optimiser was half of what a step cost beyond forward and backward.
    quick: dict[str, Any] = {"fused": True} if config.optimizer in _FUSED else {}
    try:
        made: torch.optim.Optimizer = create_optimizer_v2(
            groups, opt=config.optimizer, lr=config.learning_rate, momentum=config.momentum, **quick
        )
    except (ValueError, AssertionError, KeyError) as error:
        raise ModelError(f"optimizer={config.optimizer}: {error}. adamw and sgd are always there.") from error
    return made


def _mixed(seed: int, step: int, rank: int) -> int:
    """One number for torch's generator from three."""
    return int(np.random.SeedSequence([seed, 5, step, rank]).generate_state(1, np.uint64)[0] >> 1)
