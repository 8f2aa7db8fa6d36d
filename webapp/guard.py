"""Nothing outlives the supervisor, however it dies.

Two nets. On Linux the kernel asks each child to stop when its parent is gone. On every system a guard process, forked
first, notices the end of a pipe that only the supervisor holds, asks what is left to stop, and ends what does not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Guard:
    """Knows the process groups of the children that are alive. Make it before any thread or child exists."""

    def __init__(self, grace: float) -> None:
        read_end, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            _stand_watch(read_end, grace)
        os.close(read_end)

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        """All children ended in order; the guard has nothing left to do."""
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        # Somebody may have ended the guard; the kernel's own net is still there.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


def _stand_watch(pipe: int, grace: float) -> None:
    """The life of the guard: outside the terminal's session, deaf to everything but the end of the pipe."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    told = b""
    while piece := os.read(pipe, 4096):
        told += piece
    groups: set[int] = set()
    for line in told.decode().split():
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end_groups(groups, grace)
    os._exit(0)


def end_groups(groups: set[int], grace: float) -> None:
    """Ask the leader of each group to stop, and end what is left of the groups after `grace` seconds."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.kill(group, signal.SIGTERM)
    until = time.monotonic() + grace
    while time.monotonic() < until and any(_is_there(group) for group in groups):
        time.sleep(0.1)
    for group in groups:
        end_group(group)


def end_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(group, signal.SIGKILL)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def dies_with_parent() -> Callable[[], None] | None:
    """What a child must call between fork and exec to be asked to stop when its parent is gone; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return ask_the_kernel
