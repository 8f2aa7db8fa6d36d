"""Composed pictures of invented kinds of animals: each kind has its own coat and build, each picture its own scene."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
SIDE = 256


def creature(kind: int, seed: int, *, side: int = SIDE) -> Image.Image:
    """One animal of a kind somewhere in a landscape; the same arguments give the same picture."""
    random = np.random.default_rng([kind, seed])
    scene = landscape(random, side)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    size = random.uniform(0.26, 0.42)
    build = 0.35 + 0.11 * (kind % 5)
    x, y = random.uniform(0.35, 0.65, 2)
    tilt = random.normal(0, 0.25)
    along = (columns - x) * np.cos(tilt) + (rows - y) * np.sin(tilt)
    across = (rows - y) * np.cos(tilt) - (columns - x) * np.sin(tilt)
    body = (along / size) ** 2 + (across / (size * build)) ** 2 < 1
    head = (along - size) ** 2 + (across + size * build * 0.6) ** 2 < (size * build * 0.6) ** 2
    legs = (np.abs((along / size * 2 + 0.5) % 1 - 0.5) < 0.12) & (across > 0) & (across < size * (build + 0.25))
    legs &= np.abs(along) < size * 0.8
    fur = coat(kind, random, along / size, across / size)
    shade = (1.0 - 0.35 * across / size)[..., None]
    inside = (body | head | legs)[..., None]
    drawn = np.where(inside, fur * shade, scene) * random.uniform(0.75, 1.15)
    return Image.fromarray(np.clip(drawn + random.normal(0, 5, drawn.shape), 0, 255).astype(np.uint8))


def landscape(random: np.random.Generator, side: int) -> Floats:
    """Soft fields of earth and green at several scales."""
    made = np.zeros((side, side, 3), dtype=np.float32)
    for cells, strength in ((3, 70), (8, 40), (30, 25), (90, 14)):
        grain = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        made += (np.asarray(grain.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 127 - 1) * strength
    tint = [random.uniform(70, 130), random.uniform(90, 150), random.uniform(50, 100)]
    return np.asarray(made + tint, np.float32)


def coat(kind: int, random: np.random.Generator, along: Floats, across: Floats) -> Floats:
    """A colour and a pattern by kind: plain, stripes, rings or spots."""
    hue = (kind * 0.381966 + random.normal(0, 0.015)) % 1
    colour = np.asarray(colorsys.hsv_to_rgb(hue, 0.55 + 0.1 * (kind % 3), 0.8), np.float32) * 255
    pace = 9 + 3 * (kind % 4)
    waves = (
        np.zeros_like(along),
        np.sin(along * pace),
        np.sin(across * pace * 1.5),
        np.sin(along * pace) * np.sin(across * pace),
    )[kind % 4]
    return np.asarray(colour * (0.72 + 0.28 * np.sign(waves + 0.2))[..., None], np.float32)
