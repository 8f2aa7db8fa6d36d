"""An offered head in one sentence, with its two counts and the interval."""

from __future__ import annotations

from typing import Any

from webapp.projects.models import Project
from webapp.runs.models import WorkingHead

State = WorkingHead.State


def offered(project: Project) -> WorkingHead | None:
    """The head that waits for somebody's yes or no."""
    return WorkingHead.objects.filter(project=project, state=State.OFFERED).order_by("-pk").first()


def sentence(head: WorkingHead) -> str:
    """Nothing where it was not scored on enough to say anything."""
    said = head.score
    if not said.get("interval"):
        return ""
    low, high = said["interval"]
    other = "the head that suggests now" if said.get("by_head") else "the version in use"
    return (
        f"A head that learned from your {head.learned_from:,} verdicts was right on {said['right']:,} of the "
        f"{said['images']:,} it had not seen; {other} on {said['before']:,} "
        f"(difference {100 * said['difference']:.1f} %, 95 %: {100 * low:.1f} to {100 * high:.1f})."
    )


def words_of(head: WorkingHead) -> dict[str, Any]:
    """What REST tells of a head."""
    said = head.score
    return {
        "id": head.uid,
        "state": head.state,
        "reason": head.reason,
        "learned_from": head.learned_from,
        "version": head.version_id,
        "images": said.get("images", 0),
        "groups": said.get("groups", 0),
        "right": said.get("right", 0),
        "before": said.get("before", 0),
        "difference": said.get("difference"),
        "interval": said.get("interval"),
        "suggested": said.get("suggested", ""),
        "sentence": sentence(head),
        "created_at": head.created_at,
        "offered_at": head.offered_at,
        "decided_at": head.decided_at,
        "decided_by": head.decided_by.get_username() if head.decided_by else None,
    }
