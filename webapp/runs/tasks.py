"""What Celery calls in a train worker: it works until nothing waits for the device."""

from __future__ import annotations

from celery import shared_task
from celery.worker import state as celery_state

from webapp.runs.queue import TASK
from webapp.runs.work_off import work_off


def stops() -> bool:
    return celery_state.should_stop is not None or celery_state.should_terminate is not None


@shared_task(name=TASK)  # type: ignore[untyped-decorator]
def work() -> None:
    work_off(should_stop=stops)
