"""Where the time of a step goes: a few steps recorded operator by operator, and how long they waited for pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from training.learning.loader import Batch
from training.learning.machine import Machine
from training.run_folder import RunFolder

WARM_UP = 2
ROWS = 40


@dataclass(slots=True)
class Profile:
    """Records `steps` steps after the first two and writes `profile.txt` and `profile.json.gz` (a Chrome trace)."""

    folder: RunFolder
    machine: Machine
    steps: int
    _seen: int = 0
    _waited: float = 0.0
    _worked: float = 0.0
    _recorder: Any = None

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; whoever takes the next one has ended its step."""
        waiting = iter(batches)
        while True:
            if self._seen == WARM_UP and self.steps and self.machine.leads:
                self._begin()
            asked = time.perf_counter()
            batch = next(waiting, None)
            if batch is None:
                return
            came = time.perf_counter()
            yield batch
            self._count(came - asked, came)

    def close(self) -> None:
        """Write what there is; a run that was too short for its warm-up says so."""
        if self._recorder is not None:
            self._end()
        elif self.steps and self._seen <= WARM_UP and self.machine.leads:
            self.folder.log(f"nothing was profiled: that begins after {WARM_UP} steps, and there were {self._seen}")

    def _begin(self) -> None:
        activities = [ProfilerActivity.CPU]
        if self.machine.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._recorder = profile(activities=activities)
        self._recorder.start()

    def _count(self, waited: float, came: float) -> None:
        self._seen += 1
        if self._recorder is None:
            return
        if self.machine.device.type == "cuda":
            torch.cuda.synchronize(self.machine.device)
        self._waited += waited
        self._worked += time.perf_counter() - came
        if self._seen == WARM_UP + self.steps:
            self._end()

    def _end(self) -> None:
        recorder, self._recorder = self._recorder, None
        recorder.stop()
        steps = self._seen - WARM_UP
        if not steps:
            return
        whole = self._waited + self._worked
        words = f"{steps} steps of {1000 * whole / steps:.0f} ms, {self._waited / whole:.0%} of it waiting for pictures"
        order = "self_cuda_time_total" if self.machine.device.type == "cuda" else "self_cpu_time_total"
        table = recorder.key_averages().table(sort_by=order, row_limit=ROWS)
        (self.folder.root / "profile.txt").write_text(f"{words}, {self.machine.words}\n\n{table}\n", encoding="utf-8")
        recorder.export_chrome_trace(str(self.folder.root / "profile.json.gz"))
        self.folder.log(f"profiled {words}: see profile.txt")
