"""Steps that move what is in a picture, or cover a part of it: boxes move with the pixels.

Pixels and boxes go through the same function of torchvision where it has one, with the same drawn numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.augmentation.picture import (
    SHARE,
    Boxed,
    Corners,
    Picture,
    Range,
    Step,
    around,
    between,
    corners,
    covered,
    moved,
    told,
    torchvision,
)

Fill = Literal["mean", "black", "grey", "noise"]
_FILL = "what the corners that open are filled with: the picture's mean colour, black, grey or noise"
_TRIES = 10
_GREY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Step):
    """A random part of the picture. In training it comes out at the size that the network reads."""

    called: ClassVar[str] = "crop"

    least: float = told(0.35, "smallest share of the picture's area that is kept", least=0.01)
    most: float = told(1.0, "largest share of the picture's area that is kept", least=0.01)
    shape: Range = told((0.75, 4 / 3), "width over height of the part, from .. to", least=0.1, most=10)
    size: tuple[int, int] | None = None  # height and width; set by whoever trains, never in a file

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        width, height = picture.size
        left, top, wide, high = self._window(width, height, random)
        if self.size is None:
            left, top = int(left), int(top)
            wide, high = max(1, min(width - left, round(wide))), max(1, min(height - top, round(high)))
            pixels: NDArray[np.uint8] = picture.pixels[top : top + high, left : left + wide]
        else:
            rows, columns = self.size
            box = (left, top, left + wide, top + high)
            part = picture.image.resize((columns, rows), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
            pixels = np.asarray(part)
        return Picture(
            pixels, moved(picture.boxes, (_within(one, left, top, wide, high, width, height) for one in picture.boxes))
        )

    def _window(self, width: int, height: int, random: np.random.Generator) -> tuple[float, float, float, float]:
        low, high = np.log(self.shape)
        for _ in range(_TRIES):
            area = random.uniform(self.least, max(self.least, self.most)) * width * height
            ratio = float(np.exp(random.uniform(low, high)))
            wide, tall = (area * ratio) ** 0.5, (area / ratio) ** 0.5
            if wide <= width and tall <= height:
                return random.uniform(0, width - wide), random.uniform(0, height - tall), wide, tall
        # A panorama holds no such part: the largest of the nearest shape, in the middle.
        ratio = min(max(width / height, self.shape[0]), self.shape[1])
        wide, tall = min(width, height * ratio), min(height, width / ratio)
        return (width - wide) / 2, (height - tall) / 2, wide, tall


def _within(one: Boxed, left: float, top: float, wide: float, high: float, width: int, height: int) -> Corners:
    x0, y0, x1, y1 = corners(one.box)
    return (
        (x0 * width - left) / wide,
        (y0 * height - top) / high,
        (x1 * width - left) / wide,
        (y1 * height - top) / high,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(Step):
    """Left and right are swapped. Wrong where the sides tell animals apart, as the marks of a fluke do."""

    called: ClassVar[str] = "flip"

    share: float = told(0.5, SHARE)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        places = ((1 - x1, y0, 1 - x0, y1) for x0, y0, x1, y1 in map(_place, picture.boxes))
        return Picture(picture.pixels[:, ::-1], moved(picture.boxes, places))


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipVertical(Step):
    """Top and bottom are swapped. Right only where a camera looks straight down."""

    called: ClassVar[str] = "flip-vertical"

    share: float = told(0.5, SHARE)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        places = ((x0, 1 - y1, x1, 1 - y0) for x0, y0, x1, y1 in map(_place, picture.boxes))
        return Picture(picture.pixels[::-1], moved(picture.boxes, places))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterTurns(Step):
    """Turned by 90, 180 or 270 degrees. Right only where a camera looks straight down."""

    called: ClassVar[str] = "quarter-turns"

    share: float = told(0.75, SHARE)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        boxes, pixels = picture.boxes, picture.pixels
        for _ in range(int(random.integers(1, 4))):
            pixels = np.rot90(pixels)
            boxes = moved(boxes, ((y0, 1 - x1, y1, 1 - x0) for x0, y0, x1, y1 in map(_place, boxes)))
        return Picture(pixels, boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate(Step):
    """Turned by a random angle about its middle; a box becomes the upright box around the turned one."""

    called: ClassVar[str] = "rotate"

    share: float = told(0.5, SHARE)
    degrees: float = told(10.0, "largest angle, to either side", most=180)
    fill: Fill = told("mean", _FILL)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        angle = around(random, self.degrees)
        return _bent(picture, self.fill, random, torchvision().rotate, angle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine(Step):
    """Shifted, zoomed and slanted."""

    called: ClassVar[str] = "affine"

    share: float = told(0.5, SHARE)
    zoom: Range = told((0.85, 1.15), "how large things become, from .. to; below 1 they move away", least=0.1, most=10)
    shift: float = told(0.05, "largest shift to either side, as a share of width and height")
    slant: float = told(3.0, "largest shear in degrees, along each side", most=45)
    fill: Fill = told("mean", _FILL)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        width, height = picture.size
        zoom = float(np.exp(random.uniform(*np.log(self.zoom))))
        shift = [around(random, self.shift) * width, around(random, self.shift) * height]
        slant = [around(random, self.slant), around(random, self.slant)]
        return _bent(picture, self.fill, random, torchvision().affine, 0.0, shift, zoom, slant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Perspective(Step):
    """Seen from a little further left, right, above or below."""

    called: ClassVar[str] = "perspective"

    share: float = told(0.3, SHARE)
    strength: float = told(0.2, "how far a corner may move in, as a share of half the picture", most=0.9)
    fill: Fill = told("mean", _FILL)

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        width, height = picture.size
        start = [[0, 0], [width, 0], [width, height], [0, height]]
        inwards = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
        end = [
            [
                x + across * random.uniform(0, self.strength) * width / 2,
                y + down * random.uniform(0, self.strength) * height / 2,
            ]
            for (x, y), (across, down) in zip(start, inwards, strict=True)
        ]
        return _bent(picture, self.fill, random, torchvision().perspective, start, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Step):
    """A rectangle somewhere is hidden, so that no single mark decides."""

    called: ClassVar[str] = "erase"

    share: float = told(0.25, SHARE)
    area: Range = told((0.02, 0.2), "share of the picture's area that is hidden, from .. to")
    shape: Range = told((0.3, 3.3), "width over height of the rectangle, from .. to", least=0.1, most=10)
    fill: Fill = told("noise", "what hides it: noise, or the picture's mean colour, black or grey")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        width, height = picture.size
        area, ratio = between(random, self.area) * width * height, np.exp(random.uniform(*np.log(self.shape)))
        wide = max(1, min(width, round(float(np.sqrt(area * ratio)))))
        high = max(1, min(height, round(float(np.sqrt(area / ratio)))))
        left, top = int(random.integers(width - wide + 1)), int(random.integers(height - high + 1))
        pixels = picture.pixels.copy()
        pixels[top : top + high, left : left + wide] = _filling(picture, self.fill, (high, wide), random)
        hidden = (left / width, top / height, (left + wide) / width, (top + high) / height)
        return Picture(pixels, covered(picture.boxes, hidden))


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner(Step):
    """The strip at the bottom or top is hidden, where cameras print name, time and temperature: what is written there
    tells the camera, and so the place, and must not tell the species.
    """

    called: ClassVar[str] = "banner"

    share: float = told(0.3, SHARE)
    height: Range = told((0.03, 0.09), "height of the strip as a share of the picture's, from .. to", most=0.5)
    top: float = told(0.2, "probability that it is the strip at the top instead")

    def change(self, picture: Picture, random: np.random.Generator) -> Picture:
        rows = max(1, round(between(random, self.height) * picture.size[1]))
        at_top = random.random() < self.top
        pixels = picture.pixels.copy()
        where = slice(0, rows) if at_top else slice(picture.size[1] - rows, None)
        pixels[where] = 255 * int(random.integers(2))
        share = rows / picture.size[1]
        hidden = (0.0, 0.0, 1.0, share) if at_top else (0.0, 1 - share, 1.0, 1.0)
        return Picture(pixels, covered(picture.boxes, hidden))


def _place(one: Boxed) -> Corners:
    return corners(one.box)


def _bent(
    picture: Picture, fill: Fill, random: np.random.Generator, bend: Callable[..., Any], *numbers: Any
) -> Picture:
    """Pixels and boxes through the same function of torchvision."""
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import InterpolationMode

    bilinear, nearest = InterpolationMode.BILINEAR, InterpolationMode.NEAREST
    colour: NDArray[np.uint8] | None = None
    if fill == "noise":
        colour = _filling(picture, fill, picture.pixels.shape[:2], random)
    plain = [float(value) for value in _filling(picture, "black" if fill == "noise" else fill, (1, 1), random).ravel()]
    image = bend(picture.image, *numbers, interpolation=bilinear, fill=plain)
    pixels = np.asarray(image)
    if colour is not None:
        whole = Image.new("L", picture.size, 255)
        inside = np.asarray(bend(whole, *numbers, interpolation=nearest, fill=[0.0]))
        pixels = np.where(inside[:, :, None] > 0, pixels, colour)
    if not picture.boxes:
        return Picture(pixels)
    width, height = picture.size
    scale = torch.tensor([width, height, width, height], dtype=torch.float64)
    places = torch.tensor([_place(one) for one in picture.boxes], dtype=torch.float64) * scale
    boxes = tv_tensors.BoundingBoxes(places, format="XYXY", canvas_size=(height, width), clamping_mode=None)
    found = (bend(boxes, *numbers).as_subclass(torch.Tensor) / scale).tolist()
    return Picture(pixels, moved(picture.boxes, ((x0, y0, x1, y1) for x0, y0, x1, y1 in found)))


def _filling(picture: Picture, fill: Fill, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.uint8]:
    """Pixels (rows x columns x 3) of what is put where the picture is not."""
    if fill == "noise":
        return random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    if fill == "mean":
        # Every so many pixels are enough for a mean, and a large picture has too many.
        thin = max(1, min(picture.size) // 64)
        colour = picture.pixels[::thin, ::thin].reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    else:
        colour = np.full(3, 0 if fill == "black" else _GREY, np.uint8)
    return np.broadcast_to(colour, (*shape, 3))
