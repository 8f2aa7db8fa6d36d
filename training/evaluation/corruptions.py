"""What is left of the accuracy when pictures are worse than those at hand: noise, blur, darkness, compression.

Seven kinds in five severities. The same picture, kind and severity is always changed in the same way.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from classifier.types import Decoded
from training.contract import Corrupted, ManifestLine
from training.evaluation.recognising import MISSING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.evaluation.recognising import Recogniser
    from training.evaluation.samples import Sample
    from training.pictures import Pictures

    Pixels = NDArray[np.uint8]

SEVERITIES = (1, 2, 3, 4, 5)
# Blur and pixelation are in shares of the picture's short side, so that they do not depend on its resolution.
_NOISE = (0.04, 0.08, 0.12, 0.18, 0.26)
_BLUR = (0.003, 0.006, 0.010, 0.015, 0.022)
_BRIGHTER = (0.10, 0.20, 0.30, 0.40, 0.50)
_DARKER = (0.70, 0.50, 0.35, 0.22, 0.12)
_CONTRAST = (0.70, 0.50, 0.35, 0.22, 0.12)
_QUALITY = (40, 25, 15, 10, 6)
_PIXELATED = (112, 80, 56, 40, 28)


def _noise(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    added = random.standard_normal(pixels.shape, dtype=np.float32) * (255 * _NOISE[severity - 1])
    return _clipped(pixels + added)


def _blur(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    radius = _BLUR[severity - 1] * min(pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _brighter(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    return _clipped(pixels + np.float32(255 * _BRIGHTER[severity - 1]))


def _darker(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    return _clipped(pixels * np.float32(_DARKER[severity - 1]))


def _flatter(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    mean = np.float32(pixels.mean())
    return _clipped((pixels - mean) * np.float32(_CONTRAST[severity - 1]) + mean)


def _compressed(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY[severity - 1])
    return np.asarray(Image.open(file).convert("RGB"))


def _pixelated(pixels: Pixels, severity: int, random: np.random.Generator) -> Pixels:
    picture = Image.fromarray(pixels)
    scale = min(1.0, _PIXELATED[severity - 1] / min(picture.size))
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.BOX
    )
    return np.asarray(small.resize(picture.size, Image.Resampling.NEAREST))


def _clipped(values: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


KINDS: dict[str, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "noise": _noise,
    "blur": _blur,
    "overexposed": _brighter,
    "dark": _darker,
    "low contrast": _flatter,
    "compression": _compressed,
    "pixelated": _pixelated,
}


def corrupted(pixels: Pixels, *, kind: str, severity: int, seed: int) -> Pixels:
    """A damaged copy; the original stays as it is. Raises ValueError for an unknown kind or severity."""
    if kind not in KINDS or severity not in SEVERITIES:
        raise ValueError(f"{kind!r} at {severity}: kinds are {', '.join(KINDS)}; severities 1 to 5")
    return KINDS[kind](np.ascontiguousarray(pixels), severity, np.random.default_rng((seed, severity)))


def robustness(
    recogniser: Recogniser,
    sample: Sample,
    pictures: Pictures,
    *,
    severities: Sequence[int],
    images: int = 500,
    batch: int = 32,
) -> tuple[Corrupted, ...]:
    """Accuracy for each kind and severity, on at most `images` of the sample, the same ones for every version."""
    order = sorted(range(len(sample.lines)), key=lambda place: sample.lines[place].sha256)[:images]
    lines = [sample.lines[place] for place in order]
    truth = {sample.lines[place].image: sample.truth[place] for place in order}
    keys = [label.key for label in recogniser.card.labels]
    rows = []
    for kind in KINDS:
        for severity in severities:
            answers = recogniser.recognise(lines, pictures, batch=batch, change=_changer(kind, severity))
            scores = [(one.scores, truth[one.line.image]) for one in answers if one.failure != MISSING]
            right = [row is not None and keys[int(row.argmax())] == wanted for row, wanted in scores]
            rows.append(Corrupted(kind, severity, len(right), float(np.mean(right))))
    return tuple(rows)


def _changer(kind: str, severity: int) -> Callable[[Decoded, ManifestLine], Decoded]:
    def change(decoded: Decoded, line: ManifestLine) -> Decoded:
        seed = int(line.sha256[:12] or "0", 16)
        return replace(decoded, pixels=corrupted(decoded.pixels, kind=kind, severity=severity, seed=seed))

    return change
