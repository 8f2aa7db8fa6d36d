"""Decides which image goes where, before anything is written: reads, groups, divides, and says what came of it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from django.db.models import Exists, OuterRef

import training.contract as contract
from training.contract import LEFT_OUT, PARTS, TEST, TRAIN, VALIDATION, ManifestHead, ManifestLabel, ManifestLine
from training.contract import ManifestSource as Source
from webapp.datasets import gather, rare_classes, splits
from webapp.datasets.freeze_options import FreezeOptions
from webapp.datasets.groups import ALWAYS, Groups
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.datasets.splits import Member, Moved, Wish, order_of
from webapp.errors import Invalid
from webapp.images.models import Image
from webapp.projects.models import Label, Project, Site, Visit

ENOUGH_GROUPS = 3
PLACES: Mapping[str, type[Site | Visit]] = {"site": Site, "visit": Visit}
LONGEST_PART = 64
Progress = Callable[[str, int, int], None]
"""Called with what is done now, how far it is, and how far it goes."""


@dataclass
class Draft:
    """Where each usable image goes. `spool` holds the lines as they were read, without parts.

    `groups` names each usable image's group, in the order of the lines.
    """

    head: ManifestHead
    options: FreezeOptions
    spool: IO[str]
    parts: dict[int, str]
    left_out: dict[int, str]
    groups: array[int]
    roles: dict[int, str] = field(default_factory=dict)
    folds: dict[int, int] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    short: dict[str, int] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()

    def lines(self) -> Iterator[tuple[ManifestLine, str]]:
        """Every image of the project, by id, in its part or left out with the reason; with its text, if final."""
        self.spool.seek(0)
        groups = iter(self.groups)
        for text in self.spool:
            line = contract.read_line(text)
            yield (line, text) if line.left_out else (self._placed(line, next(groups)), "")

    def _placed(self, line: ManifestLine, group: int) -> ManifestLine:
        reason = self.left_out.get(line.image, "")
        return replace(
            line,
            part=LEFT_OUT if reason else self.parts[line.image],
            left_out=reason,
            group=f"g{group}",
            role="" if reason else self.roles.get(line.image, ""),
            fold=None if reason else self.folds.get(line.image),
        )


@dataclass
class _Candidates:
    """The images that may be used, in the order they were read; columns, since there may be millions."""

    images: array[int] = field(default_factory=lambda: array("q"))
    orders: array[int] = field(default_factory=lambda: array("Q"))
    trusted: bytearray = field(default_factory=bytearray)
    labels: list[str] = field(default_factory=list)
    individuals: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)
    groups: Groups = field(default_factory=Groups)

    def add(self, line: ManifestLine, seed: int, keys: tuple[str, ...]) -> None:
        self.images.append(line.image)
        self.orders.append(order_of(seed, line.sha256))
        self.trusted.append(line.trusted)
        self.labels.append(line.label or "")
        self.individuals.append(line.individual)
        self.imported.append(line.imported_part)
        shared = ((key, getattr(line, key)) for key in keys)
        self.groups.add(pair for pair in shared if pair[1] not in ("", None))


def draft(
    project: Project, options: FreezeOptions, parent: Snapshot | None, spool: IO[str], progress: Progress
) -> Draft:
    """Everything a snapshot would be, from one view of the database; nothing is written but the spool."""
    with gather.one_view():
        words = gather.words_of(project)
        group_by = grouped_by(project, options)
        keys = tuple(dict.fromkeys((*ALWAYS, *group_by)))
        candidates, used_sources = _Candidates(), set()
        total = Image.objects.filter(project=project).count()
        for number, line in enumerate(gather.gathered(project, words, options), start=1):
            spool.write(contract.line_text(line))
            used_sources.add(line.source)
            if not line.left_out:
                candidates.add(line, options.seed, keys)
            if number % gather.BATCH == 0:
                progress("reading images and verdicts", number, total)
        sides = {} if options.split == "imported" else sides_before(parent)
    progress("dividing", total, total)
    class_by = _class_by(options, candidates)
    made = _divide(candidates, options, sides, class_by, group_by)
    made.spool, made.group_by = spool, group_by
    classes = set(candidates.labels if class_by == "label" else candidates.individuals) - {""}
    used = [one for one in words.sources.values() if str(one.uid) in used_sources]
    made.head = ManifestHead(
        project=project.slug,
        seed=options.seed,
        labels=tuple(_label(one, words) for one in words.labels.values() if one.merged_into_id is None),
        classes=tuple(sorted(classes)),
        class_by=class_by,
        parts=_parts_of(made),
        folds=options.folds,
        options={**options.stored(), "group_by": list(group_by)},
        sources=tuple(
            Source(str(one.uid), one.name, one.source, one.licence, one.checksum)
            for one in sorted(used, key=lambda one: one.pk)
        ),
    )
    return made


def grouped_by(project: Project, options: FreezeOptions) -> tuple[str, ...]:
    """What was asked; else the first of the project's own groups that it has enough of."""
    if options.group_by is not None:
        return options.group_by
    if options.split == "imported":
        return ()
    wanted = project.options.get("split", {}).get("group_by", ["site"])
    for key in wanted:
        if key in PLACES and _has_enough(project, key):
            return (key,)
        if key == "author" or (key == "individual" and options.split != "identity"):
            return (key,)
    return ()


