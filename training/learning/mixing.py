"""Mixup and cutmix: pictures of a batch blended, or one pasted into another, and their targets with them."""

from __future__ import annotations

import numpy as np
import torch

from training.contract import RunConfig


def mix(
    pixels: torch.Tensor, targets: torch.Tensor, config: RunConfig, random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch (n x 3 x height x width) mixed with itself in another order; where both are asked for, one by lot."""
    ways = [way for way, strength in (("mixup", config.mixup), ("cutmix", config.cutmix)) if strength]
    if not ways:
        return pixels, targets
    way = ways[int(random.integers(len(ways)))]
    strength = config.mixup if way == "mixup" else config.cutmix
    share = float(random.beta(strength, strength))
    partner = torch.from_numpy(random.permutation(len(pixels))).to(pixels.device)
    if way == "mixup":
        mixed = share * pixels + (1 - share) * pixels[partner]
    else:
        mixed, share = _pasted(pixels, partner, share, random)
    return mixed, share * targets + (1 - share) * targets[partner]


def _pasted(
    pixels: torch.Tensor, partner: torch.Tensor, share: float, random: np.random.Generator
) -> tuple[torch.Tensor, float]:
    height, width = pixels.shape[2:]
    side = (1 - share) ** 0.5
    rows, columns = round(height * side), round(width * side)
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    window = (..., slice(top, top + rows), slice(left, left + columns))
    mixed = pixels.clone()
    mixed[window] = pixels[partner][window]
    # The share that is really left after rounding to pixels.
    return mixed, 1 - rows * columns / (height * width)
