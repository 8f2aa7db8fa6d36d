"""Divides images into parts: grouped, stratified, seeded, stable as data grows. No Django here.

Where wishes collide: (1) a group is in one part only; (2) a group that was trained on stays in train; (3) a group stays
where it was; (4) counts are exact. Two groups of different parts that became one go to train, and what the other parts
lost is told. Exact counts are reached by leaving images out, each with the reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from training.contract import LEFT_OUT, PARTS, TEST, TRAIN, VALIDATION
from webapp.datasets.quotas import largest_remainder, quotas

TRUSTED_SHARE = 0.5
"""A group may be tested on when at least this share of its labels is trusted; the others are then left out."""

BEYOND_COUNT = "beyond-count"
NOT_TRUSTED = "not-trusted"


@dataclass(frozen=True, slots=True)
class Member:
    """One image that may be used. `side` is its part in the snapshots before, `order` a stable random number."""

    image: int
    group: int
    stratum: str
    order: int
    trusted: bool = True
    side: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to divide: by shares, or by exact counts. `each`: every class is in every part it has the images for."""

    shares: Mapping[str, float]
    counts: Mapping[str, int] | None = None
    each: bool = False
    trusted_test: bool = True


@dataclass(frozen=True, slots=True)
class Moved:
    """An image that left the part it had, since its group became one with a group of another part."""

    image: int
    before: str


@dataclass
class Split:
    """`parts` by image; `short` says by how many images a part misses the count that was asked."""

    parts: dict[int, str] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    members: list[Member]
    strata: Counter[str]
    order: int
    may_test: bool
    part: str = ""
    is_kept: bool = False

    @property
    def size(self) -> int:
        return len(self.members)


class _Filling:
    """How full the parts are, in all and by class."""

    def __init__(self, groups: Iterable[_Group], shares: Mapping[str, float]) -> None:
        self.shares = shares
        self.of_class: Counter[str] = Counter()
        self.groups_of_class: Counter[str] = Counter()
        for group in groups:
            self.of_class.update(group.strata)
            self.groups_of_class.update(group.strata.keys())
        self.total = sum(self.of_class.values())
        self.held: dict[str, int] = dict.fromkeys(shares, 0)
        self.held_of: dict[str, Counter[str]] = {part: Counter() for part in shares}

    def put(self, group: _Group, part: str, sign: int = 1) -> None:
        group.part = part if sign > 0 else ""
        self.held[part] += sign * group.size
        here = self.held_of[part]
        for stratum, count in group.strata.items():
            here[stratum] += sign * count

    def fullness(self, group: _Group, part: str) -> float:
        """How full the part would be, relative to its share, with half of the group: the lowest takes it."""
        share, size = self.shares[part], group.size
        if share <= 0:
            return float("inf")
        value = size / self.total * (self.held[part] + size / 2) / (share * self.total)
        for stratum, count in group.strata.items():
            of_class = self.of_class[stratum]
            value += count / of_class * (self.held_of[part][stratum] + count / 2) / (share * of_class)
        return value

    def needs(self, group: _Group, part: str, each: bool) -> bool:
        """Whether a rare class of the group has nothing in this part yet, and groups enough to be there."""
        if part != TRAIN and self.held[part] + group.size > self.shares[part] * self.total:
            return False
        for stratum in group.strata:
            there = self.groups_of_class[stratum]
            if self.held_of[part][stratum] or not (each or there * self.shares[part] < 2):
                continue
            if there >= enough_for(part, each) and (part == TRAIN or self.held_of[TRAIN][stratum]):
                return True
        return False


def enough_for(part: str, each: bool) -> int:
    """How many groups a class needs before this part takes one of them."""
    return 1 if part == TRAIN else 2 if part == TEST and each else 3


