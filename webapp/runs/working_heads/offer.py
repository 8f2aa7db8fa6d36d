"""A head in one sentence: an offered one with its two counts and the interval, and how far the newest one is."""

from __future__ import annotations

from typing import Any

from training.contract import difference_words, interval_words
from webapp.projects.models import Project
from webapp.runs.models import WorkingHead
from webapp.runs.working_heads.gather import space_version
from webapp.runs.working_heads.look import FEWEST_VERDICTS, verdicts_of
from webapp.versions.activate import active_pipeline

State = WorkingHead.State


def offered(project: Project) -> WorkingHead | None:
    """The head that waits for somebody's yes or no."""
    return WorkingHead.objects.filter(project=project, state=State.OFFERED).order_by("-pk").first()


def sentence(head: WorkingHead) -> str:
    """Nothing where it was not scored on enough to say anything."""
    said = head.score
    if not said.get("interval"):
        return ""
    other = "the head that suggests now" if said.get("by_head") else "the version in use"
    own = sum(images for _, images, _, _ in said.get("own", ()))
    if own in (0, said["images"]):
        who, unseen = f"A head that learned from your {head.learned_from:,} verdicts was", "it"
    else:  # what an earlier head of its chain was scored on, this one may have learned from
        who, unseen = f"Heads that learned from your verdicts, the newest from {head.learned_from:,}, were", "each"
    return (
        f"{who} right on {said['right']:,} of the {said['images']:,} {unseen} had not seen; "
        f"{other} on {said['before']:,} "
        f"(difference {difference_words(said['difference'])}, 95 %: {interval_words(said['interval'])})."
    )


def standing(project: Project) -> str:
    """What becomes of verdicts here; nothing where no version answers."""
    live = active_pipeline(project)
    if live is None:
        return ""
    if live.detector is not None:
        return (
            f"None learns here: {live.detector} looks for animals first, and a head at work reads whole pictures. "
            "Train a head on the Train page instead."
        )
    if space_version(live) is None:
        return "None learns here: what is in use gives no embeddings that a head could read."
    newest = WorkingHead.objects.filter(project=project).order_by("-pk").first()
    verdicts = verdicts_of(project)
    if newest is None:
        if verdicts >= FEWEST_VERDICTS:
            return "The first one is about to learn."
        return f"The first one learns after {FEWEST_VERDICTS} verdicts; there are {verdicts:,}."
    return _stands(newest)


def _stands(head: WorkingHead) -> str:
    said = sentence(head)
    it = f"{said} It" if said else f"One learned from {head.learned_from:,} verdicts and"
    return {
        State.WAITING: "One is about to learn.",
        State.LEASED: "One is learning now.",
        State.SCORED: f"{it} is scored on those given since; it is not better beyond doubt so far.",
        State.OFFERED: f"{it} is offered on the Review page.",
        State.ACCEPTED: f"{it} suggests in review.",
        State.DISMISSED: f"{it} was not wanted; the next one learns after many more.",
        State.REPLACED: f"{it} was replaced. {head.reason}".strip(),
        State.FAILED: f"The last one failed: {head.reason}",
    }[State(head.state)]


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
