"""Freezes what people say of a project's images into a snapshot: divided, hashed, never changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from training.contract import LEFT_OUT, PARTS, TEST, ManifestLine
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import manifest
from webapp.datasets.drafting import Draft, Progress, draft
from webapp.datasets.freeze_options import FreezeOptions, check
from webapp.datasets.gather import WORDS
from webapp.datasets.leaks import LeakFinder, in_words
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.datasets.stored_difference import count_and_keep
from webapp.datasets.tally import Tally
from webapp.errors import Conflict, Invalid
from webapp.projects.models import Label, Project
from webapp.rows import insert_rows

ENTRIES = 5000
MOVED_SHOWN = 200
HIDDEN_FOR = timedelta(days=1)
NOT_LISTED = ("unlabelled", "withdrawn")
"""Left-out images without an entry: the grid finds them by itself, and there may be a million."""


@dataclass(frozen=True)
class Outcome:
    """What a snapshot is, or would be."""

    counts: dict[str, Any]
    leaks: dict[str, Any]


def quiet(step: str, done: int, total: int) -> None:
    """Nobody listens."""


def freeze(
    *,
    actor: Actor,
    project: Project,
    options: FreezeOptions,
    name: str = "",
    parent: Snapshot | None = None,
    notes: str = "",
    sign_leak: str = "",
    progress: Progress = quiet,
) -> Snapshot:
    """Measure what is not measured, divide, write the manifest, add the rows. Takes minutes where there is much.

    `sign_leak` is why an admin lets images straddle the parts; without it a leak is refused. `parent` is the snapshot
    whose sides are kept.
    """
    require(actor, Action.FREEZE, project)
    if sign_leak:
        require(actor, Action.MANAGE_PROJECT, project)
    name = checked_name(project, name)
    _check_parent(project, parent)
    check(options)
    measure(project, progress)
    with _spool() as spool:
        made = draft(project, options, parent, spool, progress)
        if not made.parts:
            raise nothing_to_freeze(made)
        seen = _Seen(made)

        def refuse_a_leak() -> None:
            if seen.finder.report()["total"] and not sign_leak:
                raise leaking(seen.outcome())

        digest = manifest.write(made.head, seen.lines(progress), before_keeping=refuse_a_leak)
    outcome = seen.outcome()
    return _add(actor, project, name, parent, made, digest, outcome, notes, sign_leak, progress)


def preview(
    *,
    actor: Actor,
    project: Project,
    options: FreezeOptions,
    parent: Snapshot | None = None,
    progress: Progress = quiet,
) -> Outcome:
    """What `freeze` would give by what is known now: counts and leaks; nothing is measured or written."""
    require(actor, Action.FREEZE, project)
    check(options)
    _check_parent(project, parent)
    with _spool() as spool:
        seen = _Seen(draft(project, options, parent, spool, progress))
        for _ in seen.lines(progress):
            pass
    return seen.outcome()


def measure(project: Project, progress: Progress) -> None:
    """Hashes and near-duplicates of everything that is there: without them no split is safe."""
    from webapp.predictions.finish import measure_now
    from webapp.reviews.duplicates import find_clusters

    measure_now(project=project, progress=lambda done, total: progress("measuring pictures", done, total))
    progress("looking for near-duplicates", 0, 0)
    find_clusters(project=project)


def newest_snapshot(project: Project) -> Snapshot | None:
    return Snapshot.objects.filter(project=project).exclude(digest="").order_by("-pk").first()


def checked_name(project: Project, name: str) -> str:
    """The name, or the next number; no two snapshots of a project are called the same."""
    name = " ".join(name.split())
    taken = set(Snapshot.objects.filter(project=project).values_list("name", flat=True))
    if not name:
        number = len(taken) + 1
        while f"Snapshot {number}" in taken:
            number += 1
        return f"Snapshot {number}"
    if len(name) > 120:
        raise Invalid("A snapshot's name has at most 120 characters.")
    if name in taken:
        raise Conflict(f"There is a snapshot {name!r} already: choose another name.", code="snapshot-exists")
    return name


def nothing_to_freeze(made: Draft) -> Invalid:
    tally = Tally()
    for line, _ in made.lines():
        tally.add(line)
    why = ", ".join(f"{count:,} {WORDS[code]}" for code, count in tally.left_out.most_common(4)) or "no image yet"
    return Invalid(
        f"There is nothing to freeze: {why}. Review images, or import some with labels, then freeze.",
        code="nothing-to-freeze",
        left_out=dict(tally.left_out),
    )


def leaking(outcome: Outcome) -> Conflict:
    return Conflict(
        f"This split leaks: its parts share {in_words(outcome.leaks)}, so a test would flatter. Divide by shares, "
        "which keeps them together, or let an admin sign for it with the reason.",
        code="leak",
        leak_report=outcome.leaks,
        counts=outcome.counts,
    )


class _Seen:
    """The lines of a draft on their way, with what was counted and found."""

    def __init__(self, made: Draft) -> None:
        self.made, self.tally, self.finder = made, Tally(), LeakFinder(made.group_by)

    def lines(self, progress: Progress) -> Iterator[ManifestLine | str]:
        total = len(self.made.parts)
        for number, (line, text) in enumerate(self.made.lines(), start=1):
            self.tally.add(line)
            self.finder.add(line)
            if number % 5000 == 0:
                progress("writing the manifest", min(number, total), total)
            yield text or line

    def outcome(self) -> Outcome:
        counts, leaks = self.tally.counts(), self.finder.report()
        counts["moved"] = len(self.made.moved)
        counts["moved_images"] = [[one.image, one.before] for one in self.made.moved[:MOVED_SHOWN]]
        counts["short"] = self.made.short
        counts["class_by"], counts["group_by"] = self.made.head.class_by, list(self.made.group_by)
        counts["notices"] = _notices(self.made, counts)
        return Outcome(counts, leaks)


def _notices(made: Draft, counts: Mapping[str, Any]) -> list[str]:
    """What a person should know of this split, in sentences."""
    said, options = [], made.options
    wanted = {} if options.split == "imported" else options.wanted_shares
    empty = [part for part in PARTS if wanted.get(part) and not counts["parts"].get(part)]
    together = ", ".join(made.group_by)
    if TEST in empty and options.test_labels == "trusted" and not sum(counts["trusted"].values()):
        said.append(
            "The test part is empty: no label is blind, second-read or of a trusted import. Draw a blind audit on the "
            "Review page, or freeze with any labels in the test part."
        )
    elif empty:
        why = f"images that share their {together} stay together, and" if together else "there are too few images:"
        said.append(f"Empty: {', '.join(empty)}. Perhaps {why} no group is left for it. Group by less, or label more.")
    if made.moved:
        lost = ", ".join(f"{sum(one.before == part for one in made.moved):,} from {part}" for part in _lost_by(made))
        said.append(f"{len(made.moved):,} images went to train, since groups of two parts became one: {lost}.")
    for part, missing in made.short.items():
        said.append(f"The {part} part has {missing:,} images less than asked: its groups do not add up to the count.")
    if made.moved and empty:
        said.append("To group by more than before, start a fresh split: no parent.")
    verdicts = counts["cannot_tell"]
    if verdicts["used"]:
        said.append(
            f"Verdicts “cannot tell”: {verdicts['used']:,} used at the lowest label that was sure, "
            f"{verdicts['out']:,} left out."
        )
    return said


def _lost_by(made: Draft) -> list[str]:
    return sorted({one.before for one in made.moved})


def _spool() -> IO[str]:
    settings.INCOMING_DIR.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile("w+", encoding="utf-8", dir=settings.INCOMING_DIR)


def _check_parent(project: Project, parent: Snapshot | None) -> None:
    if parent is not None and parent.project_id != project.pk:
        raise Invalid(f"{parent} is a snapshot of another project.")


def _add(
    actor: Actor,
    project: Project,
    name: str,
    parent: Snapshot | None,
    made: Draft,
    digest: str,
    outcome: Outcome,
    notes: str,
    sign_leak: str,
    progress: Progress,
) -> Snapshot:
    """The row with its entries; hidden (no digest) until all entries are there, so that no writer waits for long."""
    Snapshot.objects.filter(project=project, digest="", frozen_at__lt=Now() - HIDDEN_FOR).delete()
    leaks = bool(outcome.leaks["total"])
    snapshot = Snapshot(
        project=project,
        parent=parent,
        digest="",
        manifest_key=manifest.key_of(digest),
        options=dict(made.head.options),
        seed=made.options.seed,
        counts=outcome.counts,
        leak_report=outcome.leaks | ({"signed": sign_leak} if leaks else {}),
        leak_signed_by=actor.user if leaks and sign_leak else None,
        notes=notes.strip(),
        frozen_by=actor.user,
    )
    snapshot.name = str(snapshot.uid)
    snapshot.save(force_insert=True)
    add_entries(snapshot, progress)
    if parent is not None:
        snapshot.counts["difference"] = count_and_keep(parent, snapshot)
    with transaction.atomic():
        snapshot.name, snapshot.digest = checked_name(project, name), digest
        snapshot.frozen_at = timezone.now()
        snapshot.save(update_fields=["name", "digest", "counts", "frozen_at"])
        audit.record(
            actor=actor,
            action="freeze snapshot",
            project_id=project.pk,
            subject=f"snapshot:{snapshot.pk}",
            name=snapshot.name,
            digest=digest,
            images=outcome.counts["used"],
            **({"leaks": outcome.leaks["total"], "signed": sign_leak} if leaks else {}),
        )
    return snapshot


def add_entries(snapshot: Snapshot, progress: Progress = quiet) -> None:
    """The index of a manifest, in short transactions."""
    labels = dict(Label.objects.filter(project=snapshot.project_id).values_list("key", "pk"))
    rows: list[SnapshotEntry] = []
    total = snapshot.counts["images"]
    _, lines = manifest.read(snapshot)
    for number, line in enumerate(lines, start=1):
        if line.left_out not in NOT_LISTED:
            rows.append(_entry(snapshot, line, labels))
        if len(rows) >= ENTRIES:
            _insert(rows)
            progress("keeping the index", number, total)
    _insert(rows)


def _entry(snapshot: Snapshot, line: ManifestLine, labels: Mapping[str, int]) -> SnapshotEntry:
    return SnapshotEntry(
        snapshot=snapshot,
        image_id=line.image,
        part=line.part,
        left_out=line.left_out,
        label_id=labels.get(line.label) if line.label else None,
        group=line.group if line.part != LEFT_OUT else "",
        fold=line.fold,
    )


def _insert(rows: list[SnapshotEntry]) -> None:
    with transaction.atomic():
        insert_rows(rows)
    rows.clear()
