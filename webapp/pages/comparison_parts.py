"""What the page of a comparison draws: rows for its tables and charts, from what was found."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.contract import LOWER_IS_BETTER, RunConfig, as_values, difference_words, interval_words, value_words
from webapp.pages.matrices import matrices
from webapp.runs.comparing.find import evaluated_beside, names_of
from webapp.runs.models import Comparison
from webapp.versions.models import Version

CLASSES_SHOWN = 60
EACH_SLICE = 12
FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "top5": "truth among the five best",
    "map5": "MAP@5",
    "many_shot_recall": "recall, labels with over 100 training images",
    "medium_shot_recall": "recall, labels with 20 to 100 training images",
    "few_shot_recall": "recall, labels with under 20 training images",
    "log_loss": "log-loss (less is better)",
}
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "no evidence": "no evidence of a difference",
    "too few groups": "too few groups",
}
DEFAULTS = as_values(RunConfig())
_DIGEST = re.compile(r"[0-9a-f]{64}")
SLICE_WORDS = {"how": "how the label came about", "size": "picture size"}


@dataclass(frozen=True)
class Row:
    """One difference as a line of a table; `scale` is what the whisker's half width stands for."""

    words: str
    a: str
    b: str
    difference: str
    value: float
    interval: Sequence[float] | None
    scale: float
    p: float | None
    verdict: str
    verdict_words: str
    images: int = 0
    groups: int = 0
    fixed: int = 0
    broken: int = 0
    key: str = ""
    note: str = ""
    is_share: bool = True

    @property
    def interval_words(self) -> str:
        return _minus(interval_words(self.interval, share=self.is_share)) if self.interval else ""

    @property
    def p_words(self) -> str:
        return p_words(self.p)


def comparison_parts(row: Comparison, matrix_of: str = "") -> dict[str, Any]:
    """Everything below the headline; matrices of all labels, or around one."""
    found = row.result
    names = names_of(row.project, _keys(found), (row.version_a, row.version_b))
    same = found["intersection"]["images"] == found["images"]
    return {
        "found": found,
        "mcnemar": p_words(found["mcnemar_p"]),
        "metrics": metric_rows(found["metrics"]),
        "common": [] if same else metric_rows(found["intersection"]["metrics"]),
        "only_a": [names[key] for key in found["only_a_knows"]],
        "only_b": [names[key] for key in found["only_b_knows"]],
        "classes": class_rows(found["classes"][:CLASSES_SHOWN]),
        "more_classes": max(0, len(found["classes"]) - CLASSES_SHOWN),
        "matrices": matrices(found["matrix"], names, matrix_of),
        "slices": slice_groups(found["slices"], found["decided_by"]),
        "decided_by": FIGURES.get(found["decided_by"], found["decided_by"]),
        "sides": [side(row, "a"), side(row, "b")],
        "beside": beside(row),
        "settings": setting_rows(row),
    }


def _keys(found: Mapping[str, Any]) -> set[str]:
    cells = {key for cell in found["matrix"] for key in (cell["truth"], cell["answer"])}
    return cells | {one["key"] for one in found["classes"]} | {*found["only_a_knows"], *found["only_b_knows"]}


# ---- differences -----------------------------------------------------------------------------------------------------


