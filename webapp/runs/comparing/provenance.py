"""What a version saw while it learned: the snapshots of its own training, and those of the versions it began from.

A head that learned at work has no snapshot: it saw what people had reviewed by then.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from training.contract import TRAIN, VALIDATION
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.reviews.models import NOT_A_PERSONS, NearDuplicate, Review
from webapp.runs.models import Run, WorkingHead
from webapp.versions.models import Version

SEEN_PARTS = (TRAIN, VALIDATION)
"""The validation part chose among epochs."""


def own_snapshots(version: Version) -> list[Snapshot]:
    """What this version itself was trained on, newest first; nothing where nobody knows."""
    rows = Snapshot.objects.filter(Q(runs__version=version) | Q(digest=_said_by_card(version))).exclude(digest="")
    by_digest: dict[str, Snapshot] = {}
    for snapshot in rows.select_related("project").distinct().order_by("-pk"):
        by_digest.setdefault(snapshot.digest, snapshot)
    return list(by_digest.values())


def lineage(version: Version) -> list[Version]:
    """The version, then those it began from: what any of them saw, it has seen."""
    found, waiting = {version.pk: version}, [version]
    while waiting:
        for parent in _before(waiting.pop(0)):
            if parent.pk not in found:
                found[parent.pk] = parent
                waiting.append(parent)
    return list(found.values())


def trained_on(version: Version) -> list[Snapshot]:
    """Its own snapshots, then those of the versions before it."""
    found: dict[str, Snapshot] = {}
    for one in lineage(version):
        found |= {row.digest: row for row in own_snapshots(one) if row.digest not in found}
    return list(found.values())


def heads_at_work(version: Version) -> list[WorkingHead]:
    """Itself or what it began from, where that learned while people worked."""
    return list(WorkingHead.objects.filter(version__in=lineage(version)).order_by("pk"))


def seen_images(version: Version, snapshot: Snapshot, part: str) -> int:
    """How many images of a part the version saw, by rows: quick, and blind for near-duplicates in snapshots."""
    entries = SnapshotEntry.objects.filter(snapshot__in=trained_on(version), part__in=SEEN_PARTS)
    seen = Q(image__in=entries.values("image"))
    for head in heads_at_work(version):
        reviewed = _reviewed_before(head)
        clusters = NearDuplicate.objects.filter(image__in=reviewed).values("cluster")
        alike = NearDuplicate.objects.filter(project=head.project_id, cluster__in=clusters)
        seen |= Q(image__in=reviewed) | Q(image__in=alike.values("image"))
    return SnapshotEntry.objects.filter(seen, snapshot=snapshot, part=part).count()


def _reviewed_before(head: WorkingHead) -> QuerySet[Review, Any]:
    rows = Review.objects.filter(image__project=head.project_id, pk__lte=head.up_to).exclude(how__in=NOT_A_PERSONS)
    return rows.order_by().values("image")


def _said_by_card(version: Version) -> str:
    return str(version.card.get("snapshot") or "none")


def _before(version: Version) -> list[Version]:
    """The versions that this one began from."""
    starts = Run.objects.filter(version=version).exclude(start_version=None).values("start_version")
    return list(Version.objects.filter(Q(pk=version.parent_id) | Q(pk__in=starts)))
