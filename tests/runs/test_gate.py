"""The gate: what a rule lets through and why, and what becomes of a run that has one."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.runs.conftest import Pond
from webapp.access.models import AuditEvent
from webapp.errors import Invalid
from webapp.runs.candidates import judging
from webapp.runs.candidates.gate import decide, read_rule, rule_values
from webapp.runs.comparing.command import Stopped
from webapp.runs.models import Comparison, Run
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Version
from webapp.versions.pipelines import make_pipeline


def compared(
    difference: float, low: float, high: float, *, groups: int = 20, metric: str = "accuracy"
) -> dict[str, Any]:
    """A comparison's result as far as a gate reads it."""
    sign = -1 if metric == "log_loss" else 1
    verdict = "no evidence" if low <= 0 <= high else ("better" if sign * low > 0 else "worse")
    figure = {"a": 0.5, "b": 0.5 + difference, "difference": difference, "interval": [low, high], "verdict": verdict}
    return {"groups": groups, "metrics": {metric: figure}, "verdict": verdict}


def report(**label: float) -> dict[str, Any]:
    figures = {name: {"value": value} for name, value in label.items()}
    classes = [{"key": "tiger", "name": "Tiger", "images": 12, **figures}] if label else []
    speed = {"milliseconds_whole": 20.0, "device": "CPU"}
    return {"classes": classes, "speed": speed, "size_bytes": 14_000_000}


BETTER, NOT_WORSE = {"metric": "accuracy", "must_be": "better"}, {"metric": "accuracy"}
LESS_LOSS = {"metric": "log_loss", "must_be": "better"}


@pytest.mark.parametrize(
    ("rule", "comparison", "passes", "words"),
    [
        (
            BETTER,
            compared(0.1, 0.05, 0.15),
            True,
            "Better: accuracy 60.0 % against 50.0 % (difference +10.0 points, 95 %: +5.0",
        ),
        (BETTER, compared(0.1, -0.01, 0.2), False, "No evidence that it is better"),
        (BETTER, compared(-0.1, -0.2, -0.05), False, "No evidence"),
        ({**BETTER, "margin": 0.2}, compared(0.1, 0.05, 0.15), False, "by less than 20.0 points"),
        (NOT_WORSE, compared(0.0, -0.009, 0.02), True, "Not worse"),
        (NOT_WORSE, compared(0.005, -0.02, 0.03), False, "It may be worse by more than 1.0 points"),
        ({**NOT_WORSE, "margin": 0.05}, compared(0.005, -0.02, 0.03), True, "Not worse"),
        (NOT_WORSE, compared(0.2, 0.1, 0.3, groups=9), False, "Too few groups: the test part has 9"),
        ({**NOT_WORSE, "min_groups": 30}, compared(0.2, 0.1, 0.3), False, "the rule asks for 30"),
        (LESS_LOSS, compared(-0.1, -0.2, -0.05, metric="log_loss"), True, "Better: log-loss 0.400 against 0.500"),
        (LESS_LOSS, compared(0.1, 0.05, 0.2, metric="log_loss"), False, "No evidence"),
        ({"metric": "log_loss"}, compared(0.1, 0.005, 0.2, metric="log_loss"), False, "It may be worse"),
        (BETTER, None, True, "Nothing was in use"),
    ],
)
def test_a_rule_decides_by_the_interval(rule: dict[str, Any], comparison: Any, passes: bool, words: str) -> None:
    found = decide(read_rule(rule), comparison, report())
    assert found.passed is passes
    assert words in found.why[0]


