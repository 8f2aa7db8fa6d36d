"""How a run is asked to stop: a signal or the end of its time, seen between two steps."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Cancelled(Exception):
    """The run was asked to stop; what it had learned is in its checkpoint."""


class LearnedNothing(Exception):
    """The run ended and nothing came of it; the text says how that was seen."""


@dataclass(slots=True)
class Stop:
    """Whether to stop: a signal came, the time is over (`end`, by time.monotonic), or the whole of it is to stop."""

    signalled: bool = False
    end: float = math.inf
    whole: Stop | None = None

    @property
    def asked(self) -> bool:
        return self.signalled or self.is_late or (self.whole is not None and self.whole.asked)

    @property
    def is_late(self) -> bool:
        return time.monotonic() >= self.end

    def within(self, seconds: float) -> Stop:
        """For a part of the work that has its own time."""
        return Stop(end=time.monotonic() + seconds, whole=self)

    def check(self) -> None:
        """Raise where stopping needs no checkpoint."""
        if self.asked:
            raise Cancelled("it was asked to stop")


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A flag that SIGTERM and SIGINT set; a second signal ends the process as usual."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.signalled = True
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
