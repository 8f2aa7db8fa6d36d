"""Runs a command that does not outlive the process that started it: python -m webapp.runs.leash PARENT COMMAND ...

On Linux the kernel ends it together with its parent, however that dies. Elsewhere the lock that it holds tells whoever
comes next that it still runs (`webapp.runs.process`). A wrapper, since nothing may run between fork and exec in a
process that has threads. The command gives way to recognition: it runs at a lower priority.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from webapp.guard import PR_SET_PDEATHSIG

NICENESS = 10


def main(words: list[str]) -> None:
    parent, command = int(words[0]), words[1:]
    if sys.platform == "linux":
        # It survives exec, and fires when the thread that started us ends: that thread waits for the command.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    os.nice(NICENESS)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
