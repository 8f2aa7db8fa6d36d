"""Snapshots as they are: found, listed, annotated."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.datasets.models import Freezing, Snapshot, SnapshotEntry
from webapp.errors import Invalid, NotFound
from webapp.images.models import Upload
from webapp.projects.models import Project

LONGEST_NOTE = 2000


def snapshots_of(project: Project) -> QuerySet[Snapshot]:
    """Whole ones, newest first; one whose entries are still being written is not there yet."""
    rows = Snapshot.objects.filter(project=project).exclude(digest="")
    return rows.select_related("parent", "frozen_by", "leak_signed_by").order_by("-pk")


def snapshot_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.VIEW_PROJECT) -> Snapshot:
    """The snapshot, if `actor` may do `action` there; NotFound where the project is hidden."""
    rows = Snapshot.objects.exclude(digest="").select_related("project", "parent", "frozen_by", "leak_signed_by")
    snapshot = rows.filter(uid=uid).first()
    if snapshot is None or not allowed(actor, Action.VIEW_PROJECT, snapshot.project):
        raise NotFound(f"There is no snapshot {uid} that you may see.")
    require(actor, action, snapshot.project)
    return snapshot


def snapshot_named(project: Project, text: str) -> Snapshot:
    """By name, uid, or the beginning of a digest that is clear."""
    rows = Snapshot.objects.filter(project=project).exclude(digest="")
    by_name = rows.filter(name=text).first()
    if by_name is not None:
        return by_name
    found = [one for one in rows if str(one.uid) == text or (len(text) >= 6 and one.digest.startswith(text))]
    if len({one.digest for one in found}) != 1:
        names = ", ".join(rows.order_by("-pk").values_list("name", flat=True)[:8]) or "none yet"
        raise NotFound(f"{project} has no snapshot {text!r}. It has: {names}.")
    return found[-1]


def affected_by_withdrawals(project: Project, snapshots: Iterable[Snapshot]) -> set[int]:
    """Those with images of an import that was withdrawn since; asked by import, of which few are ever withdrawn."""
    gone = list(Upload.objects.filter(project=project, state=Upload.State.WITHDRAWN).values_list("pk", flat=True))
    if not gone:
        return set()
    rows = SnapshotEntry.objects.filter(snapshot__in=list(snapshots), image__upload__in=gone)
    rows = rows.exclude(image__withdrawn_at=None)
    return set(rows.order_by().values_list("snapshot", flat=True).distinct())


def freezing_by_uid(actor: Actor, uid: UUID) -> Freezing:
    row = Freezing.objects.select_related("project", "snapshot").filter(uid=uid).first()
    if row is None or not allowed(actor, Action.VIEW_PROJECT, row.project):
        raise NotFound(f"There is no freezing {uid} that you may see.")
    return row


def add_note(*, actor: Actor, snapshot: Snapshot, text: str) -> Snapshot:
    """One more line of notes, with day and name; notes are only added to, and are no part of the hash."""
    require(actor, Action.FREEZE, snapshot.project)
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_NOTE:
        raise Invalid(f"A note has 1 to {LONGEST_NOTE:,} characters.")
    with transaction.atomic():
        row = Snapshot.objects.select_for_update().get(pk=snapshot.pk)
        line = f"{timezone.now():%Y-%m-%d}, {actor}: {text}"
        row.notes = f"{row.notes}\n{line}".strip()
        row.save(update_fields=["notes"])
        audit.record(
            actor=actor,
            action="note on snapshot",
            project_id=row.project_id,
            subject=f"snapshot:{row.pk}",
            name=row.name,
            note=text,
        )
    return row
