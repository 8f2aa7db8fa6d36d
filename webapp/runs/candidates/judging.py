"""A candidate before its gate: what is in use is evaluated on the same images, both are compared, the rule decides.

Called by whoever carries out the run, who holds its lease and the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from training.contract import TEST
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import OspreyError
from webapp.runs.candidates.gate import GateWords, Rule, decide, read_rule
from webapp.runs.comparing.command import never
from webapp.runs.comparing.compare import compare_now
from webapp.runs.models import Comparison, Evaluation, Plan, Run
from webapp.versions.activate import UNCHECKED, activate, active_pipeline
from webapp.versions.models import Activation, Pipeline, Version
from webapp.versions.pipelines import with_version

SLOTS = {Plan.Then.BESIDE: Activation.Slot.ALSO, Plan.Then.ACTIVATE: Activation.Slot.LIVE}


@dataclass(frozen=True)
class Judgement:
    """What the gate said, and of what: `in_use` answered when the candidate was held against it."""

    words: GateWords
    in_use: Pipeline | None
    comparison: Comparison | None = None


def judge(run: Run, version: Version, *, should_stop: Callable[[], bool] = never) -> Judgement:
    """What the run's rule says of the version that it published; a run without a rule is let through.

    Raises Stopped when `should_stop`: the version and its report are there then, and the gate is asked again.
    """
    in_use = active_pipeline(run.project)
    if "rule" not in run.gate:
        return Judgement(GateWords(True, ()), in_use)
    rule = read_rule(run.gate["rule"])
    report = _report(version, run)
    if report is None:
        return Judgement(_refused("The snapshot has no test part, so that nothing can be said of it."), in_use)
    before = in_use.classifier if in_use is not None else None
    if before is None:
        return Judgement(decide(rule, None, report), in_use)
    if before.digest == version.digest:
        return Judgement(_refused("It is the very version that is in use: nothing changed."), in_use)
    return _compared(run, rule, before, version, report, in_use, should_stop)


def _compared(
    run: Run,
    rule: Rule,
    before: Version,
    version: Version,
    report: Mapping[str, Any],
    in_use: Pipeline | None,
    should_stop: Callable[[], bool],
) -> Judgement:
    try:
        comparison = compare_now(a=before, b=version, snapshot=run.snapshot, part=TEST, should_stop=should_stop)
    except OspreyError as error:
        words = f"It could not be held against {before.name}, which is in use: {error.what}"
        return Judgement(_refused(words), in_use)
    if comparison.state != Comparison.State.DONE:
        words = f"It could not be compared with {before.name}, which is in use: {comparison.reason}"
        return Judgement(_refused(words), in_use, comparison)
    return Judgement(decide(rule, comparison.result, report), in_use, comparison)


def _refused(words: str) -> GateWords:
    return GateWords(False, (words,), (words,))


def _report(version: Version, run: Run) -> Mapping[str, Any] | None:
    done = Evaluation.State.DONE
    row = Evaluation.objects.filter(version=version, snapshot=run.snapshot, part=TEST, state=done).first()
    return row.report if row is not None else None


def gate_values(run: Run, judgement: Judgement, then: str = "") -> dict[str, Any]:
    """What is kept of it with the run, and with an activation that follows."""
    if "rule" not in run.gate:
        return {"then": then} if then else {}
    before = judgement.in_use.classifier if judgement.in_use is not None else None
    return {
        "rule": run.gate["rule"],
        "passed": judgement.words.passed,
        "why": list(judgement.words.why),
        "against": before.name if before is not None else None,
        "comparison": str(judgement.comparison.uid) if judgement.comparison is not None else None,
        "then": then,
    }


def follow_up(run: Run, version: Version, judgement: Judgement) -> str:
    """What the run's plan wants done with a candidate that was let through; in the caller's transaction.

    It is done with the rights of whoever made the plan, as they are now. Returns what was done, in words.
    """
    if "rule" in run.gate:
        _record(run, version, judgement)
    plan = run.plan
    if plan is None or not judgement.words.passed or plan.then not in SLOTS:
        return ""
    actor = Actor(Via.SYSTEM) if plan.by is None else Actor(Via.SESSION, user=plan.by)
    if not allowed(actor, Action.ACTIVATE, run.project):
        return f"Kept as a candidate: {actor} may not activate versions in {run.project} any more."
    slot = SLOTS[Plan.Then(plan.then)]
    pipeline = with_version(run.project, judgement.in_use, version)
    if active_pipeline(run.project, slot) == pipeline:
        return "It is in use already."
    try:
        activate(
            actor=actor,
            project=run.project,
            pipeline=pipeline,
            slot=slot,
            note=f"Plan {plan.name}: {' '.join(judgement.words.why)}".strip(),
            gate=gate_values(run, judgement),
            expected=judgement.in_use if slot == Activation.Slot.LIVE else UNCHECKED,
        )
    except OspreyError as error:
        return f"Kept as a candidate: {error.what}"
    return "Activated." if slot == Activation.Slot.LIVE else "It predicts beside what is in use."


def _record(run: Run, version: Version, judgement: Judgement) -> None:
    audit.record(
        actor=Actor(Via.SYSTEM, user=run.started_by),
        action="pass gate" if judgement.words.passed else "reject at gate",
        project_id=run.project_id,
        subject=f"run:{run.pk}",
        version=version.name,
        digest=version.digest,
        why=list(judgement.words.why),
    )
