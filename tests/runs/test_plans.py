"""Plans: when they come round, what they begin, what they leave alone, and with whose rights."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from tests.runs.conftest import Pond
from tests.runs.test_pages_and_rest import browser, caller
from webapp.access.models import AuditEvent, Membership, Role
from webapp.access.table import Scope
from webapp.datasets.models import Freezing, JobState, Snapshot
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.reviews.models import Review
from webapp.runs.cancel import cancel_run
from webapp.runs.candidates import planning
from webapp.runs.candidates.news import newest_review
from webapp.runs.candidates.plan_times import next_time
from webapp.runs.candidates.planning import look, run_plan_now
from webapp.runs.candidates.plans import add_plan, change_plan, delete_plan
from webapp.runs.models import Plan, Run
from webapp.versions.activate import active_pipeline

PARIS = "Europe/Paris"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("clock", "after", "expected"),
    [
        ("02:30", "2026-01-10T00:00", "2026-01-10T01:30"),
        ("02:30", "2026-01-10T01:30", "2026-01-11T01:30"),
        ("02:30", "2026-03-28T12:00", "2026-03-29T01:30"),  # the hour that is skipped: 02:30 is 03:30
        ("02:30", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("02:30", "2026-10-24T12:00", "2026-10-25T00:30"),  # the hour that comes twice: the first
        ("02:30", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_a_daily_time_comes_once_a_day_when_clocks_change(clock: str, after: str, expected: str) -> None:
    assert next_time(time.fromisoformat(clock), zone=PARIS, weekday=None, after=at(after)) == at(expected)


def test_a_weekly_time_waits_for_its_day() -> None:
    monday = next_time(time(8), zone="UTC", weekday=0, after=at("2026-11-24T09:00"))
    assert monday == at("2026-11-30T08:00")
    assert next_time(time(8), zone="UTC", weekday=0, after=monday) == monday + timedelta(days=7)


# ---- made and changed ------------------------------------------------------------------------------------------------


def plan_of(pond: Pond, who: str = "ada", **given: Any) -> Plan:
    asked = {"name": "nightly", "trigger": "daily", "at": "02:30", "time_zone": PARIS, **given}
    return add_plan(actor=pond.people[who], project=pond.project, **asked)


def test_trainers_plan_and_only_admins_have_plans_activate(pond: Pond) -> None:
    plan = plan_of(pond, "tess")
    assert plan.next_at is not None and plan.next_at > timezone.now()
    with pytest.raises(Forbidden):
        plan_of(pond, "cora", name="other")
    activating = {"name": "other", "then": "activate", "gate": {"must_be": "better"}}
    with pytest.raises(Forbidden):
        plan_of(pond, "tess", **activating)
    made = plan_of(pond, "ada", **activating)
    with pytest.raises(Forbidden):
        change_plan(actor=pond.people["tess"], plan=made, recipe="fine-tune")
    assert change_plan(actor=pond.people["tess"], plan=made, is_on=False).by == pond.people["ada"].user
    delete_plan(actor=pond.people["tess"], plan=plan)
    assert set(AuditEvent.objects.filter(action__endswith="plan").values_list("action", flat=True)) == {
        "add plan",
        "change plan",
        "delete plan",
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": " "}, "a name of 1 to 80"),
        ({"trigger": "hourly"}, "trigger is one of"),
        ({"at": "late"}, "write it like 02:30"),
        ({"trigger": "weekly"}, "0 for Monday"),
        ({"trigger": "reviews"}, "a whole number from 1"),
        ({"time_zone": "Mars/Olympus"}, "no time zone"),
        ({"recipe": "magic"}, "There are: head"),
        ({"config": {"epoch": 3}}, "Did you mean epochs"),
        ({"freeze": {"shares_of": 3}}, "Unknown option"),
        ({"trigger": "snapshot", "freeze": {"seed": 1}}, "it freezes none"),
        ({"gate": {"must_be": "nicer"}}, "not one of"),
        ({"then": "activate"}, "without a gate"),
        ({"color": "red"}, "A plan has no 'color'"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(pond: Pond, given: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        plan_of(pond, **given)
    assert words in refused.value.what
    assert not Plan.objects.exists()


def test_two_plans_of_one_name_are_refused(pond: Pond) -> None:
    plan_of(pond)
    with pytest.raises(Conflict):
        plan_of(pond)


# ---- begun -----------------------------------------------------------------------------------------------------------


def is_due(plan: Plan) -> None:
    Plan.objects.filter(pk=plan.pk).update(next_at=timezone.now() - timedelta(seconds=1))


def review(pond: Pond, number: int = 1, how: str = "blind") -> None:
    for _ in range(number):
        Review.objects.create(image=pond.images[0], how=how)


def froze(pond: Pond, plan: Plan) -> None:
    """Somebody has made the snapshot that the plan asked for; here it is one like the pond's with another digest."""
    plan.refresh_from_db()
    assert plan.freezing is not None
    Snapshot.objects.filter(pk=pond.snapshot.pk).update(name=f"for {plan.freezing_id}")
    Freezing.objects.filter(pk=plan.freezing_id).update(state=JobState.DONE, snapshot=pond.snapshot)


