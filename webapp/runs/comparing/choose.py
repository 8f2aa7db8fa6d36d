"""Which versions can be compared, on which snapshot, and what to offer where that would mean nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from training.contract import PARTS, SEEN_IMAGES, TEST
from webapp.datasets.models import Snapshot
from webapp.datasets.snapshots import snapshots_of
from webapp.errors import Conflict, Invalid
from webapp.projects.models import Project
from webapp.runs.comparing.provenance import heads_at_work, own_snapshots, seen_images
from webapp.runs.models import Evaluation, WorkingHead
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Version

FREEZE_WORDS = (
    "Freeze a new snapshot whose parent is the one it was trained on: what was trained on is never tested on. "
    "Then compare there."
)
TRAIN_WORDS = (
    "What learned at work saw all that people had reviewed by then, wherever a snapshot puts it. "
    "Train a head on the Train page: it learns from the train part alone. Then compare that."
)


def comparable(project: Project) -> QuerySet[Version]:
    """Classifiers that the project can use, newest first."""
    rows = Version.objects.filter(Q(project=project) | Q(project=None), role=Version.Role.CLASSIFIER)
    return rows.filter(broken_at=None).order_by("-pk")


def default_pair(project: Project) -> tuple[Version | None, Version | None]:
    """What answers now, and the newest version of the project that does not; heads for suggestions aside."""
    pipeline = active_pipeline(project)
    in_use = pipeline.classifier if pipeline is not None else None
    working = WorkingHead.objects.exclude(version=None).values("version")
    others = comparable(project).filter(project=project).exclude(pk__in=working)
    candidate = others.exclude(digest=in_use.digest).first() if in_use is not None else others.first()
    return in_use, candidate


def check_version(project: Project, version: Version) -> None:
    if version.role != Version.Role.CLASSIFIER:
        raise Invalid(f"{version} is a {version.get_role_display()}: classifiers are evaluated and compared.")
    if version.project_id not in (None, project.pk) and not version.is_starter:
        raise Invalid(f"{version} is a version of another project. Import it into {project.slug} first.")
    if version.broken_at is not None:
        raise Conflict(f"{version} cannot be used: {version.broken_reason}", code="version-broken")


def check_pair(project: Project, a: Version, b: Version) -> None:
    for version in (a, b):
        check_version(project, version)
    if a.digest == b.digest:
        raise Invalid(f"{a} and {b} are the same model: choose two.", code="same-version")


def check_part(project: Project, snapshot: Snapshot, part: str) -> None:
    if snapshot.project_id != project.pk:
        raise Invalid(f"{snapshot} is a snapshot of another project.")
    if part not in PARTS or not has_part(snapshot, part):
        there = ", ".join(name for name in PARTS if has_part(snapshot, name)) or "none"
        raise Invalid(f"{snapshot} has no image in the {part!r} part; it has: {there}.", code="no-such-part")


def has_part(snapshot: Snapshot, part: str) -> bool:
    return bool(snapshot.counts.get("parts", {}).get(part))


def default_snapshot(project: Project, b: Version, part: str = TEST) -> Snapshot:
    """The newest that b was trained or evaluated on and that has the part; else the newest that has it."""
    evaluated = Evaluation.objects.filter(version=b, state=Evaluation.State.DONE).values("snapshot")
    known = {row.pk for row in own_snapshots(b)} | set(evaluated.values_list("snapshot", flat=True))
    rows = [row for row in snapshots_of(project) if has_part(row, part)]
    if not rows:
        raise Invalid(f"No snapshot of {project} has a {part} part: freeze one that has.", code="no-snapshot")
    return next((row for row in rows if row.pk in known), rows[0])


# ---- what means nothing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """Why two versions cannot be compared there, and what can be done instead."""

    reason: str
    offer: dict[str, Any] = field(default_factory=dict)
    code: str = SEEN_IMAGES


def refusal_of(a: Version, b: Version, snapshot: Snapshot, part: str) -> Refused | None:
    """Whether either saw images of the part, as far as rows tell; near-duplicates are found by the comparison."""
    for seer, other in ((a, b), (b, a)):
        count = seen_images(seer, snapshot, part)
        if count:
            offer = offer_for(seer, other, snapshot, a, b)
            reason = (
                f"{seer} saw {count:,} of the {part} images of {snapshot} while it was trained, so its figures on them "
                f"mean nothing. {offer['words']}"
            )
            return Refused(reason, offer)
    return None


def offer_for(seer: Version, other: Version, snapshot: Snapshot, a: Version, b: Version) -> dict[str, Any]:
    """To compare on the test part that was set aside when the seer was trained, if neither saw that; else to freeze.

    For one that learned at work nothing was set aside: to train.
    """
    if heads_at_work(seer):
        return {"act": "train", "words": TRAIN_WORDS}
    for own in own_snapshots(seer):
        fits = own.pk != snapshot.pk and own.project_id == snapshot.project_id and has_part(own, TEST)
        if fits and not seen_images(other, own, TEST) and not seen_images(seer, own, TEST):
            older = ", the older version," if other.pk < seer.pk else ""
            newer = "newer " if own.pk > snapshot.pk else ""
            words = f"Evaluate {other}{older} on the {newer}test part, that of {own}, and compare there."
            place = {"snapshot": str(own.uid), "snapshot_name": own.name, "part": TEST}
            return {"act": "compare", "a": a.pk, "b": b.pk, **place, "words": words}
    return {"act": "freeze", "words": FREEZE_WORDS}
