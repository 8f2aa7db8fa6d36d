"""What lives in a worker process beside Celery's tasks: the drainer, the heartbeat, and the look for work."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from celery import bootsteps
from celery.worker import state as celery_state
from django.db import DatabaseError, close_old_connections
from django.db.models.functions import Now

from webapp.predictions import claim, unpack
from webapp.predictions.drain import Drainer
from webapp.predictions.models import Prediction, Worker

log = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
LOOK_SECONDS = 2.0
LISTEN_SECONDS = 0.5
FORGET_AFTER = timedelta(days=1)


def _celery_stops() -> bool:
    return celery_state.should_stop is not None or celery_state.should_terminate is not None


@cache
def drainer() -> Drainer:
    """The one drainer of this process."""
    return Drainer(should_stop=_celery_stops)


def drain_what_waits() -> None:
    """The look of a gpu worker: work goes on without broker and without beat."""
    claim.recover()
    if Prediction.objects.filter(state=Prediction.State.PENDING).exists():
        drainer().drain(wait=False)


def drain_when_nudged() -> None:
    """A gpu worker at rest hears of a picture here some 5 ms before Celery's message has made its way."""
    drainer().drain_when_nudged(LISTEN_SECONDS)


LOOKS: dict[str, Callable[[], object]] = {"gpu": drain_what_waits, "io": unpack.unpack_what_waits}


class Pulse(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts with the worker: writes its heartbeat, and every two seconds looks for rows that wait."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._ends = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, parent: Any) -> None:
        queue = next(iter(parent.app.amqp.queues.consume_from), "io")
        self.row = Worker(
            name=f"{queue}@{socket.gethostname()}:{os.getpid()}",
            queue=queue,
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        self._start(self._beat, BEAT_SECONDS)
        if queue in LOOKS:
            self._start(LOOKS[queue], LOOK_SECONDS)
        if queue == "gpu":
            self._start(drain_when_nudged, 0.0)

    def _start(self, act: Callable[[], object], seconds: float) -> None:
        thread = threading.Thread(target=self._repeat, args=(act, seconds), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _repeat(self, act: Callable[[], object], seconds: float) -> None:
        """Whatever goes wrong once is logged and tried again: this thread must outlive a database that restarts."""
        while True:
            try:
                act()
            except Exception:
                log.exception("%s failed; it is tried again in %.0f s", getattr(act, "__name__", act), seconds)
                close_old_connections()
            if self._ends.wait(seconds):
                return

    def _beat(self) -> None:
        """The first heartbeat comes when the active pipelines are loaded: a worker that is seen is ready."""
        fields: dict[str, Any] = {"seen_at": Now()}
        if self.row.queue == "gpu":
            worker = drainer()
            worker.warm_up()
            claim.extend(list(worker.held))
            fields |= {
                "device": worker.host.device(),
                "pipelines": worker.host.loaded(),
                "doing": worker.doing,
                "message": worker.host.problem,
            }
        if not Worker.objects.filter(pk=self.row.pk).update(**fields):
            for name, value in fields.items():
                if name != "seen_at":
                    setattr(self.row, name, value)
            self.row.save(force_insert=True)
            # Rows of workers that were killed; their names hold a process id, so they never come back.
            Worker.objects.filter(seen_at__lt=Now() - FORGET_AFTER).delete()

    def stop(self, parent: Any) -> None:
        self._ends.set()
        if self.row.queue == "gpu":
            drainer().stop()
        for thread in self._threads:
            thread.join(10)
        try:
            Worker.objects.filter(pk=self.row.pk).delete()
        except DatabaseError as error:
            log.warning("the heartbeat row could not be removed: %s", error)
