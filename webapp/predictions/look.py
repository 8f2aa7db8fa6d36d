"""One decode of one picture serves everything: measures, thumbnail and every network's input."""

from __future__ import annotations

import logging
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from classifier.engine import LoadedPipeline, Prepared
from classifier.errors import ImageRejected
from classifier.facts import read_facts
from classifier.fingerprint import hash_of, quality_of
from classifier.images import decode
from classifier.thumbnails import encode, small_copy
from classifier.types import Decoded, Facts, Failure, Quality
from webapp.images.store import write_derived
from webapp.predictions.claim import Work

log = logging.getLogger(__name__)

SMALL = 256
SMALL_NAME = f"{SMALL}.jpg"


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
    measures: Future[Measures] | None


def look_at(work: Work, pipeline: LoadedPipeline, beside: Executor) -> Looked | Failure:
    """Decode and prepare one picture; it is measured `beside`, while the network already runs.

    Runs in a thread. What is wrong with the picture is a value.
    """
    path = Path(work.path)
    try:
        decoded = decode(path, at_least=max(pipeline.at_least, SMALL))
        measures = None if work.is_measured else beside.submit(_measure, work, path, decoded)
        return Looked(pipeline.prepare(decoded), measures)
    except ImageRejected as rejected:
        return Failure(rejected.code, rejected.reason)
    except FileNotFoundError:
        return Failure(
            "original-missing",
            "The original is not where it was stored: a disk may be unplugged. Bring it back, then retry.",
        )
    except (OSError, MemoryError, ValueError) as error:
        return Failure("unreadable", f"The picture could not be read ({error}). Retry; if it stays so, send it again.")


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
