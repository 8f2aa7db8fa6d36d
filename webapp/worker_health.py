"""Is the worker of this container alive? python -m webapp.worker_health QUEUE, for docker-compose.yml.

One query instead of a start of Django, because it runs twice a minute beside every worker.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import psycopg

FRESH_SECONDS = 60
QUESTION = """
    SELECT message FROM predictions_worker
    WHERE queue = %s AND host = %s AND seen_at > now() - make_interval(secs => %s)
"""


def trouble(queue: str) -> str | None:
    """What is wrong with this host's worker of the queue, None when its heartbeat is fresh."""
    address = (
        os.environ.get("DATABASE_URL") or Path(os.environ["DATABASE_URL_FILE"]).read_text(encoding="utf-8").strip()
    )
    with psycopg.connect(address, connect_timeout=5) as connection:
        found = connection.execute(QUESTION, (queue, socket.gethostname(), FRESH_SECONDS)).fetchone()
    return None if found else f"no heartbeat of {queue} on {socket.gethostname()} within {FRESH_SECONDS} s"


if __name__ == "__main__":
    sys.exit(trouble(sys.argv[1]))
