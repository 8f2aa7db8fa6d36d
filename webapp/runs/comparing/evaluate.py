"""Evaluates a version on a part of a snapshot, by the engine that serves, in a process of its own.

waiting -> leased -> done | failed. There is one for a version, snapshot and part: who asks again gets that.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from training.contract import TEST, follow
from webapp import leases, queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.models import User
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot
from webapp.errors import OspreyError
from webapp.runs import folder as folders
from webapp.runs.comparing.choose import check_part, check_version
from webapp.runs.comparing.command import (
    Stopped,
    Words,
    last_words,
    never,
    quiet,
    run_command,
    work_folder,
    write_merges,
)
from webapp.runs.comparing.outcomes import keep_outcomes, read_report_values
from webapp.runs.comparing.provenance import seen_images
from webapp.runs.comparing.waiting import tell_waiting
from webapp.runs.models import Evaluation
from webapp.runs.process import device_lock
from webapp.runs.queue import TASK
from webapp.versions.fetch import folder_of
from webapp.versions.models import Version

log = logging.getLogger(__name__)

FAILED, ENDED_WORKER = "evaluation-failed", "ended-worker"
SEEN_WORDS = "while it was trained: the figures flatter it."
TELL_SECONDS = 1.0
AGAIN = (Evaluation.State.FAILED, Evaluation.State.CANCELLED)
JOINED = ("version", "snapshot__project", "by")


class EvaluationFailed(OspreyError):
    """The process ended with an error; the text is its own."""

    code = FAILED


def start_evaluation(
    *, actor: Actor, version: Version, snapshot: Snapshot, part: str = TEST, here: bool = False
) -> Evaluation:
    """The evaluation of a version on a part: the one there is, or one that a train worker carries out.

    One that failed begins again. `here`: the caller carries it out himself.
    """
    require(actor, Action.COMPARE, snapshot.project)
    check_version(snapshot.project, version)
    check_part(snapshot.project, snapshot, part)
    with transaction.atomic():
        row = waiting_evaluation(version, snapshot, part, actor.user)
        if row.state == leases.WAITING:
            audit.record(
                actor=actor,
                action="evaluate",
                project_id=snapshot.project_id,
                subject=f"evaluation:{row.pk}",
                version=version.name,
                snapshot=snapshot.name,
                part=part,
            )
            if not here:
                queue.send(TASK, queue="train")
    return row


def waiting_evaluation(version: Version, snapshot: Snapshot, part: str, by: User | None = None) -> Evaluation:
    """The row as it is; a new one, and one that failed, waits."""
    row, _ = Evaluation.objects.get_or_create(version=version, snapshot=snapshot, part=part, defaults={"by": by})
    again = {"state": leases.WAITING, "code": "", "reason": "", "attempts": 0, "lease_until": None, "done_at": None}
    if Evaluation.objects.filter(pk=row.pk, state__in=AGAIN).update(**again):
        row.refresh_from_db()
    return row


def to_do() -> QuerySet[Evaluation]:
    """Evaluations that nobody is at work on, oldest first."""
    return leases.free(Evaluation.objects.all())


def carry_out_evaluation(pk: int, *, should_stop: Callable[[], bool] = never, say: Words = quiet) -> Evaluation | None:
    """One evaluation from its lease to its end; None when it is not to be had, or the device is taken."""
    with device_lock() as is_free:
        if not is_free or not leases.take(to_do(), pk):
            return None
        row = Evaluation.objects.select_related(*JOINED).get(pk=pk)
        try:
            with leases.kept(row), work_folder() as folder:
                _carry_out(row, folder, should_stop, say)
        except leases.LeaseLost:
            log.info("%s was stopped, or goes on elsewhere", row)
        except Stopped:
            leases.give_back(row)
        except (OspreyError, OSError, ValueError) as error:
            log.warning("%s failed", row, exc_info=True)
            leases.fail(row, getattr(error, "code", FAILED), getattr(error, "what", str(error)))
    row = Evaluation.objects.select_related(*JOINED).get(pk=pk)
    tell_waiting(row)
    return row


def evaluate_now(
    *,
    version: Version,
    snapshot: Snapshot,
    part: str = TEST,
    say: Words = quiet,
    should_stop: Callable[[], bool] = never,
) -> Evaluation:
    """The same at once, without lease or lock, for a caller who holds the device.

    A failure is a state of the row, with its reason. Raises Stopped when `should_stop`.
    """
    row = waiting_evaluation(version, snapshot, part)
    if row.state == Evaluation.State.DONE:
        return row
    row = Evaluation.objects.select_related(*JOINED).get(pk=row.pk)
    ended: dict[str, Any] = {"lease_token": "", "lease_until": None, "done_at": Now()}
    try:
        with work_folder() as folder:
            ended |= _evaluate(row, folder, should_stop, _teller(row, folder, say, has_lease=False))
    except (OspreyError, OSError, ValueError) as error:
        what = getattr(error, "what", str(error))
        ended |= {"state": Evaluation.State.FAILED, "code": getattr(error, "code", FAILED), "reason": what}
    Evaluation.objects.filter(pk=row.pk).update(**ended)
    row.refresh_from_db()
    tell_waiting(row)
    return row


# ---- the work --------------------------------------------------------------------------------------------------------


def _carry_out(row: Evaluation, folder: Path, should_stop: Callable[[], bool], say: Words) -> None:
    if leases.is_worn_out(row):
        leases.fail(
            row, ENDED_WORKER, f"It ended its process {leases.GIVE_UP_AFTER} times, perhaps for want of memory."
        )
        return
    values = _evaluate(row, folder, should_stop, _teller(row, folder, say, has_lease=True))
    leases.end(row, values.pop("state"), **values)


def _evaluate(
    row: Evaluation, folder: Path, should_stop: Callable[[], bool], look_after: Callable[[], None]
) -> dict[str, Any]:
    """What becomes of the row; raises EvaluationFailed with what the process said."""
    status = run_command(folder, _words(row, folder), should_stop=should_stop, look_after=look_after)
    if status != 0:
        said = f"Its process was ended by signal {-status}." if status < 0 else last_words(folder)
        raise EvaluationFailed(said)
    report = read_report_values(folder, row.part)
    seen = seen_images(row.version, row.snapshot, row.part)
    if seen:
        report["notes"] = [*report.get("notes", ()), f"{row.version} saw {seen:,} of these images {SEEN_WORDS}"]
    return {
        "state": Evaluation.State.DONE,
        "report": report,
        "seen": seen,
        "outcomes_key": keep_outcomes(row.version, row.snapshot, folder, row.part),
        "device": str((report.get("speed") or {}).get("device", ""))[:120],
        "progress": {},
        "code": "",
        "reason": "",
    }


def _words(row: Evaluation, folder: Path) -> list[str]:
    """The command with everything that it reads; the manifest is read where it lies in the store."""
    pictures = folder / folders.PICTURES
    pictures.write_text(json.dumps(folders.pictures_of(row.snapshot.project_id)), encoding="utf-8")
    merges = write_merges(row.snapshot.project, folder / "merges.json")
    files = ["--manifest", str(manifest.path_of(row.snapshot)), "--pictures", str(pictures), "--merges", str(merges)]
    return ["evaluate", str(folder_of(row.version)), *files, "--part", row.part, "--out", str(folder)]


def _teller(row: Evaluation, folder: Path, say: Words, *, has_lease: bool) -> Callable[[], None]:
    """Stores once a second how far it is; raises LeaseLost when somebody stopped it."""
    told, after = time.monotonic(), 0

    def tell() -> None:
        nonlocal told, after
        if time.monotonic() - told < TELL_SECONDS:
            return
        told = time.monotonic()
        progress = row.progress
        for end, said in follow(folder / folders.PROGRESS, after=after):
            after = end
            progress = {"stage": said.stage, "done": said.done, "of": said.of, "seconds_left": said.seconds_left}
        if progress != row.progress:
            row.progress = progress
            say(f"evaluating {row.version}: {progress['done']:,} of {progress['of']:,}")
        if has_lease:
            leases.renew(row, progress=progress)

    return tell
