"""How well one version does on one part of a manifest: each image's outcome, and the report made of all of them."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from classifier.strict_json import FieldError, from_json, to_json

REPORT_FORMAT = "osprey-report"
REPORT_VERSION = 1
TOP = 5
LOWER_IS_BETTER = frozenset({"log_loss"})
Interval = tuple[float, float]


class ReportError(Exception):
    """A report or its outcomes cannot be read, or made; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a version said of one image whose truth is known.

    `truth` and `answer` are label keys; `truth_score` is the calibrated score of the truth and `truth_rank` its place
    from 1, both 0 when the version does not know that label. `raw_score` is the answer's score before the temperature,
    None where it cannot be known. `failure` is the code of an image that could not be recognised: it counts as wrong.
    `group` is what statistics count as one.
    """

    image: int
    sha256: str
    group: str
    truth: str
    answer: str
    score: float
    truth_score: float
    truth_rank: int
    top: tuple[tuple[str, float], ...] = ()
    raw_score: float | None = None
    failure: str = ""

    @property
    def is_right(self) -> bool:
        return self.answer == self.truth


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its 95 % interval over groups; None: too few groups for one."""

    value: float
    interval: Interval | None = None
    groups: int = 0


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One label of the truth: its images in this part (`images`) and, where known, in training (`trained_on`)."""

    key: str
    name: str
    images: int
    groups: int
    answered: int
    recall: Measured
    precision: Measured | None
    f1: Measured
    trained_on: int | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """So many images of label `truth` were answered `answer`; cells of none are left out."""

    truth: str
    answer: str
    images: int


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose score lies in `low`..`high`: how many, their mean score, and the share that is right."""

    low: float
    high: float
    images: int
    score: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Expected calibration error with the bins of its diagram."""

    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class RejectPoint:
    """Answers from `threshold` up are `kept` (a share); of those `wrong` (a share) are not right."""

    threshold: float
    kept: float
    wrong: float


@dataclass(frozen=True, slots=True)
class Promise:
    """Reviewing every answer below `threshold` leaves at most `at_most` of the rest wrong; None: no threshold does.

    `kept` is the share that needs no review, `wrong` what was found among it, `upper` the upper end of a one-sided
    95 % interval of that (over groups).
    """

    at_most: float
    threshold: float | None
    kept: float = 0.0
    wrong: float = 0.0
    upper: float = 0.0


@dataclass(frozen=True, slots=True)
class Speed:
    """Time for an image on the device that measured it.

    `network` is the network alone, in its quickest batch; `whole` is with decoding, over all images.
    """

    device: str
    backend: str
    batch: int
    images_per_second: float
    milliseconds_whole: float
    milliseconds_network: float


@dataclass(frozen=True, slots=True)
class Corrupted:
    """Accuracy on the same images after one corruption (severity 1 to 5)."""

    kind: str
    severity: int
    images: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class TrialReport:
    """One trial of a sweep, by the validation part. `state`: done, learned-nothing, failed, out-of-time.

    `was_chosen`: it was published.
    """

    number: int
    settings: Mapping[str, Any]
    epochs: int
    state: str
    reason: str = ""
    seconds: float = 0.0
    loss: float | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    macro_f1: float | None = None
    was_chosen: bool = False


@dataclass(frozen=True, slots=True)
class VariantReport:
    """A lighter form against the f32 one, on the same validation pictures and processor.

    `same` is the share of pictures with the same label; `milliseconds` is for one picture alone, the network's time.
    """

    name: str
    pictures: int
    accuracy: float
    log_loss: float
    same: float
    milliseconds: float
    images_per_second: float
    bytes: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said of one version on one part. `metrics` are by name; see docs/training.md for each.

    `snapshot` is the digest of the manifest, `version` that of the model folder. `not_scored` counts images by reason.
    `unknown_labels` are labels of the truth that the version cannot answer. `before`: reliability without the
    temperature. `notes` are sentences for people. `trials` are those of a sweep, `variants` the lighter forms that were
    made, the f32 one first.
    """

    version: str
    name: str
    snapshot: str
    part: str
    images: int
    groups: int
    labels: tuple[str, ...]
    metrics: Mapping[str, Measured]
    classes: tuple[ClassReport, ...] = ()
    confusion: tuple[Cell, ...] = ()
    after: Reliability | None = None
    before: Reliability | None = None
    temperature: float = 1.0
    reject_curve: tuple[RejectPoint, ...] = ()
    promises: tuple[Promise, ...] = ()
    speed: Speed | None = None
    size_bytes: int = 0
    architecture: str = ""
    not_scored: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    unknown_labels: tuple[str, ...] = ()
    majority_share: float = 0.0
    answered_labels: int = 0
    corruptions: tuple[Corrupted, ...] = ()
    validation: Mapping[str, Measured] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    trials: tuple[TrialReport, ...] = ()
    variants: tuple[VariantReport, ...] = ()
    format: str = REPORT_FORMAT
    format_version: int = REPORT_VERSION


def report_values(report: Report) -> dict[str, Any]:
    """A report as JSON values, all fields kept."""
    return dict(to_json(report))


def parse_report(data: object, *, origin: str = "the report") -> Report:
    """A report from JSON values; raises ReportError for what is none."""
    said = (data.get("format"), data.get("format_version")) if isinstance(data, Mapping) else None
    if said != (REPORT_FORMAT, REPORT_VERSION):
        raise ReportError(f"{origin} is no report of this Osprey ({said}): evaluate the version again.")
    try:
        return from_json(Report, data)
    except FieldError as error:
        raise ReportError(f"{origin}: {error}. Evaluate the version again.") from error


def read_report(path: Path) -> Report:
    try:
        return parse_report(json.loads(path.read_text(encoding="utf-8")), origin=str(path))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): evaluate the version again.") from error


# ---- outcomes: one line of JSON an image, gzipped --------------------------------------------------------------------


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write beside, then replace; the same outcomes give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=5) as file:
        for one in outcomes:
            values = {name: value for name, value in asdict(one).items() if value not in (None, "", ())}
            file.write(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    beside.replace(path)


def read_outcomes(path: Path) -> list[Outcome]:
    """All outcomes of a file; raises ReportError that names the line at fault."""
    found = []
    try:
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                found.append(_outcome(line, number, path))
    except (OSError, EOFError) as error:
        raise ReportError(f"{path} cannot be read ({error}): evaluate the version again.") from error
    return found


_OPTIONAL_WORDS = {"group": "", "truth": "", "answer": ""}
_OUTCOME = frozenset(one.name for one in fields(Outcome))


def _outcome(line: bytes, number: int, path: Path) -> Outcome:
    try:
        values = _OPTIONAL_WORDS | json.loads(line)
        values["top"] = tuple((str(key), float(score)) for key, score in values.get("top", ()))
        if unknown := sorted(values.keys() - _OUTCOME):
            raise ValueError(f"unknown key {unknown[0]!r}")
        return Outcome(**values)
    except (ValueError, TypeError) as error:
        raise ReportError(f"{path}, line {number}: {error}. Evaluate the version again.") from error
