"""The gate: a rule that a candidate has to meet against what is in use, decided in words. Pure, no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from classifier.strict_json import FieldError, from_json, to_json
from training.contract import (
    FEWEST_GROUPS,
    LOWER_IS_BETTER,
    difference_words,
    interval_words,
    is_share,
    value_words,
)
from webapp.errors import Invalid

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
DEFAULT_MARGIN = 0.01
FIGURES = ("recall", "precision", "f1")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What one label must reach on the test part."""

    recall: float | None = None
    precision: float | None = None
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of a candidate.

    `better`: the 95 % interval of the difference leaves out zero, and the difference is at least `margin` (0).
    `not worse`: the interval ends no further than `margin` (0.01) on the bad side. `max_ms` is time for one image with
    decoding, `max_size` megabytes of the whole version.
    """

    metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss"] = "balanced_accuracy"
    must_be: Literal["better", "not worse"] = "not worse"
    margin: float | None = None
    min_groups: int = FEWEST_GROUPS
    labels: Mapping[str, LabelRule] = field(default_factory=dict)
    max_ms: float | None = None
    max_size: float | None = None


@dataclass(frozen=True, slots=True)
class GateWords:
    """Whether the candidate is let through, and why: one sentence for each thing that was looked at.

    `wrong` are those of them that speak against it.
    """

    passed: bool
    why: tuple[str, ...]
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Check:
    passed: bool
    words: str


def read_rule(given: object) -> Rule:
    """A rule from JSON; an unknown key or a number that cannot be meant is an error."""
    try:
        rule = from_json(Rule, given)
    except FieldError as error:
        raise Invalid(f"The gate's rule: {error}.", code="bad-gate") from error
    fault = _fault(rule)
    if fault:
        raise Invalid(f"The gate's rule: {fault}", code="bad-gate")
    return rule


def rule_values(rule: Rule) -> dict[str, Any]:
    return dict(to_json(rule))


def _fault(rule: Rule) -> str:
    if rule.margin is not None and not 0 <= rule.margin < 1:
        return f"margin is {rule.margin}; it is a share from 0 up, such as 0.01 for one point in a hundred."
    if rule.min_groups < FEWEST_GROUPS:
        return f"min_groups is {rule.min_groups}; under {FEWEST_GROUPS} groups there is no interval to decide by."
    for key, asked in rule.labels.items():
        wanted = {name: getattr(asked, name) for name in FIGURES if getattr(asked, name) is not None}
        if not wanted:
            return f"labels.{key} asks for nothing: give recall, precision or f1."
        if any(not 0 <= value <= 1 for value in wanted.values()):
            return f"labels.{key}: recall, precision and f1 lie in 0..1."
    if any(limit is not None and limit <= 0 for limit in (rule.max_ms, rule.max_size)):
        return "max_ms (milliseconds) and max_size (megabytes) are above 0."
    return ""


def decide(rule: Rule, comparison: Mapping[str, Any] | None, report: Mapping[str, Any]) -> GateWords:
    """`comparison` is the result of candidate (b) against what is in use (a); None: nothing is in use."""
    if comparison is None:
        checks = [_Check(True, "Nothing was in use, so there was nothing to be worse than.")]
    else:
        checks = [_against(rule, comparison)]
    checks += [_label(key, asked, report) for key, asked in rule.labels.items()]
    checks += [*_limits(rule, report)]
    wrong = tuple(check.words for check in checks if not check.passed)
    return GateWords(not wrong, tuple(check.words for check in checks), wrong)


def _against(rule: Rule, comparison: Mapping[str, Any]) -> _Check:
    groups = int(comparison["groups"])
    if groups < rule.min_groups:
        return _Check(False, f"Too few groups: the test part has {groups}, the rule asks for {rule.min_groups}.")
    found = comparison["metrics"].get(rule.metric)
    if found is None or found["interval"] is None:
        return _Check(False, f"Nothing can be said of {_name(rule.metric)}: the comparison has no interval for it.")
    # From here on more is better.
    sign = -1 if rule.metric in LOWER_IS_BETTER else 1
    low = min(sign * end for end in found["interval"])
    difference = sign * found["difference"]
    words = _difference_words(rule.metric, found)
    if rule.must_be == "better":
        return _better(rule, found["verdict"] == "better", low, difference, words)
    margin = DEFAULT_MARGIN if rule.margin is None else rule.margin
    if low >= -margin:
        return _Check(True, f"Not worse: {words}.")
    return _Check(
        False, f"It may be worse by more than {_margin(rule.metric, margin)}, the margin of the rule: {words}."
    )


def _better(rule: Rule, is_better: bool, low: float, difference: float, words: str) -> _Check:
    margin = rule.margin or 0.0
    if not is_better or low <= 0:
        return _Check(False, f"No evidence that it is better: {words}.")
    if difference < margin:
        return _Check(False, f"Better, but by less than {_margin(rule.metric, margin)}, which the rule asks: {words}.")
    return _Check(True, f"Better: {words}.")


def _difference_words(metric: str, found: Mapping[str, Any]) -> str:
    share = is_share(metric)
    return (
        f"{_name(metric)} {value_words(found['b'], share=share)} against {value_words(found['a'], share=share)} "
        f"(difference {difference_words(found['difference'], share=share)}, "
        f"95 %: {interval_words(found['interval'], share=share)})"
    )


def _label(key: str, asked: LabelRule, report: Mapping[str, Any]) -> _Check:
    found = next((one for one in report.get("classes", ()) if key in (one["key"], one["name"])), None)
    if found is None or not found["images"]:
        return _Check(False, f"The test part has no image of {key}, of which the rule asks something.")
    parts, passed = [], True
    for name in FIGURES:
        wanted, measured = getattr(asked, name), found.get(name)
        if wanted is None:
            continue
        value = measured["value"] if measured else 0.0
        passed = passed and value >= wanted
        parts.append(f"{name} {value_words(value)}, asked {value_words(wanted)}")
    images = found["images"]
    return _Check(passed, f"{found['name']}: {'; '.join(parts)} ({images} test image{'s' if images != 1 else ''}).")


def _limits(rule: Rule, report: Mapping[str, Any]) -> list[_Check]:
    checks = []
    if rule.max_ms is not None:
        speed = report.get("speed")
        if speed is None:
            checks.append(_Check(False, "How long it takes for an image was not measured."))
        else:
            took = float(speed["milliseconds_whole"])
            words = f"{took:.1f} ms for an image on {speed['device']}, asked at most {rule.max_ms:g}."
            checks.append(_Check(took <= rule.max_ms, words))
    if rule.max_size is not None:
        size = int(report.get("size_bytes", 0)) / MEGABYTE
        checks.append(_Check(0 < size <= rule.max_size, f"{size:.1f} MB in size, asked at most {rule.max_size:g}."))
    return checks


def _name(metric: str) -> str:
    return {"macro_f1": "macro-F1", "log_loss": "log-loss"}.get(metric, metric.replace("_", " "))


def _margin(metric: str, value: float) -> str:
    return difference_words(value, share=is_share(metric)).removeprefix("+")
