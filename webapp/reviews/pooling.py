"""One suggestion for a sequence, from the answers to its frames. The answers themselves stay as they are.

An animal is on some frames of a burst and out of view on others. So where any frame shows an animal, frames that the
model takes for empty say nothing about which animal it is, and are left out; then each label's scores are averaged over
the frames that are left. The mean of scores, and not of their logarithms, because one frame with the animal's back to
the camera should weaken a label and not rule it out. Empty is suggested only when every frame is taken for empty.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

MOST_FRAMES = 32
TOP = 9


@dataclass(frozen=True)
class Frame:
    """What the model said of one frame: its answer, and the scores of all labels by key."""

    image_id: int
    key: str
    score: float
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Pooled:
    """Labels by pooled score, best first; how many frames were pooled, of how many with an answer."""

    scores: Sequence[tuple[str, float]]
    frames: int
    of: int
    telling: int
    """The image that says most for the best label."""


def pool(frames: Sequence[Frame], background: frozenset[str]) -> Pooled | None:
    """None where no frame has an answer."""
    if not frames:
        return None
    animals = [frame for frame in frames if frame.key not in background]
    counted = animals or list(frames)
    total: dict[str, float] = {}
    for frame in counted:
        for key, score in frame.scores.items():
            total[key] = total.get(key, 0.0) + score
    if animals:
        # Nothing is seen on some frames, but something is on one: the burst is not empty.
        total = {key: score for key, score in total.items() if key not in background}
    best = nlargest(TOP, total.items(), key=lambda item: item[1])
    first = best[0][0]
    telling = max(counted, key=lambda frame: (frame.scores.get(first, 0.0), -frame.image_id))
    return Pooled([(key, score / len(counted)) for key, score in best], len(counted), len(frames), telling.image_id)


def read_scores(raw: bytes, keys: Sequence[str], key: str, score: float) -> dict[str, float]:
    """Stored half-precision scores by label key; the answer's own score is exact. Without stored ones, that alone."""
    stored = dict(zip(keys, struct.unpack(f"<{len(raw) // 2}e", raw), strict=False)) if raw else {}
    stored[key] = score
    return stored
