"""What changed from one snapshot to another: read line by line beside each other, with flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import training.contract as contract
from training.contract import ManifestLine
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid

SHOWN = 60
KINDS = ("added", "removed", "relabelled", "moved", "redrawn")
"""`redrawn`: the same label and part, and other boxes, counts or individuals."""


def difference(before: Snapshot, after: Snapshot, *, shown: int = SHOWN) -> dict[str, Any]:
    """How many images of each kind, by label, and the first of them."""
    require_one_project(before, after)
    is_equal = bool(before.digest) and before.digest == after.digest
    same = before.counts["used"] if is_equal else 0
    counts: Counter[str] = Counter()
    by_label: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    first: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    pairs: Iterable[Pair] = () if is_equal else _pairs(before, after)
    for old, new in pairs:
        kinds = list(_kinds(old, new))
        same += not kinds
        for kind in kinds:
            counts[kind] += 1
            by_label[kind][_label(old, new)] += 1
            if len(first[kind]) < shown:
                first[kind].append(_shown(old, new))
    return {
        **ends(before, after),
        "same": same,
        **{kind: counts[kind] for kind in KINDS},
        "labels": {kind: dict(some.most_common()) for kind, some in by_label.items()},
        "images": first,
    }


def require_one_project(before: Snapshot, after: Snapshot) -> None:
    if before.project_id != after.project_id:
        raise Invalid("Only snapshots of the same project can be compared.")


def ends(before: Snapshot, after: Snapshot) -> dict[str, dict[str, str]]:
    """Which two, by the names they have now."""
    return {
        "before": {"id": str(before.uid), "name": before.name},
        "after": {"id": str(after.uid), "name": after.name},
    }


Pair = tuple[ManifestLine | None, ManifestLine | None]
SAME: Pair = (None, None)


class _Row:
    """One line of a manifest, read only where somebody asks what it says."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.text = number, text

    @cached_property
    def line(self) -> ManifestLine:
        return contract.read_line(self.text, self.number)

    @property
    def image(self) -> int:
        return self.line.image

    @property
    def is_used(self) -> bool:
        return not contract.may_be_left_out(self.text) or self.line.is_used


def _pairs(before: Snapshot, after: Snapshot) -> Iterator[Pair]:
    """The lines of both by image id, SAME for two of one text; one that is not used counts as not there."""
    olds, news = _rows(before), _rows(after)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if old is not None and new is not None and old.text == new.text:
            if old.is_used:
                yield SAME
            old, new = next(olds, None), next(news, None)
        elif new is None or (old is not None and old.image < new.image):
            yield from _used(old, None)
            old = next(olds, None)
        elif old is None or new.image < old.image:
            yield from _used(None, new)
            new = next(news, None)
        else:
            yield from _used(old, new)
            old, new = next(olds, None), next(news, None)


def _rows(snapshot: Snapshot) -> Iterator[_Row]:
    _, texts = contract.read_manifest_texts(manifest.path_of(snapshot))
    return (_Row(number, text) for number, text in texts)


def _used(old: _Row | None, new: _Row | None) -> Iterator[Pair]:
    """The pair, if either line is used."""
    was, now = (row.line if row is not None and row.is_used else None for row in (old, new))
    if was is not None or now is not None:
        yield was, now


def _kinds(old: ManifestLine | None, new: ManifestLine | None) -> Iterator[str]:
    """None for SAME, and for two lines that differ in other things than label, boxes and part."""
    if old is None and new is None:
        return
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
