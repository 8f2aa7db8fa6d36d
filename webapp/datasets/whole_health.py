"""The health of a project's data in one dictionary: the last analysis, and what straddles its newest snapshot."""

from __future__ import annotations

from typing import Any

from webapp.datasets.leaks import present_state
from webapp.datasets.models import Snapshot
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


def whole_health(project: Project, analysis: Analysis | None) -> dict[str, Any]:
    """What the analysis reported; findings are counted as they are now, since people settle them."""
    report = dict(analysis.report) if analysis is not None else {}
    open_now = count_findings(project)
    report |= {name: open_now.get(kind, 0) for name, kind in LIVE_COUNTS.items()}
    report["leaks"] = [*report.get("leaks", []), *snapshot_leaks(project)]
    return report


def snapshot_leaks(project: Project) -> list[dict[str, Any]]:
    """Near-duplicates and sequences that lie in several parts of the newest snapshot by what is known now."""
    newest = Snapshot.objects.filter(project=project).order_by("-pk").first()
    if newest is None:
        return []
    now = present_state(newest)
    return [
        {
            "kind": kind,
            "id": row["id"],
            "between": f"parts of the snapshot {newest.name}",
            "parts": row["parts"],
            "some": row["images"],
        }
        for kind, name in (("cluster", "clusters"), ("sequence", "sequences"))
        for row in now[name]
    ]
