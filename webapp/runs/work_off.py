"""What a train worker does: whatever waits for its device, one piece after the other.

Evaluations first, since somebody waits for a comparison; a trial only says how long a run would take, so it comes last
and gives way to both.
"""

from __future__ import annotations

from collections.abc import Callable

from webapp.runs.candidates.trial_work import carry_out_trial
from webapp.runs.candidates.trials import to_do as trials_to_do
from webapp.runs.carry_out import carry_out, never
from webapp.runs.comparing import evaluate
from webapp.runs.queue import startable


def work_off(*, should_stop: Callable[[], bool] = never) -> None:
    """Until nothing is left that this machine may begin."""
    while not should_stop() and _next(should_stop):
        pass


def _next(should_stop: Callable[[], bool]) -> bool:
    """Carry out one piece; False when there is none, or the device is taken."""
    evaluation = evaluate.to_do().first()
    if evaluation is not None:
        return evaluate.carry_out_evaluation(evaluation.pk, should_stop=should_stop) is not None
    run = startable().first()
    if run is not None:
        return carry_out(run.pk, should_stop=should_stop) is not None
    trial = trials_to_do().first()
    if trial is None:
        return False

    def gives_way() -> bool:
        return should_stop() or startable().exists() or evaluate.to_do().exists()

    return carry_out_trial(trial.pk, should_stop=gives_way) is not None
