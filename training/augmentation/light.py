"""Steps that change light, colour and sharpness, and what sensors, lenses, water and compression do; boxes stay.

Lengths are shares of the picture's short side, so that the same file does the same to a small copy and to an original.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from training.augmentation.picture import SHARE, Picture, Range, Step, around, between, told, torchvision

Water = Literal["blue", "green", "either"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour(Step):
    """Brighter or darker, more or less contrast and colour, another tint."""

    called: ClassVar[str] = "colour"

    share: float = told(0.8, SHARE)
    brightness: float = told(0.2, "largest change, as a share")
    contrast: float = told(0.2, "largest change, as a share")
    saturation: float = told(0.2, "largest change, as a share")
    hue: float = told(0.02, "largest turn of the colour circle, where 0.5 is half of it", most=0.5)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        image = torchvision().adjust_brightness(picture.image, 1 + around(random, self.brightness))
        image = torchvision().adjust_contrast(image, 1 + around(random, self.contrast))
        image = torchvision().adjust_saturation(image, 1 + around(random, self.saturation))
        turn = around(random, self.hue)
        return picture.showing(torchvision().adjust_hue(image, turn) if self.hue else image)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma(Step):
    """Dark parts lifted or sunk, as another exposure would."""

    called: ClassVar[str] = "gamma"

    share: float = told(0.3, SHARE)
    power: Range = told((0.7, 1.5), "the exponent, from .. to; above 1 is darker", least=0.1, most=10)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        power = float(np.exp(random.uniform(*np.log(self.power))))
        return picture.showing(torchvision().adjust_gamma(picture.image, power))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grey(Step):
    """Without colour, as infrared pictures of the night are."""

    called: ClassVar[str] = "grey"

    share: float = told(0.1, SHARE)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        return picture.showing(torchvision().rgb_to_grayscale(picture.image, num_output_channels=3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Equalise(Step):
    """All brightnesses equally often, as strong automatic contrast does."""

    called: ClassVar[str] = "equalise"

    share: float = told(0.1, SHARE)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        return picture.showing(torchvision().equalize(picture.image))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpen(Step):
    """Sharper or softer edges."""

    called: ClassVar[str] = "sharpen"

    share: float = told(0.2, SHARE)
    strength: Range = told((0.2, 2.0), "below 1 softer, above 1 sharper, from .. to", most=10)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        return picture.showing(torchvision().adjust_sharpness(picture.image, between(random, self.strength)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterise(Step):
    """Fewer steps of brightness."""

    called: ClassVar[str] = "posterise"

    share: float = told(0.1, SHARE)
    bits: int = told(4, "bits of each colour that are kept", least=1, most=8)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        return picture.showing(torchvision().posterize(picture.image, self.bits))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur(Step):
    """Out of focus."""

    called: ClassVar[str] = "blur"

    share: float = told(0.15, SHARE)
    radius: Range = told((0.002, 0.01), "deviation of the blur as a share of the short side, from .. to", most=0.2)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        radius = between(random, self.radius) * min(picture.size)
        return picture.showing(picture.image.filter(ImageFilter.GaussianBlur(radius)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionBlur(Step):
    """Smeared along a line, as what moves at night is."""

    called: ClassVar[str] = "motion-blur"

    share: float = told(0.15, SHARE)
    length: Range = told((0.01, 0.05), "length of the smear as a share of the short side, from .. to", most=0.3)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        length = between(random, self.length) * min(picture.size)
        angle = random.uniform(0, math.pi)
        # Samples along the line, a pixel apart up to 16 of them: more would look the same and take longer.
        places = np.linspace(-length / 2, length / 2, max(2, min(16, round(length) + 1)))
        across, down = np.rint(places * math.cos(angle)).astype(int), np.rint(places * math.sin(angle)).astype(int)
        edge = int(max(np.abs(across).max(), np.abs(down).max()))
        wide = np.pad(picture.pixels, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
        width, height = picture.size
        total = np.zeros(picture.pixels.shape, np.uint16)
        for x, y in zip(across + edge, down + edge, strict=True):
            total += wide[y : y + height, x : x + width]
        return picture.showing((total // len(places)).astype(np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Far(Step):
    """Less detail, as of an animal far away: made smaller, then as large as it was."""

    called: ClassVar[str] = "far"

    share: float = told(0.15, SHARE)
    scale: Range = told((0.3, 0.8), "how small it is made, from .. to", least=0.02)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        scale = between(random, self.scale)
        width, height = picture.size
        small = picture.image.resize(
            (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BOX
        )
        return picture.showing(small.resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Step):
    """The grain of a sensor in little light."""

    called: ClassVar[str] = "noise"

    share: float = told(0.2, SHARE)
    strength: Range = told((2.0, 12.0), "its deviation in steps of brightness (of 255), from .. to", most=128)
    grey: bool = told(False, "the same in all three colours")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        height, width, colours = picture.pixels.shape
        grain = random.standard_normal((height, width, 1 if self.grey else colours), dtype=np.float32)
        grain *= between(random, self.strength)
        return picture.showing(_as_pixels(picture.pixels + grain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compress(Step):
    """What strong JPEG compression leaves."""

    called: ClassVar[str] = "compress"

    share: float = told(0.2, SHARE)
    quality: Range = told((30.0, 85.0), "JPEG quality, from .. to", least=1, most=100)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        quality = round(between(random, self.quality))
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture.pixels), quality=quality, colorsubsampling="420")
        return picture.showing(simplejpeg.decode_jpeg(data, colorspace="RGB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash(Step):
    """Light that falls off from a spot near the middle, as that of an infrared flash or a diver's lamp."""

    called: ClassVar[str] = "flash"

    share: float = told(0.3, SHARE)
    falloff: Range = told((0.3, 0.9), "share of the light that is gone in the far corner, from .. to")
    away: float = told(0.25, "how far from the middle the spot may be, as a share of the sides", most=0.5)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        width, height = picture.size
        x, y = 0.5 + around(random, self.away), 0.5 + around(random, self.away)
        columns = ((np.arange(width, dtype=np.float32) + 0.5) / width - x) ** 2
        rows = ((np.arange(height, dtype=np.float32) + 0.5) / height - y) ** 2
        away = rows[:, None] + columns[None, :]
        farthest = max(x, 1 - x) ** 2 + max(y, 1 - y) ** 2
        light = 1 - between(random, self.falloff) * away / farthest
        return picture.showing(_as_pixels(light[:, :, None].astype(np.float32) * picture.pixels))


