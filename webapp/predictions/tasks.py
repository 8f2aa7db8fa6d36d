"""What Celery calls in a gpu worker: each task calls one act."""

from __future__ import annotations

from celery import shared_task

from webapp.predictions.worker import drainer


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def drain() -> None:
    """Work through what waits."""
    drainer().drain()
