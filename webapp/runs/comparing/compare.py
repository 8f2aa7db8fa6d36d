"""Holds two versions against each other on the same frozen images; what that means, `training` works out.

waiting (until both are evaluated) -> leased -> done | failed. Refused where a version saw the images it would be
tested on: at once where rows tell, else when near-duplicates do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from training.contract import SEEN_IMAGES, TEST, Compared, ReportError, comparison_values, read_compared
from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.models import User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.errors import Conflict, OspreyError
from webapp.projects.models import Project
from webapp.runs import folder as folders
from webapp.runs.comparing.choose import (
    Refused,
    check_pair,
    check_part,
    default_snapshot,
    offer_for,
    refusal_of,
)
from webapp.runs.comparing.command import (
    Stopped,
    last_words,
    merges_of,
    never,
    run_command,
    work_folder,
    write_merges,
)
from webapp.runs.comparing.evaluate import ENDED_WORKER, evaluate_now, waiting_evaluation
from webapp.runs.comparing.outcomes import keep, path_in_store
from webapp.runs.comparing.provenance import trained_on
from webapp.runs.comparing.waiting import COMPARE, ready
from webapp.runs.models import Comparison, Evaluation
from webapp.runs.queue import TASK
from webapp.versions.models import Version

log = logging.getLogger(__name__)

FAILED = "comparison-failed"
STORED = "comparisons"
MOST_WAITING = 20
GALLERIES = ("fixed_images", "broken_images", "both_wrong_images")
JOINED = ("project", "version_a", "version_b", "snapshot__project", "a", "b", "by")
IDLE: dict[str, Any] = {"lease_token": "", "lease_until": None}


class ComparisonFailed(OspreyError):
    """The process ended with an error; the text is its own."""

    code = FAILED


def start_comparison(
    *,
    actor: Actor,
    project: Project,
    a: Version,
    b: Version,
    snapshot: Snapshot | None = None,
    part: str = TEST,
    here: bool = False,
) -> Comparison:
    """b, the candidate, against a, which is in use: the comparison there is, or one that workers carry out.

    Without a snapshot: the newest one that b was trained or evaluated on. `here`: the caller carries it out himself.
    """
    require(actor, Action.COMPARE, project)
    check_pair(project, a, b)
    chosen = snapshot or default_snapshot(project, b, part)
    check_part(project, chosen, part)
    with transaction.atomic():
        row = _row(a, b, chosen, part, actor.user)
        if (
            row.result
            and not _is_outdated(row)
            or row.state == leases.LEASED
            or row.a_id
            and row.state == leases.WAITING
        ):
            return row
        if Comparison.objects.filter(project=project, state=leases.WAITING).count() > MOST_WAITING:
            raise Conflict(f"{MOST_WAITING} comparisons of this project wait already: wait for some of them first.")
        _begin(row, refusal_of(a, b, chosen, part), actor.user)
        audit.record(
            actor=actor,
            action="compare",
            project_id=project.pk,
            subject=f"comparison:{row.pk}",
            a=a.name,
            b=b.name,
            snapshot=chosen.name,
            part=part,
        )
        if row.state == leases.WAITING and not here:
            _call(row)
    return row


def stop_comparison(*, actor: Actor, comparison: Comparison) -> Comparison:
    """End it before it is done. Evaluations that it waited for go on: they are of use by themselves."""
    require(actor, Action.COMPARE, comparison.project)
    rows = Comparison.objects.filter(pk=comparison.pk)
    with transaction.atomic():
        if not leases.stop(rows, Comparison.State.CANCELLED, code="", reason=f"Stopped by {actor}."):
            raise Conflict(f"This comparison is {comparison.get_state_display()} already.")
        audit.record(
            actor=actor,
            action="stop comparing",
            project_id=comparison.project_id,
            subject=f"comparison:{comparison.pk}",
        )
    comparison.refresh_from_db()
    return comparison


def carry_out_comparison(pk: int, *, should_stop: Callable[[], bool] = never) -> Comparison | None:
    """One comparison whose versions are evaluated; None when it is not to be had."""
    if not leases.take(ready(), pk):
        return None
    row = Comparison.objects.select_related(*JOINED).get(pk=pk)
    try:
        with leases.kept(row), work_folder() as folder:
            values = _values(row, folder, should_stop)
            leases.end(row, values.pop("state"), **values)
    except leases.LeaseLost:
        log.info("%s was stopped, or goes on elsewhere", row)
    except Stopped:
        leases.give_back(row)
    return Comparison.objects.select_related(*JOINED).get(pk=pk)


def compare_now(
    *, a: Version, b: Version, snapshot: Snapshot, part: str = TEST, should_stop: Callable[[], bool] = never
) -> Comparison:
    """The same at once, for a caller who holds the device; what is not evaluated yet is evaluated first.

    A refusal or failure is a state of the row, with its reason.
    """
    check_pair(snapshot.project, a, b)
    row = _row(a, b, snapshot, part, None)
    if row.state == Comparison.State.DONE and not _is_outdated(row):
        return row
    refused = refusal_of(a, b, snapshot, part)
    if refused is not None:
        _begin(row, refused, row.by)
        return row
    row.a, row.b = (evaluate_now(version=one, snapshot=snapshot, part=part, should_stop=should_stop) for one in (a, b))
    row.save(update_fields=["a", "b"])
    bad = next((one for one in (row.a, row.b) if one.state != Evaluation.State.DONE), None)
    if bad is not None:
        reason = f"{bad.version} could not be evaluated there: {bad.reason}"
        values: dict[str, Any] = {"state": Comparison.State.FAILED, "code": bad.code, "reason": reason}
    else:
        with work_folder() as folder:
            values = _values(row, folder, should_stop)
    Comparison.objects.filter(pk=row.pk).update(**values, **IDLE, done_at=Now())
    return Comparison.objects.select_related(*JOINED).get(pk=row.pk)


# ---- rows ------------------------------------------------------------------------------------------------------------


def _row(a: Version, b: Version, snapshot: Snapshot, part: str, by: User | None) -> Comparison:
    said = {"project": snapshot.project, "by": by}
    row, _ = Comparison.objects.select_related(*JOINED).get_or_create(
        version_a=a, version_b=b, snapshot=snapshot, part=part, defaults=said
    )
    return row


def _is_outdated(row: Comparison) -> bool:
    """Whether labels of either version were merged since."""
    merges = merges_of(row.project)
    labels = {label["key"] for version in (row.version_a, row.version_b) for label in version.card.get("labels", ())}
    now = {key for key in labels if key in merges}
    return row.state == Comparison.State.DONE and now != set(row.result.get("merged", ()))


def _begin(row: Comparison, refused: Refused | None, by: User | None) -> None:
    row.attempts, row.result, row.result_key, row.by = 0, {}, "", by
    row.lease_token, row.lease_until = "", None
    if refused is not None:
        row.state, row.code, row.reason, row.offer = (
            Comparison.State.FAILED,
            refused.code,
            refused.reason,
            refused.offer,
        )
        row.done_at = timezone.now()
    else:
        row.state, row.code, row.reason, row.offer, row.done_at = Comparison.State.WAITING, "", "", {}, None
        row.a, row.b = (
            waiting_evaluation(version, row.snapshot, row.part, by) for version in (row.version_a, row.version_b)
        )
    row.save()


def _call(row: Comparison) -> None:
    """Whoever has to do something now."""
    if ready().filter(pk=row.pk).exists():
        queue.send(COMPARE, row.pk, queue="io")
    else:
        queue.send(TASK, queue="train")


# ---- the work --------------------------------------------------------------------------------------------------------


def _values(row: Comparison, folder: Path, should_stop: Callable[[], bool]) -> dict[str, Any]:
    """What becomes of the row."""
    try:
        if leases.is_worn_out(row):
            raise ComparisonFailed(f"It ended its process {leases.GIVE_UP_AFTER} times.", code=ENDED_WORKER)
        found = _compared(row, folder, should_stop)
    except (OspreyError, ReportError, OSError, ValueError) as error:
        log.warning("%s failed", row, exc_info=True)
        what = getattr(error, "what", str(error))
        return {"state": Comparison.State.FAILED, "code": getattr(error, "code", FAILED), "reason": what}
    if found.refusal is not None:
        return _refused(row, found)
    whole = comparison_values(found.comparison) if found.comparison is not None else {}
    return {
        "state": Comparison.State.DONE,
        "code": "",
        "reason": "",
        "offer": {},
        "result": {name: value for name, value in whole.items() if name not in GALLERIES},
        "result_key": keep(folder / STORED, f"{STORED}/{row.uid}.json.gz"),
    }


def _refused(row: Comparison, found: Compared) -> dict[str, Any]:
    refusal = found.refusal
    if refusal is None:
        raise ComparisonFailed("There is neither a comparison nor a reason.")
    offer: dict[str, Any] = {}
    if refusal.code == SEEN_IMAGES:
        seer, other = (row.version_b, row.version_a) if refusal.side == "b" else (row.version_a, row.version_b)
        offer = offer_for(seer, other, row.snapshot, row.version_a, row.version_b)
        seen = f"{refusal.images:,} by content and {refusal.near:,} as a near-duplicate"
        count = f"{refusal.images + refusal.near:,} of the {refusal.total:,}"
        reason = (
            f"{seer} saw {count} {row.part} images of {row.snapshot} "
            f"while it was trained ({seen}), so its figures on them mean nothing. {offer['words']}"
        )
    else:
        reason = refusal.reason
    return {"state": Comparison.State.FAILED, "code": refusal.code, "reason": reason, "offer": offer}


def _compared(row: Comparison, folder: Path, should_stop: Callable[[], bool]) -> Compared:
    """The command reads both evaluations and what each version was trained on, and says all in one file."""
    sides = [_side(folder / name, one, row.part) for name, one in (("a", row.a), ("b", row.b))]
    seen = [
        word
        for name, version in (("a", row.version_a), ("b", row.version_b))
        for snapshot in trained_on(version)
        for word in (f"--{name}-trained-on", str(manifest.path_of(snapshot)))
    ]
    files = ["--manifest", str(manifest.path_of(row.snapshot)), "--out", str(folder / STORED)]
    merges = write_merges(row.project, folder / "merges.json")
    words = ["compare", *sides, *files, "--merges", str(merges), "--part", row.part, *seen]
    status = run_command(folder, words, should_stop=should_stop)
    if not (folder / STORED).exists():
        said = f"Its process was ended by signal {-status}." if status < 0 else last_words(folder)
        raise ComparisonFailed(said)
    return read_compared(folder / STORED)


def _side(folder: Path, evaluation: Evaluation | None, part: str) -> str:
    """A folder as `evaluate` leaves it, from the row and the store."""
    if evaluation is None or not evaluation.outcomes_key:
        raise ComparisonFailed("What a version said of each image was not kept: evaluate it again.")
    folder.mkdir()
    told = evaluation.report | {"name": evaluation.version.name}  # as people here know it
    (folder / folders.report_name(part)).write_text(json.dumps(told), encoding="utf-8")
    folders.link(path_in_store(evaluation.outcomes_key), folder / folders.outcomes_name(part))
    return str(folder)
