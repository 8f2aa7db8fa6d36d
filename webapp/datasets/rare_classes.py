"""What to do with classes of few images: a balanced subset, and roles for identification. No image is lost."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from training.contract import TRAIN
from webapp.datasets.splits import Member

TOO_FEW = "class-too-small"
BEYOND_PER_CLASS = "beyond-per-class"
GALLERY, QUERY, UNSEEN = "gallery", "query", "unseen"


def balanced(members: Iterable[Member], *, min_images: int, per_class: int) -> dict[int, str]:
    """Who is left out, and why, so that classes of at least `min_images` have `per_class` each (0: all they have).

    The same images are chosen each time: by their stable random numbers.
    """
    by_class: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        by_class[member.stratum].append(member)
    left_out: dict[int, str] = {}
    for some in by_class.values():
        if len(some) < min_images:
            left_out.update((member.image, TOO_FEW) for member in some)
        elif per_class:
            beyond = sorted(some, key=_by_chance)[per_class:]
            left_out.update((member.image, BEYOND_PER_CLASS) for member in beyond)
    return left_out


def _by_chance(one: Member) -> tuple[bytes, int]:
    """Another draw than that of the parts: by its numbers, what was drawn to test first would be all that stays."""
    return hashlib.blake2b(one.order.to_bytes(8, "big"), digest_size=8).digest(), one.image


def hold_singletons_back(members: Sequence[Member]) -> set[int]:
    """Images of classes that are one group only: tested on, they are individuals that nobody has seen."""
    groups: dict[str, set[int]] = defaultdict(set)
    for member in members:
        groups[member.stratum].add(member.group)
    return {member.image for member in members if len(groups[member.stratum]) == 1}


def roles(members: Iterable[Member], parts: Mapping[int, str]) -> dict[int, str]:
    """Gallery is what may be compared with; a query has its animal there, an unseen one has not."""
    members = list(members)
    gallery = Counter(member.stratum for member in members if parts.get(member.image) == TRAIN)
    found = {}
    for member in members:
        if parts.get(member.image) == TRAIN:
            found[member.image] = GALLERY
        elif member.image in parts:
            found[member.image] = QUERY if gallery[member.stratum] else UNSEEN
    return found
