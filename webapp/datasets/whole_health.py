"""The health of a project's data in one dictionary: the last analysis, and what straddles its newest snapshot."""

from __future__ import annotations

import time
from typing import Any

from webapp.datasets.leaks import straddling_now
from webapp.datasets.models import Snapshot
from webapp.projects.models import Project
from webapp.reviews.health import count_findings
from webapp.reviews.models import Analysis, Finding

Kind = Finding.Kind
COUNTED_EACH_TIME = 50_000
"""Images of a snapshot whose leaks are looked for each time somebody asks."""
KEPT_SECONDS, MOST_KEPT = 600, 100
_kept: dict[tuple[int, int], tuple[float, list[dict[str, Any]]]] = {}
"""By snapshot and analysis. In this process and not in the broker: the page is there without it."""
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
    report["leaks"] = [*report.get("leaks", []), *snapshot_leaks(project, analysis)]
    return report


def snapshot_leaks(project: Project, analysis: Analysis | None) -> list[dict[str, Any]]:
    """Near-duplicates and sequences that lie in several parts of the newest snapshot.

    By what is known now; for a large snapshot by what was known at the last analysis, or ten minutes ago.
    """
    newest = Snapshot.objects.filter(project=project).order_by("-pk").first()
    if newest is None:
        return []
    if newest.counts.get("used", 0) <= COUNTED_EACH_TIME:
        return _leaks(newest)
    key, now = (newest.pk, analysis.pk if analysis else 0), time.monotonic()
    if key not in _kept or now - _kept[key][0] > KEPT_SECONDS:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = now, _leaks(newest)
    return _kept[key][1]


def _leaks(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [
        {
            "kind": kind,
            "id": row["id"],
            "between": f"parts of the snapshot {snapshot.name}",
            "parts": row["parts"],
            "some": row["images"],
        }
        for kind, row in straddling_now(snapshot)
    ]
