"""Reports and curves as tables: each a heading and its lines, as people take them into a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webapp.runs.models import Run, RunEvent

Table = tuple[tuple[str, ...], Iterator[list[object]]]
CURVES = (
    "stage", "epoch", "learning_rate", "train_loss", "validation_loss", "accuracy", "balanced_accuracy", "macro_f1",
    "best",
)  # fmt: skip
STAGES = {"first stage": 1, "second stage": 2}
FIGURES, LABELS, MATRIX = "figures", "labels", "matrix"
TABLES = (FIGURES, LABELS, MATRIX)


def curves_of(run: Run) -> list[dict[str, Any]]:
    """What was said at the end of each epoch, in order; two-stage runs have a stage 2.

    A run that went on from its checkpoint says some epochs again: the newer word holds.
    """
    found: dict[tuple[int, int], dict[str, Any]] = {}
    stage = 1
    said = RunEvent.objects.filter(run=run, kind__in=("stage", "epoch")).order_by("number")
    for kind, detail in said.values_list("kind", "detail"):
        if kind == "epoch":
            place = (stage, int(detail.get("epoch", 0)))
            found = {earlier: one for earlier, one in found.items() if earlier < place}
            values = {name: detail[name] for name in CURVES if name in detail}
            found[place] = {"best": False, **values, "stage": stage}
        elif detail.get("stage") in STAGES:
            stage = STAGES[detail["stage"]]
    return list(found.values())


def curve_table(run: Run) -> Table:
    return CURVES, ([one.get(name) for name in CURVES] for one in curves_of(run))


def report_table(report: Mapping[str, Any], of: str) -> Table:
    """`figures`: each metric with its interval; `labels`: each label; `matrix`: each pair of labels that occurs."""
    make = {FIGURES: _figures, LABELS: _labels, MATRIX: _matrix}[of]
    return make(report)


def _figures(report: Mapping[str, Any]) -> Table:
    lines = ([name, *_measured(one), one["groups"]] for name, one in report["metrics"].items())
    return ("figure", "value", "low", "high", "groups"), lines


def _labels(report: Mapping[str, Any]) -> Table:
    heading = ("key", "name", "trained_on", "images", "groups", "answered", "recall", "recall_low", "recall_high")
    more = ("precision", "precision_low", "precision_high", "f1", "f1_low", "f1_high")
    lines = (
        [one[name] for name in heading[:6]] + [_measured(one[figure]) for figure in ("recall", "precision", "f1")]
        for one in report["classes"]
    )
    return heading + more, (line[:6] + [value for three in line[6:] for value in three] for line in lines)


def _matrix(report: Mapping[str, Any]) -> Table:
    return ("truth", "answer", "images"), ([one["truth"], one["answer"], one["images"]] for one in report["confusion"])


def _measured(one: Mapping[str, Any] | None) -> list[object]:
    """Its value and the ends of its interval; nothing where there is none."""
    return [None, None, None] if one is None else [one["value"], *(one["interval"] or (None, None))]
