"""How two versions differ on the same frozen images, with statistics by group."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from classifier.strict_json import FieldError, from_json, to_json
from training.contract.report import Bin, Cell, Interval, RejectPoint, ReportError

COMPARISON_FORMAT = "osprey-comparison"
COMPARISON_VERSION = 1
FEWEST_GROUPS = 10
MCNEMAR_NOTE = "assumes independent images"
Verdict = Literal["better", "worse", "no evidence", "too few groups"]
SEEN_IMAGES, OTHER_IMAGES, UNREADABLE = "seen-images", "other-images", "report-unreadable"
COMPARED_FORMAT = "osprey-compared"
Paired = tuple[int, int, int, int, float, float]
"""An image, its truth, what a and b answered (places among the labels, '' for no answer), and how sure each was."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both versions; `difference` is b - a, its 95 % interval and `p` are over groups.

    None: too few groups. Whether more is better depends on the figure; `verdict` already says it of b.
    """

    a: float
    b: float
    difference: float
    interval: Interval | None
    p: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Scope:
    """Figures on some of the images: all of them, or those whose label both versions know."""

    images: int
    groups: int
    metrics: Mapping[str, Difference]
    verdict: Verdict
    fixed: int
    broken: int
    both_wrong: int
    both_right: int
    mcnemar_p: float


@dataclass(frozen=True, slots=True)
class ClassChange:
    """Recall of one label under both versions. `p_corrected` takes account of how many labels were looked at.

    `verdict` is by the corrected p; a label in under ten groups has neither interval nor p.
    """

    key: str
    name: str
    images: int
    groups: int
    a: float
    b: float
    difference: float
    interval: Interval | None
    p: float | None
    p_corrected: float | None
    verdict: Verdict
    fixed: int
    broken: int
    known_to_a: bool = True
    known_to_b: bool = True


@dataclass(frozen=True, slots=True)
class Slice:
    """The deciding figure on the images that share something; `by` is site, camera, hour, light, sharpness or how.

    `p_corrected` takes account of how many slices were looked at, and `verdict` is by it.
    """

    by: str
    value: str
    images: int
    groups: int
    change: Difference
    p_corrected: float | None


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell of both confusion matrices."""

    truth: str
    answer: str
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One of the two versions, as it stands in the comparison. Times and sizes are 0 where nobody measured them."""

    version: str
    name: str
    architecture: str = ""
    labels: int = 0
    ece: float | None = None
    bins: tuple[Bin, ...] = ()
    reject_curve: tuple[RejectPoint, ...] = ()
    confusion: tuple[Cell, ...] = ()
    milliseconds: float = 0.0
    device: str = ""
    size_bytes: int = 0
    trained_on_known: bool = True


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One version by accuracy, latency and size; on the front when no other is at least as good in all three."""

    version: str
    name: str
    accuracy: float
    milliseconds: float
    size_bytes: int
    on_front: bool


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that differs."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """b against a. What stands first is the whole of the images, and there the figure `decided_by` decides.

    Image ids in the galleries are of the site; they are complete, in the order of how sure the wrong version was.
    """

    a: SideSummary
    b: SideSummary
    snapshot: str
    part: str
    sentence: str
    decided_by: str
    metrics: Mapping[str, Difference]
    p: float | None
    groups: int
    images: int
    mcnemar_p: float
    verdict: Verdict
    fixed: int
    broken: int
    both_wrong: int
    both_right: int
    intersection: Scope
    only_a_knows: tuple[str, ...] = ()
    only_b_knows: tuple[str, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[ClassChange, ...] = ()
    correction: str = "holm"
    matrix: tuple[CellChange, ...] = ()
    slices: tuple[Slice, ...] = ()
    fixed_images: tuple[int, ...] = ()
    broken_images: tuple[int, ...] = ()
    both_wrong_images: tuple[int, ...] = ()
    pareto: tuple[ParetoPoint, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    notes: tuple[str, ...] = ()
    mcnemar_note: str = MCNEMAR_NOTE
    format: str = COMPARISON_FORMAT
    format_version: int = COMPARISON_VERSION


def comparison_values(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON values, all fields kept."""
    return dict(to_json(comparison))


