"""Runs an analysis in a process of its own, so that an io worker stays small and a stop of the site is not held up."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

from celery.worker import state as celery_state
from django.conf import settings

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.3
_turn = threading.Lock()


def run_beside(project_id: int) -> int | None:
    """Analyse a project beside this process; its exit status. Ended when the worker is told to stop.

    One at a time, and None where another runs: the threads of an io worker are for what people wait for, and the
    regular look comes back to the pass that waits.
    """
    if not _turn.acquire(blocking=False):
        return None
    try:
        return _run(project_id)
    finally:
        _turn.release()


def few_threads() -> dict[str, str]:
    """The environment, with arithmetic on half of the processors: threads beyond those wait by turning in place."""
    threads = str(max(1, (os.cpu_count() or 1) // 2))
    return {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, **os.environ}


def _run(project_id: int) -> int:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "analyse", str(project_id)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=few_threads()) as process:
        while process.poll() is None:
            if celery_state.should_stop is not None or celery_state.should_terminate is not None:
                log.info("the analysis of project %s is put off: this worker stops", project_id)
                process.terminate()
                break
            time.sleep(LOOK_SECONDS)
    return process.returncode
