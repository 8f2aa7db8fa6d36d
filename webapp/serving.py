"""gunicorn's options, the same embedded and in production: gunicorn --config python:webapp.serving ..."""

from __future__ import annotations

import gc
import os
import threading

wsgi_app = "webapp.asgi:application"
worker_class = "asgi"
workers = min(4, max(2, (os.cpu_count() or 2) // 4))
preload_app = True  # a new worker is there at once, and the workers share the memory of the code
timeout = 60
# Event streams stay open for minutes, so a graceful stop would always wait for the whole time given.
graceful_timeout = 5
keepalive = 30
loglevel = "warning"
# gunicorn would otherwise put a control socket into the home folder.
control_socket_disable = True


def when_ready(server: object) -> None:
    """Before the workers are forked: import what the first request would, once and in memory that they share."""
    from django.urls import get_resolver

    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()


def post_worker_init(worker: object) -> None:
    """Beside the first requests, none of which needs it."""
    from webapp import queue

    threading.Thread(target=queue.import_sender, daemon=True).start()
