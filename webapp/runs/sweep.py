"""Keeps runs going without messages: frees those whose worker is gone, wakes an idle worker, gives space back."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from webapp import leases, queue
from webapp.predictions.models import Worker
from webapp.runs.candidates.trials import to_do as trials_to_do
from webapp.runs.comparing.command import remove_left_behind
from webapp.runs.comparing.evaluate import to_do as evaluations_to_do
from webapp.runs.comparing.waiting import wake_all
from webapp.runs.folder import FOLDER, clear
from webapp.runs.models import Comparison, Evaluation, Run, Trial
from webapp.runs.queue import TASK, startable

ALIVE = timedelta(seconds=30)
KEPT = timedelta(days=7)
"""How long the checkpoint of a run that failed or was cancelled waits for somebody to take the run up again."""


def sweep() -> None:
    free_the_orphaned()
    waits = evaluations_to_do().exists() or trials_to_do().exists() or startable().exists()
    if waits and idle_workers() > 0:
        queue.send(TASK, queue="train")
    wake_all()
    give_space_back()
    remove_left_behind()


def free_the_orphaned() -> None:
    """What a killed worker of this machine was at need not wait for its lease to end."""
    for model in (Run, Evaluation, Comparison, Trial):
        for row in model._default_manager.filter(state=leases.LEASED):
            leases.take_from_the_dead(row)


def idle_workers() -> int:
    """Workers that could begin a run: a message to the others would only lie there."""
    alive = Worker.objects.filter(queue="train", seen_at__gt=Now() - ALIVE).count()
    busy = {"state": leases.LEASED, "lease_until__gt": Now()}
    return alive - sum(model._default_manager.filter(**busy).count() for model in (Run, Evaluation, Trial))


def give_space_back() -> None:
    """Of runs that nobody took up again, and of runs whose project is gone."""
    root = Path(settings.DATA_DIR) / FOLDER
    folders = {path.name: path for path in root.iterdir()} if root.is_dir() else {}
    known = {str(run.uid): run for run in Run.objects.filter(uid__in=[name for name in folders if _is_uid(name)])}
    for name, path in folders.items():
        run = known.get(name)
        if run is None and _is_uid(name):
            shutil.rmtree(path, ignore_errors=True)
        elif run is not None and run.done_at is not None and run.state != Run.State.DONE:
            _clear_if_old(run)


def _clear_if_old(run: Run) -> None:
    if Run.objects.filter(pk=run.pk, done_at__lt=Now() - KEPT).exists():
        clear(run)


def _is_uid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