def metric_rows(metrics: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Shares have one scale in common; the log-loss has its own."""
    order = [name for name in FIGURES if name in metrics] + [name for name in metrics if name not in FIGURES]
    common = scale_of([metrics[name] for name in order if name not in LOWER_IS_BETTER])
    return [
        difference_row(
            FIGURES.get(name, name),
            metrics[name],
            scale_of([metrics[name]]) if name in LOWER_IS_BETTER else common,
            is_share=name not in LOWER_IS_BETTER,
            key=name,
        )
        for name in order
    ]


def class_rows(classes: Sequence[Mapping[str, Any]]) -> list[Row]:
    scale = scale_of(classes)
    return [
        difference_row(
            one["name"],
            one,
            scale,
            p=one["p_corrected"],
            key=one["key"],
            images=one["images"],
            groups=one["groups"],
            fixed=one["fixed"],
            broken=one["broken"],
            note=""
            if one["known_to_a"] and one["known_to_b"]
            else f"only {'B' if one['known_to_b'] else 'A'} knows it",
        )
        for one in classes
    ]


@dataclass(frozen=True)
class SliceGroup:
    """What images are divided by: its largest slices, then the others."""

    by: str
    words: str
    rows: list[Row]
    others: list[Row]


def slice_groups(slices: Sequence[Mapping[str, Any]], decided_by: str) -> list[SliceGroup]:
    """By what they divide, all on one scale."""
    scale = scale_of([one["change"] for one in slices])
    share = decided_by not in LOWER_IS_BETTER
    groups: dict[str, list[Row]] = defaultdict(list)
    for one in slices:
        more = {"images": one["images"], "groups": one["groups"], "key": one["value"]}
        row = difference_row(one["value"], one["change"], scale, p=one["p_corrected"], is_share=share, **more)
        groups[one["by"]].append(row)
    return [
        SliceGroup(by, SLICE_WORDS.get(by, by), rows[:EACH_SLICE], rows[EACH_SLICE:]) for by, rows in groups.items()
    ]


def difference_row(
    words: str, one: Mapping[str, Any], scale: float, *, is_share: bool = True, p: float | None = None, **more: Any
) -> Row:
    said = {"p": one["p"] if p is None else p, "verdict": one["verdict"], "verdict_words": VERDICTS[one["verdict"]]}
    return Row(
        words=words,
        a=value_words(one["a"], share=is_share),
        b=value_words(one["b"], share=is_share),
        difference=_minus(difference_words(one["difference"], share=is_share)),
        value=one["difference"],
        interval=one["interval"],
        scale=scale,
        is_share=is_share,
        **said,
        **more,
    )


def scale_of(differences: Sequence[Mapping[str, Any]]) -> float:
    """A round number that no whisker goes beyond."""
    ends = [abs(end) for one in differences for end in (one["interval"] or (one["difference"],))]
    most = max([abs(one["difference"]) for one in differences] + ends, default=0.0) or 0.01
    size = 10.0 ** math.floor(math.log10(most))
    return next(step * size for step in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if step * size >= most * 0.999)


def p_words(p: float | None) -> str:
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _minus(words: str) -> str:
    return words.replace("-", "\u2212")


# ---- each side, and all versions -------------------------------------------------------------------------------------


def side(row: Comparison, name: str) -> dict[str, Any]:
    """One version as it stands on these images."""
    evaluation = row.a if name == "a" else row.b
    report = evaluation.report if evaluation is not None else {}
    summary = row.result[name]
    before, after = report.get("before") or {}, report.get("after") or {}
    return {
        "name": name.upper(),
        "version": row.version_a if name == "a" else row.version_b,
        "summary": summary,
        "ece_before": before.get("ece"),
        "ece_after": after.get("ece", summary["ece"]),
        "bins_before": before.get("bins", []),
        "bins_after": after.get("bins", summary["bins"]),
        "reject_curve": summary["reject_curve"],
        "temperature": report.get("temperature"),
    }


def beside(row: Comparison) -> list[dict[str, Any]]:
    """Every version evaluated on the same images, the most accurate first."""
    marks = {row.version_a_id: "A", row.version_b_id: "B"}
    found = [
        {
            "version": one.version,
            "mark": marks.get(one.version_id, ""),
            "accuracy": point.accuracy,
            "accuracy_words": value_words(point.accuracy),
            "milliseconds": point.milliseconds,
            "size_bytes": point.size_bytes,
            # One that a run brought with it names the device in its report alone.
            "device": one.device or (one.report.get("speed") or {}).get("device", ""),
            "on_front": point.on_front,
        }
        for one, point in evaluated_beside(row)
    ]
    return sorted(found, key=lambda one: -one["accuracy"])


def setting_rows(row: Comparison) -> list[tuple[str, Any, Any]]:
    """What differs between both: the network first, then each setting of training."""
    a, b = row.version_a, row.version_b
    facts = [
        ("network", a.architecture, b.architecture),
        ("input", _input(a), _input(b)),
        ("labels", len(a.card.get("labels", ())), len(b.card.get("labels", ()))),
        ("began from", a.parent, b.parent),
        ("temperature", _round(a.card.get("temperature")), _round(b.card.get("temperature"))),
    ]
    rows = [(name, first, second) for name, first, second in facts if first != second]
    said = [one for one in row.result["settings"] if not _is_default(one)]
    return rows + [(one["key"], _short(one["a"]), _short(one["b"])) for one in said]


def _short(value: Any) -> Any:
    """A digest of 64 characters pushed the column of B out of sight."""
    return f"{value[:12]}\u2026" if isinstance(value, str) and _DIGEST.fullmatch(value) else value


def _is_default(setting: Mapping[str, Any]) -> bool:
    """One side was made before there was such a setting, and the other left it as it is by itself."""
    said = [setting[side] for side in ("a", "b") if setting[side] is not None]
    return len(said) == 1 and setting["key"] in DEFAULTS and said[0] == DEFAULTS[setting["key"]]


def _input(version: Version) -> str:
    return " \u00d7 ".join(str(side) for side in version.card.get("input_size", ()))


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
