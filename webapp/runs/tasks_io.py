"""What io workers do for runs: the beat's look at them, and comparisons. A train worker may be at work for hours."""

from __future__ import annotations

from celery import shared_task
from celery.worker import state as celery_state

from webapp.runs import sweep as sweeping
from webapp.runs.backfills import queue_up as backfilling
from webapp.runs.backfills.ask import TASK as QUEUE_BACKFILL
from webapp.runs.candidates import planning
from webapp.runs.comparing.compare import carry_out_comparison
from webapp.runs.comparing.waiting import COMPARE
from webapp.runs.working_heads import learn as learning
from webapp.runs.working_heads import look as looking
from webapp.runs.working_heads import take_up as taking_up


def stops() -> bool:
    return celery_state.should_stop is not None or celery_state.should_terminate is not None


@shared_task(name="webapp.runs.tasks_io.sweep")  # type: ignore[untyped-decorator]
def sweep() -> None:
    sweeping.sweep()


@shared_task(name=COMPARE)  # type: ignore[untyped-decorator]
def compare(comparison_id: int) -> None:
    carry_out_comparison(comparison_id, should_stop=stops)


@shared_task(name=QUEUE_BACKFILL)  # type: ignore[untyped-decorator]
def queue_backfill(backfill_id: int) -> None:
    backfilling.queue_up(backfill_id, stops)


@shared_task(name="webapp.runs.tasks_io.look_at_backfills")  # type: ignore[untyped-decorator]
def look_at_backfills() -> None:
    backfilling.look()


@shared_task(name="webapp.runs.tasks_io.look_at_plans")  # type: ignore[untyped-decorator]
def look_at_plans() -> None:
    planning.look()


@shared_task(name="webapp.runs.tasks_io.look_at_working_heads")  # type: ignore[untyped-decorator]
def look_at_working_heads() -> None:
    looking.look()


@shared_task(name=looking.LEARN)  # type: ignore[untyped-decorator]
def learn_working_head(head_id: int) -> None:
    learning.learn(head_id, stops)


@shared_task(name=looking.SCORE)  # type: ignore[untyped-decorator]
def score_working_head(head_id: int) -> None:
    learning.score(head_id, stops)


@shared_task(name=looking.TAKE_UP)  # type: ignore[untyped-decorator]
def take_up_working_head(head_id: int) -> None:
    taking_up.take_up(head_id, stops)
