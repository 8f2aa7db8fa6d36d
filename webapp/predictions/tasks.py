"""What Celery calls in a gpu worker: each task calls one act."""

from __future__ import annotations

from celery import shared_task
from django.db import connection

from webapp.predictions.worker import drainer


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]
def drain() -> None:
    """Work through what waits."""
    drainer().drain()
    if connection.vendor == "sqlite":
        connection.close_at = None  # Celery would close it after each task, and opening it costs what a claim does
