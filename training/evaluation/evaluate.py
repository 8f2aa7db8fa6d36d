"""How well a model folder does on a part of a manifest, by the engine that serves it.

    python -m training evaluate MODEL --manifest FILE --pictures FILE --part test --out FOLDER

Writes `outcomes-PART.jsonl.gz` (what was said of each image) and `report.json` (`report-PART.json` for other parts);
how far it is goes to `progress.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from classifier.card import Card, folder_digest
from classifier.errors import ClassifierError
from training.contract import (
    PARTS,
    TEST,
    TOP,
    ManifestError,
    Outcome,
    Progress,
    Report,
    ReportError,
    Speed,
    report_values,
    write_outcomes,
)
from training.evaluation.corruptions import SEVERITIES, robustness
from training.evaluation.recognising import MISSING, Recognised, Recogniser
from training.evaluation.reports import report_of
from training.evaluation.samples import Sample, sample_of
from training.evaluation.tables import canonical
from training.pictures import Pictures, PicturesError
from training.run_folder import RunFolder, write_json

Tell = Callable[[int, int], None]
SAY_SECONDS = 1.0


def nobody(done: int, of: int) -> None:
    """Nobody wants to know how far it is."""


def evaluate(
    *,
    model: Path,
    manifest: Path,
    pictures: Pictures,
    part: str = TEST,
    out: Path,
    batch: int = 32,
    device: str = "auto",
    backend: str | None = None,
    threads: int | None = None,
    merges: Mapping[str, str] | None = None,
    validation: Report | None = None,
    corruption: Sequence[int] = (),
    corruption_images: int = 500,
    notes: Sequence[str] = (),
    tell: Tell = nobody,
) -> Report:
    """Recognise a part and write outcomes and report into `out`; `corruption` names the severities to try as well."""
    sample = sample_of(manifest, part, merges=merges)
    recogniser = Recogniser(model, device=device, backend=backend, threads=threads)
    run = _recognise(recogniser, sample, pictures, batch, merges or {}, tell)
    write_outcomes(out / outcomes_name(part), run.outcomes)
    hardened = (
        robustness(recogniser, sample, pictures, severities=corruption, images=corruption_images, batch=batch)
        if corruption
        else ()
    )
    report = report_of(
        run.outcomes,
        card=recogniser.card,
        version=folder_digest(model),
        sample=sample,
        speed=run.speed,
        size_bytes=sum(path.stat().st_size for path in model.rglob("*") if path.is_file()),
        not_scored=run.not_scored,
        corruptions=hardened,
        validation=validation.metrics if validation is not None else {},
        notes=notes,
    )
    write_json(out / report_name(part), report_values(report))
    return report


def outcomes_name(part: str) -> str:
    return f"outcomes-{part}.jsonl.gz"


def report_name(part: str) -> str:
    return "report.json" if part == TEST else f"report-{part}.json"


@dataclass(frozen=True, slots=True)
class _Run:
    outcomes: list[Outcome]
    not_scored: Mapping[str, int]
    speed: Speed


def _recognise(
    recogniser: Recogniser, sample: Sample, pictures: Pictures, batch: int, merges: Mapping[str, str], tell: Tell
) -> _Run:
    said = _Sayer(recogniser.card, merges)
    truth = {line.image: key for line, key in zip(sample.lines, sample.truth, strict=True)}
    left = Counter(sample.not_scored)
    outcomes = []
    begun = time.perf_counter()
    for number, found in enumerate(recogniser.recognise(sample.lines, pictures, batch=batch), start=1):
        tell(number, len(sample.lines))
        if found.failure == MISSING:
            left[MISSING] += 1
        else:
            outcomes.append(said.outcome(found, truth[found.line.image]))
    whole = time.perf_counter() - begun
    if not outcomes:
        raise ReportError(
            f"None of the {len(sample.lines)} originals of the {sample.part} part is there: look at pictures.json."
        )
    count = len(outcomes)
    speed = Speed(
        device=recogniser.device,
        backend=recogniser.backend,
        batch=batch,
        images_per_second=count / whole,
        milliseconds_whole=1000 * whole / count,
        milliseconds_network=1000 * recogniser.network_seconds,
    )
    return _Run(outcomes, dict(left), speed)


class _Sayer:
    """Scores by output -> an outcome in today's labels."""

    def __init__(self, card: Card, merges: Mapping[str, str]) -> None:
        today = [canonical(label.key, merges) for label in card.labels]
        self.keys = list(dict.fromkeys(today))
        self.place = {key: place for place, key in enumerate(self.keys)}
        self.columns = np.array([self.place[key] for key in today])
        self.merged = len(self.keys) < len(today)

    def outcome(self, found: Recognised, truth: str) -> Outcome:
        line = found.line
        group = line.group or (f"cluster {line.cluster}" if line.cluster is not None else "")
        if found.scores is None:
            return Outcome(line.image, line.sha256, group, truth, "", 0.0, 0.0, 0, failure=found.failure)
        scores = found.scores.astype(np.float64)
        if self.merged:
            scores = np.bincount(self.columns, scores, len(self.keys)).astype(np.float64, copy=False)
        best = np.argsort(-scores, kind="stable")[:TOP]
        place = self.place.get(truth)
        return Outcome(
            image=line.image,
            sha256=line.sha256,
            group=group,
            truth=truth,
            answer=self.keys[best[0]],
            score=round(float(scores[best[0]]), 6),
            truth_score=0.0 if place is None else round(float(scores[place]), 9),
            truth_rank=0 if place is None else 1 + int((scores > scores[place]).sum()),
            top=tuple((self.keys[one], round(float(scores[one]), 6)) for one in best),
            raw_score=None if found.raw_score is None else round(found.raw_score, 6),
        )


