"""How a training picture is varied: the steps of a run's config, each a picture with its boxes in, and one out.

Only training pictures come here. Validation, test and service share `classifier.preprocessing` and know of no steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.augmentation.geometry import Crop, Flip
from training.augmentation.picture import AugmentationError, Boxed, Picture, Step, Varied, vary
from training.augmentation.presets import LEAST_BOX, PRESETS, Plan, plan_of, plan_text
from training.contract import RunConfig

__all__ = [
    "AugmentationError",
    "Boxed",
    "Picture",
    "Plan",
    "Step",
    "Varied",
    "planned",
    "settled",
    "steps_of",
    "varied",
    "vary",
]


def planned(config: RunConfig) -> Plan:
    """What a config asks for: its own steps or preset, else a crop and a mirrored copy; none without `augment`."""
    if not config.augment:
        return Plan(())
    if config.augmentation:
        return plan_of(config.augmentation)
    return Plan((Crop(least=config.crop_least), Flip(share=config.flip)))


def steps_of(config: RunConfig, size: tuple[int, int]) -> tuple[Step, ...]:
    """The steps of a config for a network that reads pictures of one size (height, width)."""
    return planned(config).sized(size)


def settled(config: RunConfig) -> RunConfig:
    """The config with a file's steps written out: checked now, and the same later whatever becomes of the file."""
    if not config.augmentation or config.augmentation in PRESETS:
        return config
    return replace(config, augmentation=plan_text(plan_of(config.augmentation)))


def varied(picture: Picture, steps: Sequence[Step], random: np.random.Generator) -> Picture:
    """The picture after all steps, in order."""
    return vary(picture, steps, random, least_box=LEAST_BOX).picture
