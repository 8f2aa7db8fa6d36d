"""The learning rate over time: a pure function of the step, so that a resumed run goes on where it was."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.contract import RunConfig

_RISE = 0.25  # share of one-cycle that rises
_FIRST = 1 / 25  # of the highest rate, where one-cycle begins
_SLACK = 0.1  # how far one-cycle lowers momentum while the rate is high


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rates of one run of `steps` steps, `epoch_steps` an epoch."""

    config: RunConfig
    steps: int
    epoch_steps: int

    def factor(self, step: int) -> float:
        """The share of the highest rate at a step (from 0)."""
        if self.config.schedule == "one-cycle":
            return self._one_cycle(step)
        warm = self.config.warmup_epochs * self.epoch_steps
        if step < warm:
            return (step + 1) / (math.ceil(warm) + 1)
        if self.config.schedule == "constant":
            return 1.0
        return self._cosine(step - warm, self.steps - warm)

    def momentum(self, step: int) -> float:
        """Momentum (or first beta) at a step: one-cycle moves it against the rate."""
        if self.config.schedule != "one-cycle":
            return self.config.momentum
        high = (self._one_cycle(step) - self.config.lowest_rate) / (1 - self.config.lowest_rate)
        return self.config.momentum - _SLACK * max(0.0, high)

    def _cosine(self, step: float, steps: float) -> float:
        """Down a half cosine; with restarts, cycle after cycle."""
        length = self.config.restart_epochs * self.epoch_steps
        if length:
            while step >= length:
                step -= length
                length *= self.config.restart_growth
        return self._down(step / max(1.0, length or steps))

    def _one_cycle(self, step: int) -> float:
        rise = _RISE * self.steps
        if step < rise:
            return 1 - (1 - _FIRST) * (1 + math.cos(math.pi * step / rise)) / 2
        return self._down((step - rise) / max(1.0, self.steps - rise))

    def _down(self, share: float) -> float:
        lowest = self.config.lowest_rate
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * min(1.0, share))) / 2
