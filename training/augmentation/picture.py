"""What a step of augmentation gets and gives: a picture with boxes, and what is left of a box cut off or covered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

import numpy as np
from PIL import Image

from classifier.types import Box
from training.contract import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
Range = tuple[float, float]
Corners = tuple[float, float, float, float]

SHARE = "probability that it acts on a picture"


class AugmentationError(ConfigError):
    """Steps that cannot be used; the text says which, and what there is instead."""


def told(default: T, meaning: str, *, least: float = 0.0, most: float = 1.0) -> T:
    """A setting of a step with its meaning and the values it may have."""
    made: T = field(default=default, metadata={"meaning": meaning, "least": least, "most": most})
    return made


@dataclass(frozen=True, slots=True)
class Boxed:
    """A box with the number its owner knows it by, and the share of what it once framed that can still be seen."""

    box: Box
    number: int = 0
    left: float = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels (height x width x 3, 0..255) and the boxes in them, as shares of the picture."""

    pixels: NDArray[np.uint8]
    boxes: tuple[Boxed, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(self.pixels))

    def showing(self, pixels: NDArray[np.uint8] | Image.Image) -> Picture:
        """Other pixels, with the boxes where they are."""
        return replace(self, pixels=np.asarray(pixels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ABC):
    """One change of a picture. It draws all its chances from the generator it is handed, and never in any other way:
    so the same seed gives the same pixels in whatever thread they are made.
    """

    called: ClassVar[str] = ""

    share: float = told(1.0, SHARE)

    def __call__(self, picture: Picture, random: np.random.Generator) -> Picture:
        """The changed picture; the very same object where the step does not act."""
        return self.change(picture, random) if random.random() < self.share else picture

    @abstractmethod
    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        """The changed picture; the one handed in stays as it is."""

    @property
    def name(self) -> str:
        """What it is called in files, tables and `without`."""
        return self.called


@dataclass(frozen=True, slots=True)
class Varied:
    """A picture after all steps, and the names of those that acted."""

    picture: Picture
    acted: tuple[str, ...]


def vary(picture: Picture, steps: Sequence[Step], random: np.random.Generator, *, least_box: float) -> Varied:
    """All steps in order; boxes of which less than `least_box` is left are dropped."""
    acted: list[str] = []
    for step in steps:
        changed = step(picture, random)
        if changed is not picture:
            acted.append(step.name)
        picture = changed
    kept = tuple(one for one in picture.boxes if one.left >= least_box)
    return Varied(replace(picture, boxes=kept), tuple(acted))


def between(random: np.random.Generator, span: Range) -> float:
    return float(random.uniform(*span))


def around(random: np.random.Generator, most: float) -> float:
    """A number from -most to most."""
    return float(random.uniform(-most, most))


@cache
def torchvision() -> ModuleType:
    """The functions of torchvision that move pixels and boxes. It takes seconds to load: only where pictures are made,
    and before threads begin.
    """
    from torchvision.transforms.v2 import functional

    return cast("ModuleType", functional)


# ---- boxes -----------------------------------------------------------------------------------------------------------


def corners(box: Box) -> Corners:
    return box.x, box.y, box.x + box.width, box.y + box.height


def moved(boxes: Sequence[Boxed], places: Iterable[Corners]) -> tuple[Boxed, ...]:
    """Boxes at new places, cut at the picture's edge; those wholly outside are gone."""
    found = []
    for one, (x0, y0, x1, y1) in zip(boxes, places, strict=True):
        inside = max(0.0, x0), max(0.0, y0), min(1.0, x1), min(1.0, y1)
        width, height = inside[2] - inside[0], inside[3] - inside[1]
        if width > 0 and height > 0:
            left = one.left * min(1.0, width * height / ((x1 - x0) * (y1 - y0)))
            found.append(replace(one, box=Box(inside[0], inside[1], width, height), left=left))
    return tuple(found)


def covered(boxes: Sequence[Boxed], cover: Corners) -> tuple[Boxed, ...]:
    """Boxes where something opaque now lies: their place stays, less of them is left."""
    found = []
    for one in boxes:
        x0, y0, x1, y1 = corners(one.box)
        width = max(0.0, min(x1, cover[2]) - max(x0, cover[0]))
        height = max(0.0, min(y1, cover[3]) - max(y0, cover[1]))
        hidden = width * height / max((x1 - x0) * (y1 - y0), 1e-12)
        found.append(replace(one, left=one.left * max(0.0, 1 - hidden)))
    return tuple(found)