def test_a_plan_freezes_then_trains_then_says_what_came_of_it(stand_in: Pond) -> None:
    plan = plan_of(stand_in, gate={"must_be": "better"})
    review(stand_in)
    look()
    assert not Freezing.objects.exists(), "its time has not come"
    is_due(plan)
    look()
    look()
    freezing = Freezing.objects.get()
    assert freezing.asked_by == stand_in.people["ada"].user
    froze(stand_in, plan)
    look()
    look()
    run = Run.objects.get()
    assert (run.plan, run.gate["rule"]["must_be"], run.started_by) == (plan, "better", stand_in.people["ada"].user)
    plan.refresh_from_db()
    assert plan.said.startswith("Its run began") and plan.next_at is not None and plan.next_at > timezone.now()
    stand_in.carry_out(run)
    look()
    plan.refresh_from_db()
    assert "was published. Nothing was in use" in plan.said and "kept as a candidate" in plan.said


def test_nothing_new_means_nothing_is_done(pond: Pond) -> None:
    plan = plan_of(pond)
    is_due(plan)
    look()
    plan.refresh_from_db()
    assert plan.said == planning.NOTHING_LABELLED
    review(pond)
    Plan.objects.update(counted_from=newest_review(pond.project))
    is_due(plan)
    look()
    plan.refresh_from_db()
    assert plan.said == planning.NOTHING_NEW
    assert not Freezing.objects.exists()
    assert plan.next_at is not None and plan.next_at > timezone.now()


def test_the_same_snapshot_again_is_nothing_new(pond: Pond) -> None:
    plan = plan_of(pond)
    run = pond.start(plan=plan)
    cancel_run(actor=pond.people["ada"], run=run)
    review(pond)
    is_due(plan)
    look()
    froze(pond, plan)
    look()
    plan.refresh_from_db()
    assert (plan.said, plan.freezing, Run.objects.count()) == (planning.NOTHING_NEW, None, 1)


def test_enough_new_reviews_begin_a_plan_and_imports_do_not_count(pond: Pond) -> None:
    review(pond, 5)
    plan = plan_of(pond, trigger="reviews", after_reviews=3)
    review(pond, 2)
    review(pond, 7, how="imported")
    look()
    assert not Freezing.objects.exists()
    review(pond, 1)
    look()
    plan.refresh_from_db()
    assert plan.freezing is not None
    froze(pond, plan)
    look()
    cancel_run(actor=pond.people["ada"], run=Run.objects.get())
    review(pond, 2)
    look()
    assert Freezing.objects.count() == 1, "they count from where it last began"


def test_a_new_snapshot_begins_a_plan_once(pond: Pond) -> None:
    plan_of(pond, trigger="snapshot")
    look()
    assert not Run.objects.exists(), "the one that is there is not new"
    old = pond.snapshot
    Snapshot.objects.create(
        project=pond.project, name="Snapshot 2", digest="e" * 64, manifest_key=old.manifest_key, counts=old.counts
    )
    look()
    look()
    assert Run.objects.get().snapshot.name == "Snapshot 2"


