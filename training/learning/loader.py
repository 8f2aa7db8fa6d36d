"""Batches of varied training pictures, made in threads while the network works on the ones before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.card import Card
from classifier.preprocessing import to_input
from training.augmentation.augment import Picture, Step, steps_of, varied
from training.contract import RunConfig
from training.learning.cache import SmallCopies
from training.learning.examples import Examples
from training.learning.samplers import batches_of, epoch_order

_AHEAD = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's images: pixels are uint8, n x height x width x 3."""

    pixels: torch.Tensor
    truth: torch.Tensor
    weights: torch.Tensor

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True)
class Loader:
    """The training pictures of one of `world` processes. Threads share: decoding and resizing free the interpreter."""

    examples: Examples
    copies: SmallCopies
    card: Card
    config: RunConfig
    workers: int
    rank: int = 0
    world: int = 1

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return max(1, len(self.examples) // self.config.batch_size)

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `first` on; each depends on seed, epoch and place alone."""
        order = epoch_order(self.examples.truth, self.config, epoch)
        todo = batches_of(order, batch=self.config.batch_size, rank=self.rank, world=self.world)
        steps = steps_of(self.config, self.card.input_size)
        with ThreadPoolExecutor(self.workers) as threads:
            waiting: deque[tuple[NDArray[np.intp], list[Future[NDArray[np.uint8]]]]] = deque()
            for number, chosen in enumerate(todo[first:], start=first):
                seeds = [[self.config.seed, 3, epoch, number, self.rank, place] for place in range(len(chosen))]
                jobs = [threads.submit(self._one, int(i), seed, steps) for i, seed in zip(chosen, seeds, strict=True)]
                waiting.append((chosen, jobs))
                if len(waiting) > _AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())

    def plain(self, positions: Sequence[int]) -> NDArray[np.uint8]:
        """Pictures as in service, made of the small copies."""
        return np.stack([self._one(position, [0], ()) for position in positions])

    def _one(self, position: int, seed: list[int], steps: Sequence[Step]) -> NDArray[np.uint8]:
        pixels = self.copies.read(self.examples.lines[position])
        if steps:
            pixels = varied(Picture(pixels), steps, np.random.default_rng(seed)).pixels
        return pixels if pixels.shape[:2] == self.card.input_size else to_input(self.card, pixels)

    def _batch(self, chosen: NDArray[np.intp], jobs: Sequence[Future[NDArray[np.uint8]]]) -> Batch:
        return Batch(
            torch.from_numpy(np.stack([job.result() for job in jobs])),
            torch.from_numpy(self.examples.truth[chosen]),
            torch.from_numpy(self.examples.weights[chosen]),
        )
