"""Which edits of a picture are found as its near-duplicates, and how many pairs are found that are none.

    ./osprey bench duplicates [--pictures 100] [--model DIR] [--json]

Pictures are composed: each its own scene with one animal, edited, and scenes of a still camera in which the animal
moved or another came. Hashes, grey copies and embeddings are made as by a site, and the site's own rule decides.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from bench.creatures import coat, landscape
from bench.suspects import starter
from classifier.engine import LoadedPipeline, load_pipeline
from classifier.fingerprint import HASH_SIDE, hash_of
from classifier.images import decode
from classifier.thumbnails import encode, small_copy
from classifier.types import Failure, PipelineSpec
from webapp.reviews.numeric.near_duplicates import Hashes, pairs_of
from webapp.reviews.numeric.stored import Stored
from webapp.reviews.numeric.windows import grey_copy

WIDTH, HEIGHT = 480, 360
Picture = Image.Image
Edit = Callable[[Picture], Picture]


def taken(scene: int, kind: int, seed: int, *, light: float = 1.0) -> Picture:
    """One frame of a still camera: the scene, an animal somewhere in it, the grain of this frame."""
    base = landscape(np.random.default_rng([77, scene]), WIDTH)[:HEIGHT]
    random = np.random.default_rng([5, kind, seed])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) / WIDTH
    size, x, y, tilt = random.uniform(0.08, 0.2), random.uniform(0.2, 0.8), random.uniform(0.2, 0.55), random.normal()
    along = (columns - x) * np.cos(tilt / 4) + (rows - y) * np.sin(tilt / 4)
    across = (rows - y) * np.cos(tilt / 4) - (columns - x) * np.sin(tilt / 4)
    build = size * (0.35 + 0.11 * (kind % 5))
    inside = (along / size) ** 2 + (across / build) ** 2 < 1
    inside |= (along - size) ** 2 + (across + build * 0.6) ** 2 < (build * 0.6) ** 2
    drawn = np.where(inside[..., None], coat(kind, random, along / size, across / size), base) * light
    return Image.fromarray(np.clip(drawn + random.normal(0, 5, drawn.shape), 0, 255).astype(np.uint8))


def cropped(left: float, top: float, right: float, bottom: float) -> Edit:
    def edit(picture: Picture) -> Picture:
        width, height = picture.size
        return picture.crop(
            (int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height))
        )

    return edit


def mirrored(picture: Picture) -> Picture:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def captioned(picture: Picture) -> Picture:
    made = picture.copy()
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, HEIGHT * 0.93, WIDTH, HEIGHT), fill=(0, 0, 0))
    draw.text((6, HEIGHT * 0.94), "12 C  2026-05-01 06:00", fill=(255, 255, 255))
    return made


def coarse(picture: Picture) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=10)
    return Image.open(file).convert("RGB")


MIDDLE = cropped(0.1, 0.1, 0.1, 0.1)
EDITS: dict[str, Edit] = {
    "quarter size": lambda picture: picture.resize((WIDTH // 4, HEIGHT // 4)),
    "JPEG quality 10": coarse,
    "brightness 1.3, clipped": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "contrast 1.4": lambda picture: ImageEnhance.Contrast(picture).enhance(1.4),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "caption bar": captioned,
    "crop 5 % a side": cropped(0.05, 0.05, 0.05, 0.05),
    "crop 10 % a side": MIDDLE,
    "crop 10 % a side, a third as large": lambda picture: MIDDLE(picture).resize((WIDTH // 3, HEIGHT // 3)),
    "crop 15 % a side": cropped(0.15, 0.15, 0.15, 0.15),
    "foot of 12 % cut off": cropped(0, 0, 0, 0.12),
    "mirror": mirrored,
    "mirror, crop 10 % a side": lambda picture: MIDDLE(mirrored(picture)),
    "crop 18 % left, 15 % below": cropped(0.18, 0.03, 0.02, 0.15),
}
SCENES: dict[str, Callable[[int], Picture]] = {
    "same burst, the animal moved": lambda n: taken(n, n % 8, n + 1000),
    "same place, another animal, darker": lambda n: taken(n, (n + 3) % 8, n + 3000, light=0.8),
}


@dataclass
class Measured:
    """What a site would know of pictures, in their order."""

    pipeline: LoadedPipeline
    hashes: list[int] = field(default_factory=list)
    greys: list[bytes] = field(default_factory=list)
    vectors: list[NDArray[np.float16]] = field(default_factory=list)

    def add(self, picture: Picture) -> None:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        decoded = decode(file.getvalue(), at_least=self.pipeline.at_least)
        answer = self.pipeline.recognise([decoded])[0]
        if isinstance(answer, Failure) or answer.regions[0].embedding is None:
            raise SystemExit("the model gives no embedding")
        small = small_copy(decoded)
        self.hashes.append(hash_of(small))
        self.greys.append(grey_copy(io.BytesIO(encode(small))))
        self.vectors.append(answer.regions[0].embedding)

    def pairs(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pairs among the chosen pictures, by their places among them."""
        there = np.arange(len(chosen))
        pixels = np.frombuffer(b"".join(self.greys), dtype=np.uint8).reshape(-1, HASH_SIDE, HASH_SIDE)[chosen]
        known = Hashes(
            there, np.array(self.hashes, dtype=np.int64)[chosen], None, np.zeros(len(chosen), dtype=np.int64)
        )
        return pairs_of(known, Stored(there, there, np.stack(self.vectors)[chosen]), Stored(there, there, pixels))[0]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    count = options.pictures
    spec = PipelineSpec(
        digest="bench",
        detector=None,
        classifier=options.model,
        identifier=None,
        thresholds={},
        crop_margin=0.0,
        whole_image_when_nothing_found=True,
    )
    measured = Measured(load_pipeline(spec, device="cpu"))
    plain = [taken(number, number % 8, number) for number in range(count)]
    made = {"": plain, **{name: [edit(one) for one in plain] for name, edit in EDITS.items()}}
    made |= {name: [draw(number) for number in range(count)] for name, draw in SCENES.items()}
    for pictures in made.values():
        for picture in pictures:
            measured.add(picture)
    shares, strangers, pairs = {}, 0, 0
    for place, name in enumerate(list(made)[1:], 1):
        # Beside the originals alone, so that no edit is found by way of another.
        found = measured.pairs(np.r_[:count, place * count : (place + 1) * count])
        same = found[:, 1] - found[:, 0] == count
        shares[name], strangers, pairs = int(same.sum()) / count, strangers + int((~same).sum()), pairs + len(found)
    return {"pictures": count, "shares": shares, "pairs": pairs, "strangers": strangers}


def main() -> None:
    parser = argparse.ArgumentParser(prog="osprey bench duplicates", description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--model", type=Path, help="a classifier's folder; the one in use without it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.model = options.model or starter()
    found = measure(options)
    if options.json:
        print(json.dumps(found))
        return
    for name, share in found["shares"].items():
        print(f"{name:36} {share:6.1%}")
    print(f"pairs found {found['pairs']:,}; of different scenes {found['strangers']:,}")


if __name__ == "__main__":
    main()
