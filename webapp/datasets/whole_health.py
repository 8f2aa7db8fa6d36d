"""The health of a project's data in one dictionary: the last analysis, and what straddles its newest snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from webapp.datasets.groups import ALWAYS
from webapp.datasets.models import Snapshot
from webapp.datasets.since import Since, since
from webapp.datasets.snapshots import snapshots_of
from webapp.projects.models import Project
from webapp.reviews.health import count_findings
from webapp.reviews.models import Analysis, Finding

Kind = Finding.Kind
LIVE_COUNTS = {
    "suspects": Kind.SUSPECT,
    "duplicates_disagree": Kind.DUPLICATES_DISAGREE,
    "looks_new": Kind.LOOKS_NEW,
    "rare": Kind.RARE,
    "alike_unlabelled": Kind.CLUSTER,
}


def whole_health(project: Project, analysis: Analysis | None, *, wait: bool = False) -> dict[str, Any]:
    """What the analysis reported; findings are counted as they are now, since people settle them.

    `leaks_counted` is False while a worker is at the leaks of a large snapshot; with `wait` they are counted here.
    """
    report = dict(analysis.report) if analysis is not None else {}
    open_now = count_findings(project)
    report |= {name: open_now.get(kind, 0) for name, kind in LIVE_COUNTS.items()}
    newest = snapshots_of(project).first()
    known = since(newest, wait=wait) if newest is not None else Since({}, timezone.now())
    leaks = _leaks(newest, known.state) if newest is not None else []
    return report | {"leaks": [*report.get("leaks", []), *leaks], "leaks_counted": known.at is not None}


def _leaks(snapshot: Snapshot, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Near-duplicates and sequences that lie in several parts of the snapshot."""
    return [
        {
            "kind": kind,
            "id": row["id"],
            "between": f"parts of the snapshot {snapshot.name}",
            "snapshot": str(snapshot.uid),
            "parts": row["parts"],
            "some": row["images"],
        }
        for kind in ALWAYS
        for row in state.get(f"{kind}s", ())
    ]
