"""One decode of one picture serves everything: measures, thumbnail and every network's input."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from classifier.engine import LoadedPipeline, Prepared
from classifier.errors import ImageRejected
from classifier.facts import read_facts
from classifier.fingerprint import hash_of, quality_of
from classifier.images import decode
from classifier.thumbnails import encode, small_copy
from classifier.types import Decoded, Facts, Failure, Quality
from webapp.images import originals
from webapp.images.store import write_derived
from webapp.predictions.claim import Work

log = logging.getLogger(__name__)

SMALL = 256
SMALL_NAME = f"{SMALL}.jpg"
KEPT = 16


@dataclass(frozen=True)
class Measures:
    """What the first decode of an image tells for good."""

    facts: Facts
    quality: Quality
    perceptual_hash: int
    damaged_share: float


@dataclass(frozen=True)
class Looked:
    """A picture made ready for the networks; `measures` is None where the image was measured before."""

    prepared: Prepared
    measures: Measuring | None


class Measuring:
    """What takes the measures of one picture, in another thread, from the first `start` on."""

    def __init__(self, beside: Executor, act: Callable[[], Measures]) -> None:
        self._beside = beside
        self._act = act
        self._future: Future[Measures] | None = None

    def start(self) -> Future[Measures]:
        if self._future is None:
            self._future = self._beside.submit(self._act)
        return self._future


class Kept:
    """A few pictures decoded or being decoded that are asked about next. For many threads.

    Those of a call whose rows are being written, and those that a pipeline tried beside will want once more.
    """

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._pictures: OrderedDict[tuple[str, int], Future[Decoded]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, sha256: str, side: int, decoding: Future[Decoded]) -> None:
        with self._lock:
            self._pictures[(sha256, side)] = decoding
            while len(self._pictures) > self._most:
                self._pictures.popitem(last=False)

    def take(self, sha256: str, side: int) -> Decoded | None:
        """Only one of exactly this side: a picture decoded otherwise has other pixels, and might get another answer.

        Waits for one that is being decoded. None as well where that failed: whoever asks finds the reason.
        """
        with self._lock:
            decoding = self._pictures.pop((sha256, side), None)
        return decoding.result() if decoding is not None and decoding.exception() is None else None

    def __len__(self) -> int:
        return len(self._pictures)


def side_for(pipeline: LoadedPipeline) -> int:
    """How many pixels a decode has to leave, for the networks and for the measures."""
    return max(pipeline.at_least, SMALL)


def _done(decoded: Decoded) -> Future[Decoded]:
    future: Future[Decoded] = Future()
    future.set_result(decoded)
    return future


def look_at(
    work: Work, pipeline: LoadedPipeline, beside: Executor, kept: Kept, *, keep: bool = False, is_alone: bool = False
) -> Looked | Failure:
    """Decode and prepare one picture; it is measured `beside`, while the network already runs.

    Runs in a thread. What is wrong with the picture is a value. With `keep` it is wanted once more soon. One that
    `is_alone` is measured when somebody starts that: a network that has all processors waits for the slowest of them.
    """
    path, side = Path(work.path), side_for(pipeline)
    with _failing() as failures:
        decoded = kept.take(work.sha256, side)
        if decoded is None:
            _check_original(work, path)
            decoded = decode(path, at_least=side)
        if keep:
            kept.keep(work.sha256, side, _done(decoded))
        prepared = pipeline.prepare(decoded)  # before it is measured: the network is waited for, the measures are not
        measures = None if work.is_measured else Measuring(beside, partial(_measure, work, path, decoded))
        if measures is not None and not is_alone:
            measures.start()
        return Looked(prepared, measures)
    return failures[0]


def measure(work: Work) -> Measures | Failure:
    """Measure one picture that no network has to see."""
    path = Path(work.path)
    with _failing() as failures:
        _check_original(work, path)
        return _measure(work, path, decode(path, at_least=SMALL))
    return failures[0]


@contextmanager
def _failing() -> Iterator[list[Failure]]:
    """Turns what can be wrong with a picture, or with reading it, into one Failure."""
    failures: list[Failure] = []
    try:
        yield failures
    except ImageRejected as rejected:
        failures.append(Failure(rejected.code, rejected.reason))
    except FileNotFoundError:
        failures.append(Failure(originals.MISSING, originals.MISSING_WORDS))
    except originals.OriginalChanged:
        failures.append(Failure(originals.CHANGED, originals.CHANGED_WORDS))
    except (OSError, MemoryError, ValueError) as error:
        words = f"The picture could not be read ({error}). Retry; if it stays so, send it again."
        failures.append(Failure("unreadable", words))


def _check_original(work: Work, path: Path) -> None:
    """What is read in place may have changed since; what is stored is ours and cannot."""
    if work.is_in_place:
        originals.check_unchanged(path, work.sha256)


def _measure(work: Work, path: Path, decoded: Decoded) -> Measures:
    small = small_copy(decoded, SMALL)
    try:
        write_derived(work.sha256, SMALL_NAME, encode(small))
    except OSError as error:
        log.warning("no thumbnail of %s for now, it is made when somebody looks: %s", work.sha256, error)
    return Measures(
        facts=read_facts(path),
        quality=quality_of(small),
        perceptual_hash=hash_of(small),
        damaged_share=decoded.damaged_share,
    )
