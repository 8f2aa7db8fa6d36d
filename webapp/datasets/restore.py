"""Back to a snapshot: its labels as new verdicts that one act undoes, or a new snapshot that equals it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import transaction

from training.contract import ManifestAnnotation, ManifestLine
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import gather, manifest
from webapp.datasets.freeze import add_entries, checked_name, newest_snapshot
from webapp.datasets.freeze_options import FreezeOptions
from webapp.datasets.models import Snapshot
from webapp.datasets.stored_difference import count_and_keep
from webapp.errors import Conflict
from webapp.images.models import Image
from webapp.projects.models import Individual, Label, Project
from webapp.reviews import standing
from webapp.reviews.models import Annotation, Change, Review

BATCH = 500
AT_ONCE = 10_000


@dataclass(frozen=True)
class Restored:
    """`left` are images beyond those of one call: the next one goes on with them. `change` None: nothing differed."""

    change: Change | None
    images: int
    left: int
    missing_words: int


def restore_labels(*, actor: Actor, snapshot: Snapshot, at_once: int = AT_ONCE) -> Restored:
    """Say again of each image what the snapshot says, where people say something else today.

    One change, undone as one. Verdicts on images that the snapshot did not use stay.
    """
    project = snapshot.project
    require(actor, Action.CURATE, project)
    words = _Words(project)
    change: Change | None = None
    restored = left = missing = 0
    for lines in _batches(snapshot):
        differing = _differing(project, lines)
        ready = [line for line in differing if words.has(line)]
        missing += len(differing) - len(ready)
        now = ready[: max(0, at_once - restored)]
        left += len(ready) - len(now)
        if not now:
            continue
        if change is None:
            what = f"Labels of {snapshot.name} restored"[:200]
            change = Change.objects.create(project=project, by=actor.user, what=what)
        _say_again(actor, change, now, words)
        restored += len(now)
    if change is not None:
        audit.record(
            actor=actor,
            action="restore labels",
            project_id=project.pk,
            subject=f"snapshot:{snapshot.pk}",
            name=snapshot.name,
            change=str(change.uid),
            images=restored,
        )
    return Restored(change, restored, left, missing)


def freeze_again(*, actor: Actor, snapshot: Snapshot, name: str = "") -> Snapshot:
    """A new snapshot, child of the newest, that equals an old one to the byte: the next split keeps its sides."""
    project = snapshot.project
    require(actor, Action.FREEZE, project)
    if snapshot.leak_report.get("total"):
        require(actor, Action.MANAGE_PROJECT, project)
    parent = newest_snapshot(project)
    if parent is not None and parent.digest == snapshot.digest:
        raise Conflict(f"The newest snapshot, {parent}, equals it already.")
    name = checked_name(project, name)
    counts = {key: value for key, value in snapshot.counts.items() if key != "difference"}
    made = Snapshot(
        project=project,
        parent=parent,
        digest="",
        manifest_key=snapshot.manifest_key,
        options=snapshot.options,
        seed=snapshot.seed,
        counts=counts,
        leak_report=snapshot.leak_report,
        leak_signed_by=actor.user if snapshot.leak_report.get("total") else None,
        notes=f"Equals {snapshot.name}.",
        frozen_by=actor.user,
    )
    made.name = str(made.uid)
    made.save(force_insert=True)
    add_entries(made)
    if parent is not None:
        made.counts["difference"] = count_and_keep(parent, made)
    with transaction.atomic():
        made.name, made.digest = checked_name(project, name), snapshot.digest
        made.save(update_fields=["name", "digest", "counts"])
        audit.record(
            actor=actor,
            action="freeze snapshot again",
            project_id=project.pk,
            subject=f"snapshot:{made.pk}",
            name=made.name,
            digest=made.digest,
        )
    return made


def _batches(snapshot: Snapshot) -> Iterator[list[ManifestLine]]:
    lines = (line for line in manifest.read(snapshot)[1] if line.is_used)
    while batch := list(islice(lines, BATCH)):
        yield batch


def _differing(project: Project, lines: Sequence[ManifestLine]) -> list[ManifestLine]:
    """Those of which something else, or nothing, is said today; withdrawn images are left alone."""
    words = gather.words_of(project)
    there = Image.objects.filter(project=project, withdrawn_at=None, pk__in=[line.image for line in lines])
    today = {line.image: line for line in gather.lines_of(there, words, FreezeOptions(negatives=True))}
    return [line for line in lines if line.image in today and not _same(line, today[line.image])]


def _same(line: ManifestLine, today: ManifestLine) -> bool:
    said = today.left_out not in ("unlabelled", "bad-image", "reviewers-disagree")
    alike = (line.label, line.annotations, line.cannot_tell) == (today.label, today.annotations, today.cannot_tell)
    return said and alike


class _Words:
    """Labels and individuals by what a manifest calls them."""

    def __init__(self, project: Project) -> None:
        labels = Label.objects.filter(project=project).select_related("merged_into")
        self.labels = {one.key: one.merged_into or one for one in labels}
        individuals = Individual.objects.filter(project=project).select_related("merged_into")
        self.individuals = {str(one.uid): one.merged_into or one for one in individuals}

    def has(self, line: ManifestLine) -> bool:
        return all(
            (one.label is None or one.label in self.labels)
            and (not one.individual or one.individual in self.individuals)
            for one in line.annotations
        )


@transaction.atomic
def _say_again(actor: Actor, change: Change, lines: Sequence[ManifestLine], words: _Words) -> None:
    standing.hold(line.image for line in lines)
    reviews = Review.objects.bulk_create(
        [
            Review(
                image_id=line.image,
                reviewer=actor.user,
                verdict=Review.Verdict.CANNOT_TELL if line.cannot_tell else Review.Verdict.LABELLED,
                how=Review.How.BULK,
                change=change,
                settles=True,
                fields=dict(line.fields),
                note=change.what,
            )
            for line in lines
        ],
        batch_size=BATCH,
    )
    Annotation.objects.bulk_create(
        [
            _annotation(review, position, one, words)
            for review, line in zip(reviews, lines, strict=True)
            for position, one in enumerate(line.annotations)
        ],
        batch_size=BATCH,
    )
    standing.refresh(line.image for line in lines)


def _annotation(review: Review, position: int, one: ManifestAnnotation, words: _Words) -> Annotation:
    x, y, width, height = one.box or (None, None, None, None)
    return Annotation(
        review=review,
        position=position,
        x=x,
        y=y,
        width=width,
        height=height,
        label=words.labels[one.label] if one.label else None,
        individual=words.individuals[one.individual] if one.individual else None,
        count=one.count,
        fields=dict(one.fields),
        **one.flags,
    )
