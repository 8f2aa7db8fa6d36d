"""What changed from one snapshot to another: read line by line beside each other, with flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from training.contract import ManifestLine
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid

SHOWN = 60
KINDS = ("added", "removed", "relabelled", "moved", "redrawn")
"""`redrawn`: the same label and part, and other boxes, counts or individuals."""


def difference(before: Snapshot, after: Snapshot, *, shown: int = SHOWN) -> dict[str, Any]:
    """How many images of each kind, by label, and the first of them."""
    if before.project_id != after.project_id:
        raise Invalid("Only snapshots of the same project can be compared.")
    counts: Counter[str] = Counter()
    by_label: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    first: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    same = 0
    for old, new in _pairs(before, after):
        kinds = list(_kinds(old, new))
        same += not kinds
        for kind in kinds:
            counts[kind] += 1
            by_label[kind][_label(old, new)] += 1
            if len(first[kind]) < shown:
                first[kind].append(_shown(old, new))
    return {
        "before": {"id": str(before.uid), "name": before.name},
        "after": {"id": str(after.uid), "name": after.name},
        "same": same,
        **{kind: counts[kind] for kind in KINDS},
        "labels": {kind: dict(some.most_common()) for kind, some in by_label.items()},
        "images": first,
    }


def summary(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """The counts alone, kept with a snapshot about its parent."""
    whole = difference(before, after, shown=0)
    return {name: whole[name] for name in ("before", "same", *KINDS)}


Pair = tuple[ManifestLine | None, ManifestLine | None]


def _pairs(before: Snapshot, after: Snapshot) -> Iterator[Pair]:
    """The lines of both by image id; one that is not used counts as not there."""
    olds, news = _used(before), _used(after)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.image < new.image):
            yield old, None
            old = next(olds, None)
        elif old is None or new.image < old.image:
            yield None, new
            new = next(news, None)
        else:
            yield old, new
            old, new = next(olds, None), next(news, None)


def _used(snapshot: Snapshot) -> Iterator[ManifestLine]:
    return (line for line in manifest.read(snapshot)[1] if line.is_used)


def _kinds(old: ManifestLine | None, new: ManifestLine | None) -> Iterator[str]:
    if old is None or new is None:
        yield "added" if old is None else "removed"
        return
    if old.label != new.label:
        yield "relabelled"
    elif old.annotations != new.annotations:
        yield "redrawn"
    if old.part != new.part:
        yield "moved"


def _label(old: ManifestLine | None, new: ManifestLine | None) -> str:
    line = new or old
    return (line.label or "") if line is not None else ""


def _shown(old: ManifestLine | None, new: ManifestLine | None) -> dict[str, Any]:
    line = new or old
    return {
        "image": line.image if line else None,
        "path": line.path if line else "",
        "before": {"label": old.label, "part": old.part} if old else None,
        "after": {"label": new.label, "part": new.part} if new else None,
    }
