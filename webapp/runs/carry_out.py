"""Carries out one run: leased to one process, taught in a process of its own, followed, and ended in words.

waiting -> leased -> done | failed | cancelled. A worker that stops has the run written to its checkpoint and gives it
back; one that is killed takes the training process with it, and whoever leases the run next goes on from there.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

from django.db.models.functions import Coalesce, Now

from training.contract import (
    CANCELLED,
    DONE,
    EXIT_STATUS,
    LEARNED_NOTHING,
    ConfigError,
    Ended,
    ManifestError,
    read_ended,
)
from webapp import leases
from webapp.errors import OspreyError
from webapp.runs.comparing.command import Stopped
from webapp.runs.finish import finish
from webapp.runs.folder import ENDED, MODEL, clear, folder_of, write_folder
from webapp.runs.follow import Follower
from webapp.runs.models import Run
from webapp.runs.process import TRAINING, StillThere, Training, device_lock, training
from webapp.runs.queue import recognition_waits

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
TELL_SECONDS = 1.0
LAST_LINES = 12
ENDED_WORKER = "ended-worker"
FAILED = "training-failed"

Words = Callable[[str], None]


def never() -> bool:
    return False


def quiet(words: str) -> None:
    """Nobody listens."""


def carry_out(run_id: int, *, should_stop: Callable[[], bool] = never, say: Words = quiet) -> Run | None:
    """Train, publish and end one run, or as much of it as there is time for; None when it is not to be had here."""
    with device_lock() as is_free:
        row = _lease(run_id) if is_free else None
        if row is None:
            return None
        try:
            with leases.kept(row):
                _train(row, should_stop, say)
        except leases.LeaseLost:
            log.info("%s was cancelled, or goes on elsewhere", row)
        except Stopped:  # while its gate was at work
            leases.release(row)
        except OspreyError as error:
            leases.fail(row, error.code, error.what)
        except (ConfigError, ManifestError, OSError, ValueError, StillThere) as error:
            log.warning("%s failed", row, exc_info=True)
            leases.fail(row, FAILED, str(error))
    return Run.objects.get(pk=run_id)


def _lease(run_id: int) -> Run | None:
    # How far an earlier process was, or that it was asked to stop, is nothing of this one.
    begun = {"started_at": Coalesce("started_at", Now()), "host": socket.gethostname(), "progress": {}}
    if not leases.take(leases.free(Run.objects.all()), run_id, **begun):
        return None
    joined = ("project", "snapshot__project", "start_version", "started_by", "plan__by")
    row = Run.objects.select_related(*joined).get(pk=run_id)
    if leases.is_worn_out(row):
        leases.fail(row, ENDED_WORKER, _worn_out(row))
        return None
    return row


def _worn_out(row: Run) -> str:
    said = f" Before that: {row.reason}" if row.reason else ""
    return (
        f"It ended its process {leases.GIVE_UP_AFTER} times without a step forward, perhaps for want of memory: try a "
        f"smaller batch_size, or another recipe.{said}"
    )


def _train(row: Run, should_stop: Callable[[], bool], say: Words) -> None:
    folder = folder_of(row)
    if _was_published(folder):  # its worker ended between the last word of the training and the rows
        Follower(row, folder).read()
        finish(row, folder, should_stop=should_stop)
        return
    write_folder(row)
    leases.renew(row, reason="")
    with training(folder, [*TRAINING, "train", str(folder)]) as process:
        follower = Follower(row, folder)
        why = _look_after(row, process, follower, should_stop, say)
        status = process.stop() if why else process.poll()
        follower.read()
    leases.renew(row, **_said(follower))
    _settle(row, folder, status or 0, why, follower, should_stop)


def _look_after(row: Run, process: Training, follower: Follower, should_stop: Callable[[], bool], say: Words) -> str:
    """Until it ends by itself, or has to stop: then why. Raises LeaseLost when the run was cancelled."""
    told = 0.0
    while process.poll() is None:
        time.sleep(LOOK_SECONDS)
        if should_stop():
            return "its worker stops"
        if time.monotonic() - told < TELL_SECONDS:
            continue
        told = time.monotonic()
        if follower.read():
            say(in_words(follower.progress))
        if follower.has_advanced:
            row.attempts = 1  # whatever ends it from now on, it had come further
        leases.renew(row, attempts=row.attempts, **_said(follower))
        if row.when == "idle" and recognition_waits():
            return "recognition goes first"
    return ""


def _settle(row: Run, folder: Path, status: int, why: str, follower: Follower, should_stop: Callable[[], bool]) -> None:
    """What the exit status means for the row."""
    ended = _ended(folder)
    if status == EXIT_STATUS[DONE]:
        finish(row, folder, should_stop=should_stop)
    elif why:
        # Only a run that gave way pauses: one whose worker stops is to be had at once.
        leases.release(row, reason=why if row.when == "idle" else "")
    elif status == EXIT_STATUS[LEARNED_NOTHING]:
        leases.fail(row, LEARNED_NOTHING, ended.reason if ended else "It learned nothing.")
        clear(row)
    elif status < 0 or status == EXIT_STATUS[CANCELLED]:
        _again(row, f"The training process was ended by signal {-status}." if status < 0 else "It was asked to stop.")
    else:
        leases.fail(row, FAILED, (ended.reason if ended else "") or _last_lines(follower))


def _again(row: Run, reason: str) -> None:
    """Somebody or something ended the process: another try from the checkpoint, but not for ever."""
    if row.attempts >= leases.GIVE_UP_AFTER:
        row.reason = reason
        leases.fail(row, ENDED_WORKER, _worn_out(row))
    else:
        leases.write(row, state=leases.WAITING, lease_token="", lease_until=leases.end_of_lease(), reason=reason)


def _ended(folder: Path) -> Ended | None:
    path = folder / ENDED
    try:
        return read_ended(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None  # it was ended before it could say so


def _was_published(folder: Path) -> bool:
    ended = _ended(folder)
    return ended is not None and ended.state == DONE and (folder / MODEL).is_dir()


def _last_lines(follower: Follower) -> str:
    lines = [line for line in follower.log_tail().splitlines() if line.strip()]
    return "\n".join(lines[-LAST_LINES:]) or "The training process ended without a word: see the log of the worker."


def _said(follower: Follower) -> dict[str, object]:
    device = str(follower.progress.get("device", ""))[:120]
    return {"progress": follower.progress, "log": follower.log_tail(), "device": device}


def in_words(progress: dict[str, object]) -> str:
    """One line for the command line."""
    parts = [str(progress.get("stage", ""))]
    if progress.get("of") and (progress.get("done") or not progress.get("epoch")):
        parts.append(f"{progress.get('done', 0)} of {progress['of']}")
    if progress.get("epoch"):
        parts.append(f"epoch {progress['epoch']} of {progress.get('epochs', '?')}")
    if progress.get("images_per_second"):
        rate = float(str(progress["images_per_second"]))
        parts.append(f"{rate:.{0 if rate >= 10 else 1}f} images/s")
    return ", ".join(part for part in parts if part)
