"""What pages draw of one report: figures with their intervals, labels, one matrix, calibration, what is left wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.contract import is_share, value_words
from webapp.pages.matrices import matrices
from webapp.runs.comparing.find import names_of
from webapp.runs.comparing.gallery import B
from webapp.runs.models import Evaluation

CLASSES_SHOWN = 60
MAIN_FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "log_loss": "log-loss",
}


@dataclass(frozen=True)
class LabelRow:
    """One label of the truth; figures in words, with their intervals where there are any."""

    key: str
    name: str
    trained_on: int | None
    images: int
    answered: int
    recall: str
    recall_interval: str
    precision: str
    f1: str
    is_known: bool


def report_parts(row: Evaluation, matrix_of: str = "") -> dict[str, Any]:
    """Everything that part_report.html shows."""
    report = row.report
    cells = [{**one, "a": one["images"], "b": one["images"]} for one in report["confusion"]]
    keys = {key for one in cells for key in (one["truth"], one["answer"])} | {one["key"] for one in report["classes"]}
    names = names_of(row.snapshot.project, keys, [row.version])
    classes = sorted(report["classes"], key=lambda one: (one["recall"]["value"], one["key"]))
    drawn = matrices(cells, names, matrix_of, kinds=(B,))
    return {
        "evaluation": row,
        "report": report,
        "figures": figures(report),
        "labels": [_label(one, names[one["key"]]) for one in classes[:CLASSES_SHOWN]],
        "more_labels": max(0, len(classes) - CLASSES_SHOWN),
        "matrix": {**drawn, "rows": drawn["drawn"][0][1]},
        "sides": [_side(report)],
        "promises": [_promise(one) for one in report["promises"]],
        "corruptions": report["corruptions"],
    }


def _promise(one: Mapping[str, Any]) -> dict[str, Any]:
    """In words; `upper` is 1 where there were too few groups to be confident of anything."""
    words = {name: value_words(one[name]) for name in ("at_most", "kept", "wrong", "upper")}
    threshold = None if one["threshold"] is None else value_words(one["threshold"])
    return {**words, "threshold": threshold, "is_confident": one["upper"] < 1}


def _side(report: Mapping[str, Any]) -> dict[str, Any]:
    """As the charts of a comparison take one of two versions; there is no other."""
    before, after = report["before"] or {}, report["after"] or {}
    bins = {"bins_before": before.get("bins", []), "bins_after": after.get("bins", [])}
    return {"name": "", "reject_curve": report["reject_curve"], **bins}


def figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The main ones in words, with their intervals, in percent where they are shares."""
    found = []
    for name, words in MAIN_FIGURES.items():
        measured = report.get("metrics", {}).get(name)
        if measured is not None and measured.get("value") is not None:
            found.append((words, _value(name, measured["value"]), _interval(name, measured.get("interval"))))
    return found


def _label(one: Mapping[str, Any], name: str) -> LabelRow:
    recall, precision = one["recall"], one["precision"]
    return LabelRow(
        key=one["key"],
        name=name,
        trained_on=one["trained_on"],
        images=one["images"],
        answered=one["answered"],
        recall=value_words(recall["value"]),
        recall_interval=_interval("recall", recall["interval"]),
        precision=value_words(precision["value"]) if precision else "",
        f1=value_words(one["f1"]["value"]),
        is_known=one["known"],
    )


def _value(name: str, value: float) -> str:
    return value_words(value, share=is_share(name))


def _interval(name: str, interval: list[float] | None) -> str:
    return f"{_value(name, interval[0])} to {_value(name, interval[1])}" if interval else ""
