"""Which images a version has seen: those it was trained on, or chosen by, and their near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.contract import TRAIN, VALIDATION, ManifestLine, Outcome, read_manifest

SEEN_PARTS = (TRAIN, VALIDATION)


class SeenImages(Exception):
    """A version saw images of the part it would be tested on. The fields say which; the text what to do instead."""

    def __init__(
        self, version: str, images: Sequence[int], near: Sequence[int], total: int, offer: str, side: str = ""
    ) -> None:
        self.version, self.images, self.near, self.total, self.offer = version, tuple(images), tuple(near), total, offer
        self.side = side
        parts = [f"{len(images)} by content"] if images else []
        parts += [f"{len(near)} as a near-duplicate"] if near else []
        first = ", ".join(str(one) for one in [*images, *near][:5])
        super().__init__(
            f"{version} saw {len(images) + len(near)} of the {total} test images while it was trained "
            f"({' and '.join(parts)}; image {first}), so its figures on them mean nothing. {offer}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (SeenImages, (self.version, self.images, self.near, self.total, self.offer, self.side))


@dataclass(frozen=True, slots=True)
class Seen:
    """Content hashes of images a version saw, and of those that were near-duplicates of one then."""

    direct: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()

    def __or__(self, other: Seen) -> Seen:
        return Seen(self.direct | other.direct, self.near | other.near)

    def __bool__(self) -> bool:
        return bool(self.direct)


def seen_in(manifest: Path) -> Seen:
    """What a version trained on this manifest saw: its train part, and the validation part that chose among epochs."""
    return seen_among(read_manifest(manifest)[1])


def seen_among(lines: Iterable[ManifestLine]) -> Seen:
    direct: set[str] = set()
    clusters: dict[int, list[str]] = {}
    touched: set[int] = set()
    for line in lines:
        if line.part in SEEN_PARTS:
            direct.add(line.sha256)
            if line.cluster is not None:
                touched.add(line.cluster)
        if line.cluster is not None:
            clusters.setdefault(line.cluster, []).append(line.sha256)
    near = {sha256 for cluster in touched for sha256 in clusters[cluster]} - direct
    return Seen(frozenset(direct), frozenset(near))


def refuse_seen(
    version: str, seen: Seen, outcomes: Sequence[Outcome], lines: Sequence[ManifestLine], *, offer: str, side: str = ""
) -> None:
    """Raise SeenImages when a test image, or one of its near-duplicates by today's clusters, was seen.

    `lines` are all of the manifest that the outcomes are of, the images left out of it included.
    """
    clusters = {line.cluster for line in lines if line.sha256 in seen.direct and line.cluster is not None}
    close = {line.sha256 for line in lines if line.cluster in clusters} if clusters else set()
    direct = [one.image for one in outcomes if one.sha256 in seen.direct]
    near = [
        one.image
        for one in outcomes
        if one.sha256 not in seen.direct and (one.sha256 in seen.near or one.sha256 in close)
    ]
    if direct or near:
        raise SeenImages(version, direct, near, len(outcomes), offer, side)
