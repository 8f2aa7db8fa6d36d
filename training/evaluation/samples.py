"""The images of one part of a manifest whose truth is known, and what the manifest says beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.contract import TRAIN, ManifestHead, ManifestLine, ReportError, digest_of, read_manifest
from training.evaluation.tables import canonical
from training.labels import IGNORED, key_of


@dataclass(frozen=True, slots=True)
class Sample:
    """The images of a part whose truth is known, and what else a report needs of the manifest."""

    head: ManifestHead
    part: str
    lines: tuple[ManifestLine, ...]
    truth: tuple[str, ...]
    not_scored: Mapping[str, int]
    trained_on: Mapping[str, int]
    names: Mapping[str, str]
    digest: str


def sample_of(manifest: Path, part: str, *, merges: Mapping[str, str] | None = None) -> Sample:
    """Read one part; `merges` says what labels have been merged into since."""
    merges = merges or {}
    head, lines = read_manifest(manifest)
    ignored = {label.key for label in head.labels if label.kind == IGNORED}
    names = {label.key: label.name for label in head.labels}
    everything = list(lines)
    kept: list[ManifestLine] = []
    truths: list[str] = []
    left: Counter[str] = Counter()
    for line in everything:
        key = canonical(key_of(head, line), merges)
        if head.class_by == "individual" and line.part == part:
            names.update({one.individual: one.individual_name for one in line.annotations if one.individual_name})
        if line.part != part:
            continue
        reason = _why_not(line, key, ignored)
        if reason:
            left[reason] += 1
        else:
            kept.append(line)
            truths.append(key)
    if not kept:
        held = ", ".join(f"{count} {reason}" for reason, count in left.items()) or "it is empty"
        raise ReportError(
            f"The {part} part of {manifest} has no image whose truth is known ({held}): freeze one that has."
        )
    trained = trained_counts(head, everything, merges)
    return Sample(head, part, tuple(kept), tuple(truths), dict(left), trained, names, digest_of(manifest))


def trained_counts(head: ManifestHead, lines: Iterable[ManifestLine], merges: Mapping[str, str]) -> dict[str, int]:
    """Images of each label in the train part."""
    keys = (canonical(key_of(head, line), merges) for line in lines if line.part == TRAIN)
    return dict(Counter(key for key in keys if key))


def _why_not(line: ManifestLine, key: str, ignored: set[str]) -> str:
    if line.cannot_tell:
        return "cannot tell"
    if not key:
        return "no label"
    return "label is ignored" if key in ignored else ""
