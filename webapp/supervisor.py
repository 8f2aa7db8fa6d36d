"""The parent of the embedded site: starts its processes in order, starts again what dies, stops them all.

It imports neither Django nor Celery, so it is small, and nothing in the site can take it along.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from webapp import broker, runstate
from webapp.guard import Guard, dies_with_parent, end_group
from webapp.processes import ROOT, Process, Site, site_environment
from webapp.runstate import ChildState, SiteState

FIRST_DELAY, LONGEST_DELAY = 0.25, 30.0  # seconds before a dead process is started again; doubled each time
STEADY_SECONDS = 60.0  # a process that ran this long is forgiven its earlier ends
PATIENCE_SECONDS = 180.0  # for one process to become ready at the start
TRIES_AT_START = 3
LOG_BYTES, LOG_CHECK_SECONDS = 10 * 2**20, 2.0


class StartError(Exception):
    """The site cannot start; the text says why and what to do."""


def say(text: str) -> None:
    """A line for the person at the terminal, who may have closed it: then there is nobody to tell."""
    with contextlib.suppress(BrokenPipeError, OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class Child:
    """One process of the site, over all its lives."""

    def __init__(self, process: Process, site: Site, guard: Guard) -> None:
        self.process, self._site, self._guard = process, site, guard
        self.running: subprocess.Popen[bytes] | None = None
        self.started = 0.0  # seconds since 1970
        self.restarts = 0
        self.last_exit: int | None = None
        self._delay = FIRST_DELAY
        self._since = self.due = time.monotonic()

    @property
    def log(self) -> Path:
        return self._site.log_folder / f"{self.process.name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.process.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, **site_environment(self._site), **self.process.environment},
                pass_fds=self.process.inherits,
                start_new_session=True,
                preexec_fn=dies_with_parent(),  # noqa: PLW1509  (this process has one thread)
            )
        self._guard.watch(self.running.pid)
        self.started, self._since = time.time(), time.monotonic()

    def notice_end(self) -> bool:
        """True once for every life that ended by itself; what it left behind ends too, and a new start is due."""
        if self.running is None or self.running.poll() is None:
            return False
        self._clear_up()
        if time.monotonic() - self._since > STEADY_SECONDS:
            self._delay = FIRST_DELAY
        self.due = time.monotonic() + self._delay
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        self.restarts += 1
        return True

    def ask_to_stop(self) -> None:
        if self.running is not None:
            self.running.terminate()

    def has_stopped(self) -> bool:
        return self.running is None or self.running.poll() is not None

    def end(self) -> None:
        """End the process and all that it started, whatever they think of it."""
        if self.running is not None:
            end_group(self.running.pid)
            self.running.wait()
            self._clear_up()

    def _clear_up(self) -> None:
        if self.running is not None:
            self.last_exit = self.running.returncode
            end_group(self.running.pid)
            self._guard.release(self.running.pid)
            self.running = None

    def rotate_log(self) -> None:
        """Copy and cut: the process keeps its file open in append mode and goes on at the new end."""
        if self.log.stat().st_size > LOG_BYTES:
            older = self.log.with_suffix(".log.1")
            if older.exists():
                older.replace(self.log.with_suffix(".log.2"))
            shutil.copyfile(self.log, older)
            os.truncate(self.log, 0)

    def last_words(self, lines: int = 15) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def state(self) -> ChildState:
        pid = self.running.pid if self.running is not None else None
        return ChildState(self.process.name, pid, self.started, self.restarts, self.last_exit)


class Signals:
    """Signals as bytes in a pipe, so that waiting ends at once and nothing happens between two instructions."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self.stops = 0

    def wait(self, seconds: float) -> None:
        """Until a signal comes, at most this long; counts the signals that mean stop."""
        if select.select([self._read], [], [], seconds)[0]:
            self.stops += sum(number != signal.SIGCHLD for number in os.read(self._read, 512))


class Supervisor:
    def __init__(self, site: Site, plan: Sequence[Process]) -> None:
        site.log_folder.mkdir(parents=True, exist_ok=True)
        self._site = site
        self._guard = Guard(max(process.grace for process in plan))
        self._signals = Signals()
        self._children = [Child(process, site, self._guard) for process in plan]
        self._started, self._begun = time.time(), time.monotonic()
        self._ready = False
        self._next_log_check = 0.0

    def run(self, announce: Callable[[], None]) -> int:
        """Until somebody says stop. Exit status 0 for a stop that was asked for, 1 when the site did not start."""
        try:
            for child, following in zip(self._children, [*self._children[1:], None], strict=True):
                self._start(child)
                if following is not None and following.process.beside_previous:
                    self._start(following)
                self._await(child)
                if self._signals.stops:
                    return 0
            self._ready = True
            self._write_state()
            announce()
            while not self._signals.stops:
                self._look_after()
                self._signals.wait(1.0)
            return 0
        except StartError as error:
            say(f"osprey: {error}")
            return 1
        finally:
            self._stop()

    def _start(self, child: Child) -> None:
        if not child.started:
            child.start()
            self._write_state()

    def _await(self, child: Child) -> None:
        name = child.process.name
        until = time.monotonic() + PATIENCE_SECONDS
        missing: str | None = "not asked yet"
        while missing is not None and not self._signals.stops:
            self._look_after()
            missing = child.process.waits_for() if child.running is not None else "it ended"
            if child.restarts >= TRIES_AT_START:
                raise StartError(f"{name} ended {child.restarts} times; {child.log} ends with\n{child.last_words()}")
            if time.monotonic() > until:
                raise StartError(f"{name} is not ready after {PATIENCE_SECONDS:.0f} s: {missing}; see {child.log}")
            if missing is not None:
                self._signals.wait(0.1)
        say(f"  {time.monotonic() - self._begun:5.1f} s  {name}")

    def _look_after(self) -> None:
        changed = False
        for child in self._children:
            if child.notice_end():
                changed = True
                say(
                    f"osprey: {child.process.name} ended (status {child.last_exit}), starting it again; see {child.log}"
                )
            if child.running is None and child.restarts and time.monotonic() >= child.due:
                child.start()
                changed = True
        if changed:
            self._write_state()
        if time.monotonic() >= self._next_log_check:
            self._next_log_check = time.monotonic() + LOG_CHECK_SECONDS
            for child in self._children:
                if child.log.exists():
                    child.rotate_log()

    def _stop(self) -> None:
        """All at once, the broker after those who talk to it; a second Ctrl-C ends what is slow."""
        say("osprey: stopping")
        asked = self._signals.stops
        last = [child for child in self._children if child.process.name == "broker"]
        for group in ([child for child in self._children if child not in last], last):
            begun = time.monotonic()
            for child in group:
                child.ask_to_stop()
            waiting = list(group)
            while waiting:
                past = time.monotonic() - begun
                waiting = [child for child in waiting if not child.has_stopped() and past < child.process.grace]
                if self._signals.stops > asked:
                    break
                if waiting:
                    self._signals.wait(0.1)
            for child in group:
                child.end()
        runstate.forget(self._site.data)
        self._guard.dismiss()
        with contextlib.suppress(OSError):  # the short folder of a socket whose path was too long; else it is not empty
            broker.socket_path(self._site.data).parent.rmdir()
        say("osprey: stopped")

    def _write_state(self) -> None:
        children = tuple(child.state() for child in self._children)
        site = self._site
        state = SiteState(os.getpid(), site.url, site.port, str(site.data), self._started, self._ready, children)
        runstate.write(site.data, state)
