"""The end of a run that learned something: collected, held against what is in use, let through or rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.db import transaction

from webapp import leases
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.runs.candidates.judging import follow_up, gate_values, judge
from webapp.runs.collect import collect
from webapp.runs.comparing.command import never
from webapp.runs.folder import clear
from webapp.runs.models import Run


def finish(run: Run, folder: Path, *, should_stop: Callable[[], bool] = never) -> None:
    """End the run as done, or as rejected by its gate with the reasons; then do what its plan says.

    Raises Stopped when `should_stop` while the gate is at work; done again, it comes to the same.
    """
    version = collect(run, folder)
    judgement = judge(run, version, should_stop=should_stop)
    passed = judgement.words.passed
    state, reason = (Run.State.DONE, "") if passed else (Run.State.REJECTED, " ".join(judgement.words.wrong))
    with transaction.atomic():
        leases.end(run, state, version=version, code="", reason=reason)
        then = follow_up(run, version, judgement)
        Run.objects.filter(pk=run.pk).update(gate=gate_values(run, judgement, then))
        audit.record(
            actor=Actor(Via.SYSTEM, user=run.started_by),
            action="train",
            project_id=run.project_id,
            subject=f"run:{run.pk}",
            version=version.name,
            digest=version.digest,
            snapshot=run.snapshot.name,
        )
    clear(run)