def test_a_plan_never_has_two_runs_at_once(pond: Pond) -> None:
    plan = plan_of(pond)
    pond.start(plan=plan)
    review(pond)
    is_due(plan)
    look()
    plan.refresh_from_db()
    assert plan.freezing is None and plan.next_at is not None and plan.next_at > timezone.now()
    with pytest.raises(Conflict):
        run_plan_now(actor=pond.people["tess"], plan=plan)


def test_two_lookers_begin_one_freezing(pond: Pond) -> None:
    plan = plan_of(pond)
    review(pond)
    is_due(plan)
    seen = [Plan.objects.select_related("project", "by").get(pk=plan.pk) for _ in range(2)]
    assert [planning._begin(one, is_asked=False) for one in seen] == [True, False]
    assert Freezing.objects.count() == 1


def test_a_kill_between_freezing_and_start_loses_nothing(pond: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(pond)
    review(pond)
    is_due(plan)
    look()
    froze(pond, plan)

    def die(**given: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patched:
        patched.setattr(planning, "start_run", die)
        with pytest.raises(SystemExit):
            look()
    assert not Run.objects.exists()
    look()
    assert Run.objects.get().plan == plan


def test_a_snapshot_that_is_refused_is_said_and_the_plan_waits_for_its_next_time(pond: Pond) -> None:
    plan = plan_of(pond)
    review(pond)
    is_due(plan)
    look()
    Freezing.objects.update(state=JobState.FAILED, reason="This split leaks.")
    look()
    plan.refresh_from_db()
    assert (plan.freezing, plan.said) == (None, "No snapshot could be frozen for it: This split leaks.")
    assert plan.next_at is not None and plan.next_at > timezone.now()


def test_whoever_lost_the_right_to_train_has_no_plan_train(pond: Pond) -> None:
    plan = plan_of(pond, "tess")
    review(pond)
    Membership.objects.filter(user=pond.people["tess"].user).update(role=Role.VIEWER)
    is_due(plan)
    look()
    plan.refresh_from_db()
    assert plan.said.startswith("It could not begin: tess may not freeze")
    assert plan.next_at is not None and plan.next_at > timezone.now()


def test_a_plan_that_is_off_begins_nothing(pond: Pond) -> None:
    plan = change_plan(actor=pond.people["ada"], plan=plan_of(pond), is_on=False)
    review(pond)
    assert plan.next_at is None
    look()
    assert not Freezing.objects.exists()
    assert change_plan(actor=pond.people["ada"], plan=plan, is_on=True).next_at is not None


# ---- what follows ----------------------------------------------------------------------------------------------------


def test_a_candidate_that_is_let_through_is_activated_by_the_plan_with_its_gates_words(stand_in: Pond) -> None:
    plan = plan_of(stand_in, then="activate", gate={"must_be": "not worse"})
    run = stand_in.carry_out(stand_in.start(plan=plan, gate=plan.gate))
    assert run.gate["then"] == "Activated."
    in_use = active_pipeline(stand_in.project)
    assert in_use is not None and in_use.classifier == run.version
    activation = in_use.activations.get()
    assert (activation.by, activation.gate["passed"]) == (stand_in.people["ada"].user, True)
    assert activation.note.startswith("Plan nightly: Nothing was in use")


def test_a_candidate_tries_beside_what_is_in_use(stand_in: Pond) -> None:
    plan = plan_of(stand_in, then="beside")
    run = stand_in.carry_out(stand_in.start(plan=plan))
    beside = active_pipeline(stand_in.project, "also")
    assert beside is not None and beside.classifier == run.version
    assert active_pipeline(stand_in.project) is None


def test_a_plan_does_not_activate_for_somebody_who_may_not_any_more(stand_in: Pond) -> None:
    plan = plan_of(stand_in, then="activate", gate={"must_be": "not worse"})
    run = stand_in.start(plan=plan, gate=plan.gate)
    Membership.objects.filter(user=stand_in.people["ada"].user).update(role=Role.TRAINER)
    ended = stand_in.carry_out(run)
    assert ended.state == Run.State.DONE
    assert "ada may not activate" in ended.gate["then"]
    assert active_pipeline(stand_in.project) is None


# ---- pages and REST --------------------------------------------------------------------------------------------------


def test_the_train_page_makes_and_ends_plans(pond: Pond) -> None:
    page, tess = reverse("runs", args=["pond"]), browser(pond, "tess")
    form = {"name": "weekly", "trigger": "weekly", "at": "03:00", "weekday": "6", "time_zone": PARIS, "gate": "better"}
    tess.post(reverse("plan-add", args=["pond"]), {**form, "recipe": "head", "then": "keep"})
    plan = Plan.objects.get()
    shown = tess.get(page).content.decode()
    assert "every Sunday at 03:00, Europe/Paris" in shown and "better in balanced accuracy" in shown
    viewed = browser(pond, "vic").get(page).content.decode()
    assert "weekly" in viewed and "Add a plan" not in viewed
    for name, body in (("plan-switch", {"is_on": "no"}), ("plan-run", {}), ("plan-delete", {})):
        address = reverse(name, args=["pond", plan.uid])
        assert browser(pond, "vic").post(address, body).status_code == 403
        assert tess.post(address, body).status_code == 302
    assert not Plan.objects.exists()
    wrong = tess.post(reverse("plan-add", args=["pond"]), {**form, "at": "late"}, follow=True)
    assert "write it like 02:30" in wrong.content.decode()


@pytest.mark.django_db(transaction=True)
def test_over_rest_plans_are_made_changed_begun_and_deleted(pond: Pond) -> None:
    ada, reader = caller(pond, "ada", Scope.TRAIN), caller(pond, "ada", Scope.READ)
    plans = "/api/v1/projects/pond/plans"
    body = {"name": "after reviews", "trigger": "reviews", "after_reviews": 50, "gate": {"must_be": "better"}}
    assert reader.post(plans, body).code == "forbidden"
    made = ada.post(plans, body)
    assert made.status == 201, made.body
    plan = made.json()
    address = f"/api/v1/plans/{plan['id']}"
    assert (plan["gate"]["metric"], plan["said"], plan["by"]) == ("balanced_accuracy", "", "ada")
    assert [one["id"] for one in reader.get(plans).json()["results"]] == [plan["id"]]
    changed = ada.call("PATCH", address, {"after_reviews": 80})
    assert changed.json()["after_reviews"] == 80, changed.body
    assert ada.post(plans, {**body, "name": "x", "then": "activate"}).code == "forbidden"
    assert ada.post(plans, {"name": "x", "trigger": "daily"}).code == "bad-plan"
    begun = ada.post(f"{address}/run")
    assert (begun.status, begun.json()["said"]) == (202, planning.IS_FREEZING)
    assert ada.post(f"{address}/run").code == "plan-at-work"
    assert ada.call("DELETE", address).status == 204
    assert reader.get(address).code == "not-found"


def test_the_command_line_makes_begins_lists_and_deletes_plans(pond: Pond) -> None:
    def plans(*words: str) -> list[dict[str, Any]]:
        out = io.StringIO()
        call_command("plans", "--project", "pond", "--json", *words, stdout=out, stderr=io.StringIO())
        return list(json.loads(out.getvalue()))

    assert plans() == []
    given = {"name": "nightly", "trigger": "daily", "at": "02:30", "time_zone": PARIS}
    (made,) = plans("--add", json.dumps(given))
    assert (made["at"], made["time_zone"], made["said"]) == ("02:30:00", PARIS, "")
    assert plans("--begin", "nightly")[0]["said"] == planning.IS_FREEZING
    assert Freezing.objects.get().asked_by is None
    assert plans("--delete", "nightly") == []
    for words in (("--begin", "weekly"), ("--add", "[]"), ("--add", json.dumps({"name": "x"}))):
        with pytest.raises(CommandError):
            plans(*words)