def parse_comparison(data: object, *, origin: str = "the comparison") -> Comparison:
    """A comparison from JSON values; raises ReportError for what is none."""
    said = (data.get("format"), data.get("format_version")) if isinstance(data, Mapping) else None
    if said != (COMPARISON_FORMAT, COMPARISON_VERSION):
        raise ReportError(f"{origin} is no comparison of this Osprey ({said}): compare the versions again.")
    try:
        return from_json(Comparison, data)
    except FieldError as error:
        raise ReportError(f"{origin}: {error}. Compare the versions again.") from error


def read_comparison(path: Path) -> Comparison:
    try:
        return parse_comparison(json.loads(path.read_text(encoding="utf-8")), origin=str(path))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({error}): compare the versions again.") from error


SAME_SIZE = 1.01
"""A last layer for six labels instead of eight is a few kilobytes: nobody chooses a version for those."""

SAME_TIME = 1.1
"""The same network, measured twice on a machine that people use, differs by more than a few hundredths."""


def pareto(points: Sequence[ParetoPoint]) -> tuple[ParetoPoint, ...]:
    """The same points, each told whether no other is at least as good in accuracy, time and size and better in one."""
    return tuple(replace(one, on_front=not any(_is_ahead(other, one) for other in points)) for one in points)


def _is_ahead(other: ParetoPoint, one: ParetoPoint) -> bool:
    is_as_good = other.accuracy >= one.accuracy
    is_as_quick = other.milliseconds <= one.milliseconds * SAME_TIME
    is_as_small = other.size_bytes <= one.size_bytes * SAME_SIZE
    is_quicker = other.milliseconds * SAME_TIME < one.milliseconds
    is_smaller = other.size_bytes * SAME_SIZE < one.size_bytes
    is_more = other.accuracy > one.accuracy or is_quicker or is_smaller
    return is_as_good and is_as_quick and is_as_small and is_more


# ---- a comparison with every image: gzipped JSON ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no comparison. Of seen images: which side saw them, how many by content and as near-duplicates."""

    code: str
    reason: str
    side: str = ""
    images: int = 0
    near: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Sliced:
    """In which slice each image is, by its place among `values`; -1: in none."""

    by: str
    values: tuple[str, ...]
    of: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison and what both sides said of each image, or the refusal. `slices` are in the order of `images`."""

    comparison: Comparison | None = None
    refusal: Refusal | None = None
    labels: tuple[str, ...] = ()
    images: tuple[Paired, ...] = ()
    slices: tuple[Sliced, ...] = ()


def write_compared(path: Path, found: Compared) -> None:
    """Write beside, then replace."""
    values = {
        "format": COMPARED_FORMAT,
        "format_version": COMPARISON_VERSION,
        "comparison": to_json(found.comparison),
        "refusal": to_json(found.refusal),
        "labels": found.labels,
        "images": found.images,
        "slices": [(one.by, one.values, one.of) for one in found.slices],
    }
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=5) as file:
        file.write(json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    beside.replace(path)


def read_compared(path: Path) -> Compared:
    """The whole of it; raises ReportError for what is none."""
    again = "Compare the versions again."
    try:
        with gzip.open(path, "rb") as file:
            data = json.loads(file.read())
        if (data["format"], data["format_version"]) != (COMPARED_FORMAT, COMPARISON_VERSION):
            raise ReportError(f"{path} is no comparison of this Osprey ({data['format']}). {again}")
        found, refusal = data["comparison"], data["refusal"]
        images = tuple(
            (int(image), int(truth), int(a), int(b), float(sure_a), float(sure_b))
            for image, truth, a, b, sure_a, sure_b in data["images"]
        )
        return Compared(
            comparison=None if found is None else parse_comparison(found, origin=str(path)),
            refusal=None if refusal is None else from_json(Refusal, refusal),
            labels=tuple(str(label) for label in data["labels"]),
            images=images,
            slices=tuple(
                Sliced(str(by), tuple(map(str, values)), tuple(map(int, of)))
                for by, values, of in data.get("slices", ())  # files of before have none
            ),
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise ReportError(f"{path} cannot be read ({error}). {again}") from error
