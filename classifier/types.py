"""What the stages hand to each other: frozen, typed, nothing half-filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle relative to the upright image: origin top left, all four in 0..1."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a picture say, before any pixel is decoded.

    `width` and `height` are of the upright picture (EXIF orientation applied).
    """

    format: str
    media_type: str
    width: int
    height: int
    orientation: int
    frames: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the camera wrote beside the pixels; `captured_at` is naive, as in the file."""

    captured_at: datetime | None = None
    utc_offset_minutes: int | None = None
    camera_make: str = ""
    camera_model: str = ""
    camera_serial: str = ""
    latitude: float | None = None
    longitude: float | None = None
    altitude: float | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """An upright RGB picture, possibly at reduced scale.

    `pixels` is uint8, height x width x 3. `width` and `height` are of the full upright picture.
    `damaged_share` is the share of rows that could not be decoded, 0 for a whole picture.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    damaged_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Three measures in 0..1 (sharpness open-ended), taken from a small grey copy."""

    brightness: float
    contrast: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector said of one box."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class RegionAnswer:
    """One box (or, with `box` None, the whole image) and what the classifier says of it.

    `scores` is float32 in the order of the card's labels, sums to 1, and its argmax is `label`.
    `embedding` (the classifier's) and `identity_embedding` (the identifier's) are float16, L2-normalised, or None
    where none was asked for or the pipeline has no such version.
    """

    box: Box | None
    detection: Detection | None
    label: str
    score: float
    scores: NDArray[np.float32]
    embedding: NDArray[np.float16] | None = None
    identity_embedding: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything one pipeline says of one picture; `label` is that of the region with the highest score."""

    label: str
    score: float
    regions: tuple[RegionAnswer, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage failed for one picture; a value, so that its neighbours go on."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Which model folders answer together, and how. `digest` names it in caches and answers."""

    digest: str
    detector: Path | None = None
    classifier: Path | None = None
    identifier: Path | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    crop_margin: float = 0.0
    whole_image_when_nothing_found: bool = True