@pytest.mark.parametrize(
    ("more", "passes", "words"),
    [
        ({"labels": {"Tiger": {"recall": 0.8}}}, True, "Tiger: recall 85.0 %, asked 80.0 % (12 test images)."),
        ({"labels": {"tiger": {"recall": 0.8, "precision": 0.9}}}, False, "precision 70.0 %, asked 90.0 %"),
        ({"labels": {"Lynx": {"recall": 0.1}}}, False, "no image of Lynx"),
        ({"max_ms": 25}, True, "20.0 ms for an image on CPU, asked at most 25."),
        ({"max_ms": 10}, False, "asked at most 10"),
        ({"max_size": 14}, True, "14.0 MB in size"),
        ({"max_size": 5}, False, "asked at most 5"),
    ],
)
def test_labels_time_and_size_are_asked_of_the_first_version_too(
    more: dict[str, Any], passes: bool, words: str
) -> None:
    for comparison in (None, compared(0.1, 0.05, 0.15)):
        found = decide(read_rule({**BETTER, **more}), comparison, report(recall=0.85, precision=0.7))
        assert found.passed is passes
        assert words in found.why[1]
        assert found.wrong == (() if passes else found.why[1:])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"metrik": "accuracy"}, "metrik: unknown key"),
        ({"metric": "beauty"}, "not one of"),
        ({"must_be": "nicer"}, "not one of"),
        ({"margin": 5}, "a share from 0 up"),
        ({"min_groups": 3}, "under 10 groups"),
        ({"labels": {"Tiger": {}}}, "asks for nothing"),
        ({"labels": {"Tiger": {"recall": 80}}}, "lie in 0..1"),
        ({"max_ms": 0}, "above 0"),
        ([], "expected an object"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_an_error(rule: Any, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_rule(rule)
    assert refused.value.code == "bad-gate"
    assert words in refused.value.what


def test_a_rule_survives_being_stored() -> None:
    rule = read_rule({"labels": {"Tiger": {"recall": 0.8}}, "max_ms": 40})
    assert read_rule(json.loads(json.dumps(rule_values(rule)))) == rule


# ---- runs with a gate ------------------------------------------------------------------------------------------------


@pytest.fixture
def against(stand_in: Pond, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts the pond's version in use, and has comparisons come out in one way: the stand-in's pictures are no files."""

    def put(
        result: dict[str, Any] | None, *, state: str = "done", reason: str = "", raises: Exception | None = None
    ) -> None:
        pipeline = make_pipeline(project=stand_in.project, classifier=stand_in.version)
        activate(actor=stand_in.people["ada"], project=stand_in.project, pipeline=pipeline)

        def compare(*, a: Version, b: Version, snapshot: Any, part: str, should_stop: Any) -> Comparison:
            if raises is not None:
                raise raises
            values = {"project": stand_in.project, "snapshot": snapshot, "part": part, "result": result or {}}
            return Comparison.objects.create(version_a=a, version_b=b, state=state, reason=reason, **values)

        monkeypatch.setattr(judging, "compare_now", compare)

    return put


def test_what_the_gate_rejects_stays_a_candidate_with_the_reason(stand_in: Pond, against: Callable[..., None]) -> None:
    against(compared(-0.1, -0.2, -0.05))
    run = stand_in.carry_out(stand_in.start(gate=NOT_WORSE))
    assert run.state == Run.State.REJECTED
    assert run.version is not None and "It may be worse" in run.reason
    assert (run.gate["passed"], run.gate["against"]) == (False, stand_in.version.name)
    assert run.gate["comparison"] == str(Comparison.objects.get().uid)
    event = AuditEvent.objects.get(action="reject at gate")
    assert event.detail["why"] == run.gate["why"]
    in_use = active_pipeline(stand_in.project)
    assert in_use is not None and in_use.classifier == stand_in.version


def test_what_the_gate_lets_through_is_done_and_says_why(stand_in: Pond, against: Callable[..., None]) -> None:
    against(compared(0.1, 0.05, 0.15))
    run = stand_in.carry_out(stand_in.start(gate=BETTER))
    assert (run.state, run.reason, run.gate["passed"]) == (Run.State.DONE, "", True)
    assert run.gate["why"][0].startswith("Better:")


def test_a_first_version_passes_with_words(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start(gate=BETTER))
    assert (run.state, run.gate["why"]) == (
        Run.State.DONE,
        ["Nothing was in use, so there was nothing to be worse than."],
    )


def test_a_comparison_that_is_refused_rejects(stand_in: Pond, against: Callable[..., None]) -> None:
    against(None, state="failed", reason="The version in use saw 3 of the test images.")
    run = stand_in.carry_out(stand_in.start(gate=BETTER))
    assert run.state == Run.State.REJECTED
    assert run.reason.endswith("The version in use saw 3 of the test images.")


def test_a_worker_that_stops_at_the_gate_gives_the_run_back(stand_in: Pond, against: Callable[..., None]) -> None:
    against(None, raises=Stopped())
    run = stand_in.carry_out(stand_in.start(gate=BETTER))
    assert (run.state, run.lease_token) == (Run.State.WAITING, "")
    against(compared(0.1, 0.05, 0.15))
    assert stand_in.carry_out(run).state == Run.State.DONE
    assert Version.objects.count() == 2


def test_a_bad_rule_starts_no_run(pond: Pond) -> None:
    with pytest.raises(Invalid):
        pond.start(gate={"must_be": "nicer"})
    assert not Run.objects.exists()


# ---- ./osprey retrain ------------------------------------------------------------------------------------------------


def retrain(*words: str) -> tuple[int, dict[str, Any]]:
    """Exit status and the object of the last line."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("retrain", "--project", "pond", *words, stdout=out, stderr=io.StringIO())
    return int(ended.value.code or 0), json.loads(out.getvalue().splitlines()[-1])


def test_retrain_ends_with_0_and_the_version(stand_in: Pond) -> None:
    status, told = retrain("--snapshot", "Snapshot 1")
    assert (status, told["state"], told["snapshot"]["name"]) == (0, "done", "Snapshot 1")
    assert told["version"]["digest"] == Version.objects.latest("pk").digest
    assert told["report"]["metrics"]["accuracy"]["value"] == 0.9


def test_retrain_ends_with_3_when_the_gate_rejects(
    stand_in: Pond, against: Callable[..., None], tmp_path: Path
) -> None:
    against(compared(0.0, -0.2, 0.2))
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps(BETTER))
    for given in (str(rule), json.dumps(BETTER)):
        Comparison.objects.all().delete()
        status, told = retrain("--gate", given)
        assert (status, told["state"]) == (3, "rejected")
        assert told["version"] is not None and "No evidence" in told["reason"]
        assert told["gate"]["passed"] is False


def test_retrain_ends_with_4_when_nothing_was_learned_and_with_1_otherwise(stand_in: Pond) -> None:
    status, told = retrain("name=nothing")
    assert (status, told["state"], told["code"], told["version"]) == (4, "failed", "learned-nothing", None)
    status, told = retrain("name=crash")
    assert (status, told["state"], told["code"]) == (1, "failed", "training-failed")
