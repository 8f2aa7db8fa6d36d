"""Carries out a trial in a train worker, under the device's lock and in a process of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.contract import read_rates
from webapp import leases
from webapp.errors import OspreyError
from webapp.runs.candidates.trials import JOINED, to_do
from webapp.runs.comparing.command import Stopped, last_words, never, run_command, work_folder
from webapp.runs.folder import write_folder
from webapp.runs.models import Run, Trial
from webapp.runs.process import LOG, device_lock

log = logging.getLogger(__name__)

FAILED, ENDED_WORKER = "trial-failed", "ended-worker"
NEEDED = ("seconds", "low", "high", "images_per_second", "device", "rates")


def carry_out_trial(pk: int, *, should_stop: Callable[[], bool] = never) -> Trial | None:
    """One trial from its lease to its end; None when it is not to be had, or the device is taken."""
    with device_lock() as is_free:
        if not is_free or not leases.take(to_do(), pk):
            return None
        row = Trial.objects.select_related(*JOINED).get(pk=pk)
        try:
            with leases.kept(row):
                _carry_out(row, should_stop)
        except leases.LeaseLost:
            log.info("%s was stopped, or goes on elsewhere", row)
        except Stopped:
            leases.release(row)
        except (OspreyError, OSError, ValueError) as error:
            log.warning("%s failed", row, exc_info=True)
            leases.fail(row, getattr(error, "code", FAILED), getattr(error, "what", str(error)))
    return Trial.objects.get(pk=pk)


def _carry_out(row: Trial, should_stop: Callable[[], bool]) -> None:
    if leases.is_worn_out(row):
        leases.fail(
            row, ENDED_WORKER, f"It ended its process {leases.GIVE_UP_AFTER} times, perhaps for want of memory."
        )
        return
    with work_folder() as folder:
        write_folder(_as_run(row), folder)
        status = run_command(folder, ["trial", str(folder)], should_stop=should_stop)
        result = _result(folder) if status == 0 else None
        said = f"Its process was ended by signal {-status}." if status < 0 else last_words(folder)
    if result is None:
        leases.fail(row, FAILED, said)
    else:
        leases.end(row, Trial.State.DONE, result=result, device=str(result["device"])[:120], code="", reason="")


def _result(folder: Path) -> dict[str, Any] | None:
    """The JSON object of the last line of its process; None where there is none such."""
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (ValueError, IndexError):
        return None
    is_whole = isinstance(found, dict) and all(name in found for name in NEEDED) and read_rates(found) is not None
    return found if is_whole else None


def _as_run(row: Trial) -> Run:
    """The run that it stands for, never saved: its folder is what a trial reads."""
    return Run(
        project=row.project,
        snapshot=row.snapshot,
        recipe=row.recipe,
        config={name: value for name, value in row.config.items() if name != "seed"},
        seed=row.config.get("seed", 0),
        start_version=row.start_version,
    )