def _has_enough(project: Project, key: str) -> bool:
    """Asked of each place by itself: to list the places of all images would read all images."""
    images = Image.objects.filter(**{"project": project, key: OuterRef("pk"), "withdrawn_at": None})
    places = PLACES[key]._default_manager.filter(Exists(images), project=project)
    return len(places.values_list("pk")[:ENOUGH_GROUPS]) >= ENOUGH_GROUPS


def sides_before(parent: Snapshot | None) -> dict[int, str]:
    """The last part of each image in the parent and all before it: who was trained on is never forgotten."""
    line: list[Snapshot] = []
    while parent is not None and parent not in line:
        line.append(parent)
        parent = parent.parent
    sides: dict[int, str] = {}
    for snapshot in reversed(line):
        rows = SnapshotEntry.objects.filter(snapshot=snapshot).exclude(part=LEFT_OUT).values_list("image_id", "part")
        sides.update(rows.iterator(chunk_size=5000))
    return sides


def _class_by(options: FreezeOptions, found: _Candidates) -> str:
    if options.class_by != "auto":
        return options.class_by
    named = sum(1 for one in found.individuals if one)
    return "individual" if options.split == "identity" or named * 2 > len(found.individuals) else "label"


def _divide(
    found: _Candidates, options: FreezeOptions, sides: dict[int, str], class_by: str, group_by: tuple[str, ...]
) -> Draft:
    classes = found.individuals if class_by == "individual" else found.labels
    roots = [found.groups.root(number) for number in range(len(found.images))]
    members = [
        Member(image, roots[n], classes[n], found.orders[n], bool(found.trusted[n]), sides.get(image, ""))
        for n, image in enumerate(found.images)
    ]
    left_out: dict[int, str] = {}
    if class_by == "individual" and (options.split == "identity" or options.min_images or options.per_class):
        left_out.update((member.image, "no-individual") for member in members if not member.stratum)
    if options.min_images or options.per_class:
        named = [member for member in members if member.image not in left_out]
        left_out |= rare_classes.balanced(named, min_images=options.min_images, per_class=options.per_class)
    usable = [member for member in members if member.image not in left_out] if left_out else members
    if class_by == "individual" and "individual" in group_by:
        # Each animal is in one part only, so there is nothing to spread: labels are.
        labels = dict(zip(found.images, found.labels, strict=True))
        usable = [replace(member, stratum=labels[member.image]) for member in usable]
    split = _imported(usable, found, options) if options.split == "imported" else _by_wish(usable, options)
    left_out |= split.left_out
    parts = split.parts
    for image in split.left_out:
        parts.pop(image, None)
    return Draft(
        head=ManifestHead("", 0),
        options=options,
        spool=None,  # type: ignore[arg-type]
        parts=parts,
        left_out=left_out,
        groups=array("q", (found.images[root] for root in roots)),
        roles=rare_classes.roles(usable, parts) if options.split == "identity" else {},
        folds=_folds(usable, parts, options.folds) if options.folds else {},
        moved=split.moved,
        short=split.short,
    )


def _folds(members: list[Member], parts: Mapping[int, str], count: int) -> dict[int, int]:
    return splits.folds([member for member in members if parts.get(member.image) == TRAIN], count)


def _by_wish(members: list[Member], options: FreezeOptions) -> splits.Split:
    counts = options.wanted_counts
    if counts is not None and sum(counts.values()) > len(members):
        raise Invalid(
            f"{sum(counts.values()):,} images are asked for and {len(members):,} can be used: ask for fewer, label "
            "more, or divide by shares.",
            code="too-few-images",
        )
    if options.singletons == "unseen":
        alone = rare_classes.hold_singletons_back(members)
        members = [replace(one, side=TEST) if one.image in alone and not one.side else one for one in members]
    wish = Wish(
        shares=options.wanted_shares,
        counts=counts,
        each=options.split == "identity",
        trusted_test=options.test_labels == "trusted",
    )
    return splits.split(members, wish)


def _imported(members: list[Member], found: _Candidates, options: FreezeOptions) -> splits.Split:
    """The parts as they came; nothing is moved, and leaks are for the report to find."""
    parts = dict(zip(found.images, found.imported, strict=True))
    done = splits.Split()
    for member in members:
        part = part_named(parts[member.image])
        if not part:
            done.left_out[member.image] = "no-imported-part"
        elif part == TEST and options.test_labels == "trusted" and not member.trusted:
            done.left_out[member.image] = splits.NOT_TRUSTED
        else:
            done.parts[member.image] = part
    if members and not done.parts:
        raise Invalid("None of these images came with a part: divide them by shares.", code="no-imported-part")
    return done


def part_named(text: str) -> str:
    """The usual three by their many names; any other keeps its own."""
    word = text.strip().lower().replace("_", " ").replace("-", " ")
    for begins, part in (("train", TRAIN), ("val", VALIDATION), ("dev", VALIDATION), ("test", TEST), ("holdout", TEST)):
        if word.startswith(begins):
            return part
    return "-".join(word.removesuffix(" data").split())[:LONGEST_PART]


def _parts_of(made: Draft) -> tuple[str, ...]:
    others = sorted(set(made.parts.values()) - set(PARTS))
    return (*PARTS, *others)


def _label(one: Label, words: gather.Words) -> ManifestLabel:
    parent = words.label(one.parent_id)
    return ManifestLabel(one.key, one.name, one.kind, one.scientific_name, parent.key if parent else "")
