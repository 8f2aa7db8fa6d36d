"""How two versions differ on the same frozen images, with statistics by group."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from classifier.strict_json import FieldError, from_json, to_json
from training.contract.report import Bin, Cell, Interval, RejectPoint, ReportError

COMPARISON_FORMAT = "osprey-comparison"
COMPARISON_VERSION = 1
FEWEST_GROUPS = 10
MCNEMAR_NOTE = "assumes independent images"
Verdict = Literal["better", "worse", "no evidence", "too few groups"]


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
