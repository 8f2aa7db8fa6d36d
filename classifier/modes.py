"""Turns a Pillow picture of any mode into plain upright-agnostic 8-bit RGB, the same way everywhere."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Transparent pixels become mid-grey: next to the mean that networks subtract, so it says nothing, and both a white
# and a black animal cut out of its background keep their outline. White would swallow egrets, polar bears and sheep.
BACKDROP = (128, 128, 128)

_WIDE_INTEGERS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_STRETCHED = frozenset({"I", "F"})


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded picture to RGB: alpha over `BACKDROP`, 16-bit scaled to 8, unbounded depths stretched."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _WIDE_INTEGERS:
        return Image.fromarray((np.asarray(image) / 257.0 + 0.5).astype(np.uint8)).convert("RGB")
    if image.mode in _STRETCHED:
        return _stretched(image).convert("RGB")
    if image.has_transparency_data:
        return _over_backdrop(image.convert("RGBA"))
    return image.convert("RGB")


def reduced(image: Image.Image, at_least: int) -> Image.Image:
    """Average whole blocks of pixels as long as the short side stays at or above `at_least` (0: keep all)."""
    factor = min(image.size) // at_least if at_least > 0 else 1
    return image.reduce(factor) if factor > 1 else image


def _over_backdrop(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size, BACKDROP)
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _stretched(image: Image.Image) -> Image.Image:
    """Map the darkest to the brightest finite value onto 0..255: these depths define no white of their own."""
    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return Image.fromarray(((values - low) * scale + 0.5).astype(np.uint8))