def order_of(seed: int, sha256: str) -> int:
    """A stable random number of an image: the same in every database."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{sha256}".encode(), digest_size=8).digest(), "big")


def split(members: Sequence[Member], wish: Wish) -> Split:
    """A part, or a reason to be left out, for every member."""
    done = Split()
    groups = _groups(members)
    filling = _Filling(groups, wish.shares)
    if not filling.total:
        return done
    for group in groups:
        _keep_side(group, wish, filling, done)
    fresh = [group for group in groups if not group.part]
    _place_large(fresh, wish, filling)
    _place_single([group for group in fresh if not group.part], wish, filling)
    if wish.counts is not None:
        _repair(fresh, wish.counts, filling)
    for group in groups:
        _settle(group, wish, done)
    if wish.counts is not None:
        _trim(members, wish.counts, done)
    return done


def _groups(members: Iterable[Member]) -> list[_Group]:
    by_group: dict[int, list[Member]] = defaultdict(list)
    for member in members:
        by_group[member.group].append(member)
    made = []
    for some in by_group.values():
        trusted = sum(member.trusted for member in some)
        strata = Counter(member.stratum for member in some)
        order = min(member.order for member in some)
        made.append(_Group(some, strata, order, trusted >= TRUSTED_SHARE * len(some)))
    made.sort(key=lambda group: (group.order, group.members[0].image))
    return made


def _keep_side(group: _Group, wish: Wish, filling: _Filling, done: Split) -> None:
    """A group stays where it was; one whose images were in several parts goes to train."""
    sides = {member.side for member in group.members if member.side in wish.shares}
    if not sides:
        return
    part = sides.pop() if len(sides) == 1 else TRAIN
    group.is_kept = True
    filling.put(group, part)
    done.moved += [Moved(one.image, one.side) for one in group.members if one.side not in ("", part, LEFT_OUT)]


def _open_parts(group: _Group, wish: Wish) -> list[str]:
    """The parts a new group may go to."""
    barred = wish.trusted_test and not group.may_test
    return [part for part, share in wish.shares.items() if share > 0 and not (part == TEST and barred)] or [TRAIN]


def _place_large(groups: Iterable[_Group], wish: Wish, filling: _Filling) -> None:
    """Groups of several images, largest first, each where it fits best."""
    large = [group for group in groups if group.size > 1]
    for group in sorted(large, key=lambda group: (-group.size, group.order)):
        parts = _open_parts(group, wish)
        wanted = [part for part in parts if filling.needs(group, part, wish.each)]
        filling.put(group, min(wanted or parts, key=lambda part: filling.fullness(group, part)))


def _place_single(groups: Sequence[_Group], wish: Wish, filling: _Filling) -> None:
    """Images that are a group by themselves: quotas by class that reach the totals exactly."""
    by_class: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        by_class[group.members[0].stratum].append(group)
    if not by_class:
        return
    names = sorted(by_class)
    testable = {name: sum(g.may_test or not wish.trusted_test for g in by_class[name]) for name in names}
    counts = {name: len(by_class[name]) for name in names}
    wanted = largest_remainder({part: share * filling.total for part, share in wish.shares.items()}, filling.total)
    room = {part: max(0, wanted[part] - filling.held[part]) for part in wish.shares}
    there = {name: {part: filling.held_of[part][name] for part in wish.shares} for name in names}
    found = quotas(counts, testable, room, there, wish.shares, filling.groups_of_class, each=wish.each)
    for name in names:
        _deal(by_class[name], found[name], wish, filling)


def _deal(groups: Sequence[_Group], quota: Mapping[str, int], wish: Wish, filling: _Filling) -> None:
    """The class's images in their stable order: test takes the first it may have, then validation, train the rest."""
    left = {part: quota.get(part, 0) for part in (TEST, VALIDATION)}
    for group in groups:
        may_test = group.may_test or not wish.trusted_test
        if left[TEST] and may_test:
            part = TEST
        elif left[VALIDATION]:
            part = VALIDATION
        else:
            part = TRAIN
        if part in left:
            left[part] -= 1
        filling.put(group, part)


def _repair(groups: Sequence[_Group], counts: Mapping[str, int], filling: _Filling) -> None:
    """Move new groups out of parts that have more than asked, into parts that have less."""
    movable = sorted((group for group in groups if not group.is_kept), key=lambda group: (group.size, group.order))
    for part in PARTS:
        for group in movable:
            if filling.held.get(part, 0) >= counts.get(part, 0):
                break
            here = group.part
            allowed = part != TEST or group.may_test
            if here != part and allowed and filling.held[here] - group.size >= counts.get(here, 0):
                filling.put(group, here, -1)
                filling.put(group, part)


def _settle(group: _Group, wish: Wish, done: Split) -> None:
    for member in group.members:
        if group.part == TEST and wish.trusted_test and not member.trusted:
            done.parts[member.image] = LEFT_OUT
            done.left_out[member.image] = NOT_TRUSTED
        else:
            done.parts[member.image] = group.part


def _trim(members: Sequence[Member], counts: Mapping[str, int], done: Split) -> None:
    """Leave out what a part has beyond its count, evenly over the classes; images it had before stay first."""
    for part in PARTS:
        here = [member for member in members if done.parts[member.image] == part]
        wanted = counts.get(part, 0)
        if len(here) < wanted:
            done.short[part] = wanted - len(here)
        if len(here) <= wanted:
            continue
        by_class: dict[str, list[Member]] = defaultdict(list)
        for member in sorted(here, key=lambda one: (one.side != part, one.order, one.image)):
            by_class[member.stratum].append(member)
        keep = largest_remainder({name: wanted * len(some) / len(here) for name, some in by_class.items()}, wanted)
        for name, some in by_class.items():
            for member in some[keep[name] :]:
                done.parts[member.image] = LEFT_OUT
                done.left_out[member.image] = BEYOND_COUNT


def folds(members: Sequence[Member], count: int) -> dict[int, int]:
    """A fold for each image, groups kept together, classes spread evenly."""
    names = [str(number) for number in range(count)]
    groups = _groups(members)
    filling = _Filling(groups, dict.fromkeys(names, 1 / count))
    for group in sorted(groups, key=lambda group: (-group.size, group.order)):
        filling.put(group, min(names, key=lambda name: filling.fullness(group, name)))
    return {member.image: int(group.part) for group in groups for member in group.members}