# Share of red, green and blue that one unit of water swallows (as exponents), and the colour it shines with instead:
# red goes first everywhere; clear sea keeps blue longest, coastal water and lakes keep green.
_SWALLOWS = {"blue": (1.7, 0.55, 0.3), "green": (1.5, 0.4, 0.8)}
_SHINES = {"blue": (10, 95, 150), "green": (40, 125, 95)}


@dataclass(frozen=True, slots=True, kw_only=True)
class InWater(Step):
    """Seen through water: red is swallowed first, and what floats in it veils the rest."""

    called: ClassVar[str] = "water"

    share: float = told(0.5, SHARE)
    depth: Range = told((0.1, 1.0), "how much water lies between, from .. to; at 1 little red is left", most=3)
    veil: Range = told((0.3, 1.0), "how brightly the water itself shines, from .. to")
    kind: Water = told("either", "blue (open sea), green (coasts, lakes) or either")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        kind = ("blue", "green")[int(random.integers(2))]
        kind = kind if self.kind == "either" else self.kind
        depth, veil = between(random, self.depth), between(random, self.veil)
        values = np.arange(256, dtype=np.float64)
        table: list[int] = []
        for swallowed, shine in zip(_SWALLOWS[kind], _SHINES[kind], strict=True):
            kept = math.exp(-swallowed * depth)
            table += _as_pixels(values * kept + shine * veil * (1 - kept)).tolist()
        return picture.showing(picture.image.point(table))


def _as_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