# ---- command line ----------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--manifest", type=Path, required=True, help="the frozen images, as in a run folder")
    parser.add_argument("--pictures", type=Path, required=True, help="pictures.json, or the run folder that has it")
    parser.add_argument("--part", default=TEST, choices=PARTS, help="of the manifest (test)")
    parser.add_argument("--out", type=Path, required=True, help="folder for outcomes and report")
    parser.add_argument("--batch", type=int, default=32, help="so many pictures at once (32)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--merges", type=Path, help="JSON object: label key -> key that it was merged into")
    parser.add_argument(
        "--corruptions",
        type=_severities,
        default=(),
        metavar="SEVERITIES",
        help=f"also try damaged copies, for example 1,3,5 (of {SEVERITIES[0]} to {SEVERITIES[-1]})",
    )
    parser.add_argument("--corruption-images", type=int, default=500, help="at most so many images for that")


def _severities(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.isdecimal() and int(word) in SEVERITIES for word in words):
        raise argparse.ArgumentTypeError(f"{text!r}: numbers from {SEVERITIES[0]} to {SEVERITIES[-1]} are expected")
    return tuple(int(word) for word in words)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures as JSON; exit status 1 with a sentence when it cannot be done."""
    try:
        report = evaluate(
            model=arguments.model,
            manifest=arguments.manifest,
            pictures=Pictures.read(arguments.pictures),
            part=arguments.part,
            out=arguments.out,
            batch=arguments.batch,
            device=arguments.device,
            merges=read_merges(arguments.merges),
            corruption=arguments.corruptions,
            corruption_images=arguments.corruption_images,
            tell=_teller(arguments.out),
        )
    except (ClassifierError, ManifestError, PicturesError, ReportError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    values = report_values(report)
    sys.stdout.write(json.dumps({name: values[name] for name in ("images", "groups", "metrics", "not_scored")}) + "\n")
    return 0


def _teller(out: Path) -> Tell:
    """Says once a second how far it is, in the words of a run."""
    out.mkdir(parents=True, exist_ok=True)
    folder, begun = RunFolder(out), time.monotonic()
    said = 0.0

    def tell(done: int, of: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= SAY_SECONDS or done == of:
            said, rate = now, done / max(now - begun, 1e-6)
            left = (of - done) / rate
            words = Progress(kind="work", at=time.time(), stage="evaluating", done=done, of=of)
            folder.say(replace(words, images_per_second=round(rate, 1), seconds_left=round(left, 1)))

    return tell


def read_merges(path: Path | None) -> dict[str, str]:
    """Label key -> key that it was merged into, from a JSON file."""
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}).") from error
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ReportError(f'{path} should hold an object of label keys, such as {{"old": "new"}}.')
    return values
