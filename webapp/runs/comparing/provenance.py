"""What a version saw while it learned: the snapshots of its own training, and those of the versions it began from."""

from __future__ import annotations

from django.db.models import Q

from training.contract import TRAIN, VALIDATION
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.runs.models import Run
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


def trained_on(version: Version) -> list[Snapshot]:
    """Its own snapshots, then those of the versions before it: what any of them saw, it has seen."""
    found: dict[str, Snapshot] = {}
    waiting, known = [version], {version.pk}
    while waiting:
        one = waiting.pop(0)
        found |= {row.digest: row for row in own_snapshots(one) if row.digest not in found}
        for parent in _before(one):
            if parent.pk not in known:
                known.add(parent.pk)
                waiting.append(parent)
    return list(found.values())


def seen_images(version: Version, snapshot: Snapshot, part: str) -> int:
    """How many images of a part the version saw, by the index of snapshots: quick, and blind for near-duplicates."""
    seen = SnapshotEntry.objects.filter(snapshot__in=trained_on(version), part__in=SEEN_PARTS)
    return SnapshotEntry.objects.filter(snapshot=snapshot, part=part, image__in=seen.values("image")).count()


def _said_by_card(version: Version) -> str:
    return str(version.card.get("snapshot") or "none")


def _before(version: Version) -> list[Version]:
    """The versions that this one began from."""
    starts = Run.objects.filter(version=version).exclude(start_version=None).values("start_version")
    return list(Version.objects.filter(Q(pk=version.parent_id) | Q(pk__in=starts)))
