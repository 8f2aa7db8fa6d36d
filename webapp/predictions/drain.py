"""Work through the waiting predictions: while the network runs on one batch, threads decode the next."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from django.conf import settings

from classifier.types import Answer, Failure
from webapp import queue
from webapp.predictions import coming
from webapp.predictions.beside import tried_beside
from webapp.predictions.claim import NOTHING, Claim, claim, next_pipelines, put_back, recover
from webapp.predictions.engine_host import KEEP, EngineHost, Hosted
from webapp.predictions.look import Kept, Looked, look_at, side_for
from webapp.predictions.record import Result, record
from webapp.predictions.stored import Stored, stored_vectors
from webapp.projects.models import Project
from webapp.versions.activate import active_pipeline

log = logging.getLogger(__name__)

LONGEST_SECONDS = 5.0
LOOK_AHEAD = 64
RECOVER_SECONDS = 2.0
LINGER_SECONDS = 0.25
DEAF_SECONDS = 5.0
"""Until a broker that is away is asked again for nudges."""
BACKGROUND_SECONDS = 0.1
"""How long a batch that nobody waits for may take: so much later at most is a call begun that comes meanwhile."""
FIRST_BACKGROUND = 2
TRIED_LASTS_SECONDS = 1.0
"""Whether a candidate will want a picture too is read so often; not to know costs it a decode."""

Seen = Looked | Failure | Stored


@dataclass(frozen=True)
class Begun:
    """A claimed batch whose pictures are being decoded, those aside whose embedding is stored and enough."""

    claim: Claim
    looks: tuple[Future[Looked | Failure] | Stored, ...]


class Drainer:
    """Everything one worker process needs to recognise. One drain at a time, whoever asks for it.

    With `project_id` it works for that project alone.
    """

    def __init__(
        self, name: str = "", *, should_stop: Callable[[], bool] = lambda: False, project_id: int | None = None
    ) -> None:
        self._should_stop = should_stop
        self._project_id = project_id
        self.name = name or f"gpu@{socket.gethostname()}:{os.getpid()}"
        self.host = EngineHost()
        self.stopping = threading.Event()
        self.held: set[str] = set()
        self.doing = ""
        self._is_warm = False
        self._kept = Kept()
        self._sides: dict[int, int] = {}
        self._tried: tuple[float, set[int]] = (-TRIED_LASTS_SECONDS, set())
        self._background = FIRST_BACKGROUND
        self._recovered_at = -RECOVER_SECONDS
        self._one_at_a_time = threading.Lock()
        self._at_rest = threading.Event()
        self._at_rest.set()
        self._threads = ThreadPoolExecutor(settings.DECODE_THREADS or os.cpu_count() or 2, thread_name_prefix="decode")
        # One of its own: behind the decoding of the next batch the measures of this one would come too late.
        self._measurer = ThreadPoolExecutor(1, thread_name_prefix="measure")

    def warm_up(self) -> None:
        """Load what is active, so that the first picture does not wait for it; done once."""
        if self._is_warm:
            return
        with self._one_at_a_time:
            self._is_warm = True
            for project in Project.objects.filter(archived_at=None).order_by("pk")[:KEEP]:
                pipeline = active_pipeline(project)
                if pipeline is not None:
                    self.host.get(pipeline.pk)

    def drain(self, *, wait: bool = True) -> int:
        """Work at most five seconds or until nothing waits. Returns how many predictions were recorded.

        With `wait`, first lets a drain in another thread end: what it did not see any more is then ours.
        """
        if not self._one_at_a_time.acquire(blocking=wait):
            return 0
        self._at_rest.clear()
        try:
            return self._drain(time.monotonic() + LONGEST_SECONDS)
        finally:
            self._at_rest.set()
            self._one_at_a_time.release()

    def drain_when_nudged(self, seconds: float) -> int:
        """At rest, hear of work within `seconds`, and do it. A drain under way hears for itself.

        Listening holds no lock: whoever has other reasons to drain shall not wait for it.
        """
        begun = time.monotonic()
        if not self._at_rest.wait(seconds):
            return 0
        if not queue.wait_for_nudge("gpu", seconds, heed=self._heed):
            if time.monotonic() - begun < seconds / 2:
                self.stopping.wait(DEAF_SECONDS)
            return 0
        if not self._at_rest.is_set():
            queue.nudge("gpu")  # meant for the drain that began meanwhile, which may be lingering for it
            return 0
        return self.drain(wait=False)

    def _drain(self, deadline: float) -> int:
        if time.monotonic() - self._recovered_at > RECOVER_SECONDS:
            self._recovered_at = time.monotonic()
            recover()
        done = 0
        batch = self._begin_or_rearm(deadline)
        while batch is not None:
            follows = None
            if batch.claim.is_background:
                with self._freeing(batch.claim):
                    done += self._waited_for(deadline)
            if not batch.claim.alone:
                with self._freeing(batch.claim):
                    follows = self._begin(deadline, may_be_alone=False)
            with self._freeing(follows.claim if follows else None):
                done += self._finish(batch)
            batch = follows or self._begin_or_rearm(deadline)
        if time.monotonic() >= deadline and not self.is_stopping():
            queue.rearm("gpu")
            queue.wake("gpu")
        return done

    def _waited_for(self, deadline: float) -> int:
        """What somebody waits for, however much there is, before a batch that nobody waits for."""
        done = 0
        while (begun := self._begin(deadline, may_be_alone=False, background=0)) is not None:
            done += self._finish(begun)
        return done

    def _begin_or_rearm(self, deadline: float) -> Begun | None:
        """Linger for the next picture of somebody who sends one after the other, sparing it a message's way.

        Before the last look the wake-up is armed again, so that nothing arrives unseen.
        """
        begun = self._begin(deadline)
        until = min(time.monotonic() + LINGER_SECONDS, deadline)
        while begun is None and not self.is_stopping() and (left := until - time.monotonic()) > 0:
            if not queue.wait_for_nudge("gpu", left, heed=self._heed):
                break
            begun = self._begin(deadline)
        if begun is None and not self._is_over(deadline):
            queue.rearm("gpu")
            begun = self._begin(deadline)
        return begun

    def _is_over(self, deadline: float) -> bool:
        return self.is_stopping() or time.monotonic() >= deadline

    def is_stopping(self) -> bool:
        return self.stopping.is_set() or self._should_stop()

    def _begin(self, deadline: float, *, may_be_alone: bool = True, background: int | None = None) -> Begun | None:
        """Claim the next batch and start decoding it; None when nothing waits, time is up, or we shall stop."""
        if self._is_over(deadline):
            return None
        held = claim(
            limit=settings.BATCH_SIZE,
            worker=self.name,
            pipelines=self._ready(),
            may_be_alone=may_be_alone,
            background=self._background if background is None else background,
        )
        if held is NOTHING:
            return None
        self.held.add(held.token)
        self.doing = f"{len(held.works)} pictures"
        with self._freeing(held):
            return Begun(held, tuple(self._looks(held)))

    def _looks(self, held: Claim) -> Iterator[Future[Looked | Failure] | Stored]:
        """Of pictures that nobody waits for, a stored embedding is enough where only the last layer is another."""
        stored: dict[int, Stored] = {}
        if held.is_background:
            stored = stored_vectors(held.works, {one.pipeline_id: self._space(one.pipeline_id) for one in held.works})
        tried = set() if held.is_background else self._tried_beside()
        for work in held.works:
            known = stored.get(work.prediction_id)
            pipeline = self._hosted(work.pipeline_id).pipeline
            self._sides[work.project_id] = side_for(pipeline)
            yield known or self._threads.submit(
                look_at,
                work,
                pipeline,
                self._measurer,
                self._kept,
                keep=work.project_id in tried,
                is_alone=len(held.works) == 1,
            )

    def _heed(self, said: str) -> None:
        """Begin to decode what comes for a project whose pictures were seen before. Any thread may hear of it."""
        picture = coming.read(said)
        if picture.project_id in self._sides:
            coming.begin(picture, side=self._sides[picture.project_id], kept=self._kept, threads=self._threads)

    def _tried_beside(self) -> set[int]:
        if time.monotonic() - self._tried[0] > TRIED_LASTS_SECONDS:
            self._tried = (time.monotonic(), tried_beside())
        return self._tried[1]

    def _space(self, pipeline_id: int) -> str:
        """Whose embeddings this pipeline can answer from; nothing where it needs the picture."""
        hosted = self._hosted(pipeline_id)
        return hosted.names.space if self.host.last_layer(pipeline_id) is not None else ""

    def _ready(self) -> list[int]:
        """Loaded pipelines that rows wait for, no more than stay loaded together; each that fails is looked past."""
        while True:
            waiting = next_pipelines(LOOK_AHEAD, without=self.host.unusable(), project_id=self._project_id)
            ready = list(islice((pipeline for pipeline in waiting if self.host.get(pipeline) is not None), KEEP))
            if ready or not waiting:
                return ready

    def _hosted(self, pipeline_id: int) -> Hosted:
        hosted = self.host.get(pipeline_id)
        if hosted is None:
            raise LookupError(f"pipeline {pipeline_id} was claimed without being loaded")
        return hosted

    def _finish(self, begun: Begun) -> int:
        with self._freeing(begun.claim):
            looked = [look if isinstance(look, Stored) else look.result() for look in begun.looks]
            began = time.monotonic()
            results = self._recognise(begun.claim, looked)
            if begun.claim.is_background and results:
                each = max((time.monotonic() - began) / len(results), 1e-4)
                self._background = max(1, min(int(BACKGROUND_SECONDS / each), settings.BATCH_SIZE))
            pipelines = {result.work.pipeline_id for result in results}
            record(
                held=begun.claim,
                results=results,
                names={pipeline: self._hosted(pipeline).names for pipeline in pipelines},
            )
            self._let_go(begun.claim)
            return len(results)

    @contextmanager
    def _freeing(self, held: Claim | None) -> Iterator[None]:
        """An error that is no picture's own frees the rows, so that they are tried again, a bounded number of times.

        First the token goes: a lease that the heartbeat went on extending would keep its rows from everybody.
        """
        try:
            yield
        except Exception as error:
            if held is not None:
                self._let_go(held)
                put_back(held, f"{type(error).__name__}: {error}")
            raise

    def _let_go(self, held: Claim) -> None:
        self.held.discard(held.token)
        self.doing = ""

    def _recognise(self, held: Claim, looked: list[Seen]) -> list[Result]:
        results: dict[int, Result] = {}
        groups: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for index, (work, look) in enumerate(zip(held.works, looked, strict=True)):
            if isinstance(look, Failure):
                results[index] = Result(work, look)
            else:
                groups[(work.pipeline_id, isinstance(look, Stored))].append(index)
        for (pipeline_id, _), indexes in groups.items():
            begun = time.perf_counter()
            answers, is_timed = self._answers(pipeline_id, [looked[index] for index in indexes])
            each = 1000 * (time.perf_counter() - begun) / len(indexes) if is_timed else None
            for index, answer in zip(indexes, answers, strict=True):
                look = looked[index]
                measures = look.measures.start() if isinstance(look, Looked) and look.measures else None
                results[index] = Result(held.works[index], answer, measures, each)
        return [results[index] for index in sorted(results)]

    def _answers(self, pipeline_id: int, looked: list[Seen]) -> tuple[list[Answer | Failure], bool]:
        """Answers, and whether the time they took is that of the whole network. All are of one kind."""
        pipeline, layer = self._hosted(pipeline_id).pipeline, self.host.last_layer(pipeline_id)
        vectors = [look.vector for look in looked if isinstance(look, Stored)]
        if vectors and layer is not None:
            return pipeline.recognise_embedded(layer(np.stack(vectors).astype(np.float32))), False
        return pipeline.recognise_prepared([look.prepared for look in looked if isinstance(look, Looked)]), True

    def stop(self) -> None:
        """Finish the batch in hand, claim no more."""
        self.stopping.set()

    def close(self) -> None:
        """End its threads; for a drainer that does not live as long as its process."""
        self.stop()
        self._threads.shutdown()
        self._measurer.shutdown()
