"""Comparisons that wait until both of their versions are evaluated: woken when they are, ended when one cannot be."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from webapp import leases, queue
from webapp.runs.models import Comparison, Evaluation

COMPARE = "webapp.runs.tasks_io.compare"
ENDED_BADLY = (Evaluation.State.FAILED, Evaluation.State.CANCELLED)


def ready() -> QuerySet[Comparison]:
    """Comparisons that can be made now and that nobody is at work on."""
    done = Evaluation.State.DONE
    return leases.free(Comparison.objects.filter(a__state=done, b__state=done))


def tell_waiting(evaluation: Evaluation) -> None:
    """An evaluation ended: those that waited for it go on, or end for the same reason."""
    rows = Comparison.objects.filter(Q(a=evaluation) | Q(b=evaluation), state=leases.WAITING)
    if evaluation.state in ENDED_BADLY:
        reason = f"{evaluation.version} could not be evaluated there: {evaluation.reason or evaluation.state}"
        leases.stop(rows, Comparison.State.FAILED, code=evaluation.code or "evaluation-failed", reason=reason)
    elif evaluation.state == Evaluation.State.DONE:
        wake(rows)


def wake(rows: QuerySet[Comparison]) -> None:
    for pk in ready().filter(pk__in=rows.values("pk")).values_list("pk", flat=True):
        queue.send(COMPARE, pk, queue="io")


def wake_all() -> None:
    """The look of an io worker: messages may be lost, and so may the worker that would have sent one."""
    stuck = Comparison.objects.filter(Q(a__state__in=ENDED_BADLY) | Q(b__state__in=ENDED_BADLY), state=leases.WAITING)
    for row in stuck.select_related("a__version", "b__version"):
        for evaluation in (row.a, row.b):
            if evaluation is not None:
                tell_waiting(evaluation)
    wake(Comparison.objects.filter(state__in=leases.UNDER_WAY))
