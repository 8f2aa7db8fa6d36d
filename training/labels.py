"""Which answers a run learns to give: the labels (or individuals) of the manifest that have training images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from classifier.card import Label
from training.contract import ManifestHead, ManifestLabel, ManifestLine

IGNORED = "ignore"


class LabelsError(Exception):
    """There is nothing to learn from; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Labels in the order of the network's outputs, and the inner labels of their tree."""

    labels: tuple[Label, ...]
    ancestors: tuple[Label, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(label.key for label in self.labels)

    @property
    def index(self) -> Mapping[str, int]:
        """Output of each key."""
        return {label.key: number for number, label in enumerate(self.labels)}


def key_of(head: ManifestHead, line: ManifestLine) -> str:
    """What an image shows, as a key: its individual, its label, or if it is empty the background label; '' for none."""
    if head.class_by == "individual":
        return line.individual
    return line.label or next((label.key for label in head.labels if label.kind == "background"), "")


def label_set(head: ManifestHead, train: Iterable[ManifestLine], *, min_images: int = 1) -> LabelSet:
    """The labels with at least `min_images` training images, in the manifest's order."""
    lines = list(train)
    counts = Counter(key_of(head, line) for line in lines)
    known = _individuals(lines) if head.class_by == "individual" else {label.key: label for label in head.labels}
    kept = [
        label
        for key, label in known.items()
        if counts[key] >= max(1, min_images) and label.kind != IGNORED and key in counts
    ]
    if len(kept) < 2:
        said = ", ".join(f"{key or 'no label'}: {count}" for key, count in counts.most_common(5)) or "none at all"
        enough = f"{min_images} or more training images" if min_images > 1 else "training images"
        remedy = "Label more pictures" + (", or lower min_images" if min_images > 1 else "")
        raise LabelsError(
            f"{'Only one label has' if kept else 'No label has'} {enough}; two are needed. "
            f"Training images by label: {said}. {remedy}."
        )
    keys = {label.key for label in kept}
    ancestors = _ancestors(known, kept)
    inside = keys | {label.key for label in ancestors}
    return LabelSet(
        tuple(_as_card(label, inside) for label in kept), tuple(_as_card(label, inside) for label in ancestors)
    )


def _individuals(lines: Iterable[ManifestLine]) -> dict[str, ManifestLabel]:
    found: dict[str, ManifestLabel] = {}
    for line in lines:
        if line.individual and line.individual not in found:
            names = [one.individual_name for one in line.annotations if one.individual == line.individual]
            found[line.individual] = ManifestLabel(line.individual, next(iter(names), "") or line.individual)
    return dict(sorted(found.items()))


def _ancestors(known: Mapping[str, ManifestLabel], kept: Iterable[ManifestLabel]) -> list[ManifestLabel]:
    keys = {label.key for label in kept}
    found: dict[str, ManifestLabel] = {}
    for label in kept:
        parent = label.parent
        while parent and parent in known and parent not in found:
            if parent not in keys:
                found[parent] = known[parent]
            if known[parent].parent == label.key:
                break
            parent = known[parent].parent
    return list(found.values())


def _as_card(label: ManifestLabel, inside: set[str]) -> Label:
    parent = label.parent if label.parent in inside else ""
    return Label(label.key, label.name, label.kind, (), parent, label.scientific_name)  # type: ignore[arg-type]
