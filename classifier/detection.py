"""From a detector's tensors to boxes: decoding and non-maximum suppression in numpy, the same for every back end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from classifier.card import Card, DetectorHead
from classifier.crops import as_box, to_picture
from classifier.errors import ModelError
from classifier.preprocessing import Window
from classifier.types import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Found:
    """One box; `label` is a position among the card's labels that are not background."""

    box: Box
    label: int
    score: float


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one picture before suppression: corners in pixels of the input, one score a label."""

    corners: NDArray[np.float64]
    scores: NDArray[np.float64]


def wanted_outputs(head: DetectorHead) -> tuple[str, ...]:
    """Names of the tensors a detector must answer."""
    return tuple(name for name in (head.boxes, head.scores, head.labels) if name)


def label_names(card: Card) -> tuple[str, ...]:
    """Keys a detector's score columns stand for: its labels without the background."""
    return tuple(label.key for label in card.labels if label.kind != "background")


def decode(card: Card, tensors: Mapping[str, NDArray[np.float32]], index: int) -> Candidates:
    """The candidates of picture `index` of a batch."""
    head = _head(card)
    count = len(label_names(card))
    if head.layout == "separate":
        boxes, scores = _separate(head, tensors, index, count)
    else:
        boxes, scores = _joined(head, tensors, index)
    if boxes.shape[-1] != 4 or scores.shape[-1] != count:
        raise ModelError(
            f"{card.name}: its tensors hold {boxes.shape[-1]} box values and {scores.shape[-1]} scores a box, "
            f"the card speaks of 4 and {count}. Correct detector.layout or labels."
        )
    corners = np.array(boxes, dtype=np.float64)
    if head.box_unit == "relative":
        rows, columns = card.input_size
        corners *= np.array([columns, rows, columns, rows])
    if head.box_form == "center":
        centers, halves = corners[:, :2], corners[:, 2:] / 2
        corners = np.concatenate([centers - halves, centers + halves], axis=1)
    return Candidates(corners, np.asarray(scores, dtype=np.float64))


def _head(card: Card) -> DetectorHead:
    if card.detector is None:
        raise ModelError(f"{card.name} is not a detector: its card has no detector block")
    return card.detector


def _joined(
    head: DetectorHead, tensors: Mapping[str, NDArray[np.float32]], index: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    values = tensors[head.boxes][index]
    if head.layout == "columns":
        values = values.T
        return values[:, :4], values[:, 4:]
    return values[:, :4], values[:, 4:5] * values[:, 5:]


def _separate(
    head: DetectorHead, tensors: Mapping[str, NDArray[np.float32]], index: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    boxes, scores = tensors[head.boxes][index], tensors[head.scores][index]
    if not head.labels:
        return boxes, scores.reshape(len(boxes), -1)
    labels = tensors[head.labels][index].reshape(-1).astype(np.int64) - head.first_label
    known = (labels >= 0) & (labels < count)
    spread = np.zeros((len(boxes), count), dtype=np.float32)
    spread[np.flatnonzero(known), labels[known]] = scores.reshape(-1)[known]
    return boxes, spread


def find(card: Card, candidates: Candidates, view: Window, *, width: int, height: int, threshold: float) -> list[Found]:
    """Boxes that count, best first, in shares of the upright picture."""
    head = _head(card)
    labels = candidates.scores.argmax(axis=1) if candidates.scores.size else np.zeros(0, dtype=np.int64)
    best = candidates.scores.max(axis=1) if candidates.scores.size else np.zeros(0)
    kept = np.flatnonzero((best >= threshold) & np.isfinite(candidates.corners).all(axis=1))
    kept = kept[np.argsort(-best[kept], kind="stable")]
    kept = suppress(candidates.corners[kept], labels[kept], iou=head.iou_threshold, most=head.most_boxes, order=kept)
    corners = to_picture(candidates.corners[kept], view, width=width, height=height)
    return [
        Found(as_box(row), int(label), float(score))
        for row, label, score in zip(corners, labels[kept], best[kept], strict=True)
        if row[2] > row[0] and row[3] > row[1]
    ]


def suppress(
    corners: NDArray[np.float64], labels: NDArray[np.int64], *, iou: float, most: int, order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of boxes sorted best first, those no better box of the same label overlaps by more than `iou`."""
    chosen: list[int] = []
    alive = np.ones(len(corners), dtype=bool)
    for position in range(len(corners)):
        if not alive[position]:
            continue
        chosen.append(position)
        if len(chosen) == most:
            break
        overlap = intersection_over_union(corners[position], corners)
        alive &= ~((overlap > iou) & (labels == labels[position]))
    return order[np.array(chosen, dtype=np.int64)]


def intersection_over_union(one: NDArray[np.float64], many: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlap of one box with each of many, as corners."""
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:], many[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = np.clip(many[:, 2:] - many[:, :2], 0, None).prod(axis=1)
    own = np.clip(one[2:] - one[:2], 0, None).prod()
    return np.asarray(shared / np.maximum(areas + own - shared, 1e-12))
