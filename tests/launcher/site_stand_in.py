"""A supervisor over stand-in processes, run by the tests as a program of its own: DATA SCRIPT [NAME=SCRIPT ...]."""

from __future__ import annotations

import sys
from pathlib import Path

from webapp import runstate
from webapp.processes import Process, Site
from webapp.supervisor import Supervisor, say


def stand_in(word: str) -> Process:
    name, _, script = word.partition("=")
    return Process(name, (sys.executable, "-c", script), lambda: None, grace=2.0)


if __name__ == "__main__":
    data = Path(sys.argv[1])
    lock = runstate.take_lock(data)
    if lock is None:
        sys.exit("held")
    site = Site(data=data, port=1, listener=-1)
    sys.exit(Supervisor(site, [stand_in(word) for word in sys.argv[2:]]).run(lambda: say("ready")))
