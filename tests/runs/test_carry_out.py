"""A run from its lease to its end: published, failed in words, cancelled, interrupted, taken up again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from tests.runs.conftest import Pond
from training.contract import Progress, progress_text, read_outcomes
from webapp import leases
from webapp.access.models import AuditEvent
from webapp.datasets import manifest
from webapp.errors import Conflict
from webapp.runs import carry_out as carrying
from webapp.runs import sweep
from webapp.runs.cancel import cancel_run, resume_run
from webapp.runs.folder import folder_of
from webapp.runs.follow import Follower
from webapp.runs.models import Evaluation, Run, RunEvent
from webapp.runs.process import device_lock
from webapp.runs.queue import startable
from webapp.runs.work_off import work_off
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Version


def said(run: Run) -> list[str]:
    return [f"{row.kind} {row.detail.get('epoch', '')}".strip() for row in run.events.order_by("number")]


def is_gone(pid: int) -> bool:
    return not leases._lives(pid)


def test_what_was_learned_becomes_a_version_that_is_not_in_use(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    assert (run.state, run.reason, run.code) == (Run.State.DONE, "", "")
    assert run.version is not None
    assert (run.version.project, run.version.parent) == (stand_in.project, stand_in.version)
    assert run.version.created_by == stand_in.people["tess"].user
    assert active_pipeline(stand_in.project) is None
    assert AuditEvent.objects.filter(action="train", subject=f"run:{run.pk}").exists()


def test_a_trial_of_a_sweep_stands_without_the_numbers_of_what_went_before_it(stand_in: Pond, tmp_path: Path) -> None:
    prepared = Progress(kind="work", at=1.0, stage="trial 1, preparing", done=20, of=20)
    learns = Progress(kind="step", at=2.0, stage="trial 1, training", step=1, steps=4, epoch=1, epochs=2)
    (tmp_path / "progress.jsonl").write_text(progress_text(prepared) + progress_text(learns))
    follower = Follower(stand_in.start(), tmp_path)
    assert follower.read() and "of" not in follower.progress and follower.progress["steps"] == 4


def test_report_and_outcomes_are_kept_for_pairing(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    found = Evaluation.objects.get(version=run.version, snapshot=run.snapshot, part="test")
    assert found.report["metrics"]["accuracy"] == {"value": 0.9, "interval": [0.8, 0.97], "groups": 12}
    assert [one.answer for one in read_outcomes(Path(settings.STORE_DIR) / found.outcomes_key)] == ["cod"]


def test_progress_comes_as_rows_in_order_and_the_log_beside_it(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    assert said(run) == ["stage", "step 1", "epoch 1", "epoch 2", "epoch 3"]
    assert run.progress["epoch"] == 3
    assert run.device == "CPU"
    assert "'epoch': 3" in run.log
    assert run.started_at is not None and run.done_at is not None


def test_a_run_that_is_done_gives_its_space_back(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start())
    left = {path.name for path in folder_of(run).iterdir()}
    assert {"config.yaml", "report.json", "progress.jsonl"} <= left
    assert not {"model", "checkpoint", "cache"} & left


def test_the_same_network_twice_is_one_version_of_two_runs(stand_in: Pond) -> None:
    runs = [stand_in.carry_out(stand_in.start()) for _ in range(2)]
    assert [run.state for run in runs] == [Run.State.DONE] * 2
    assert runs[0].version == runs[1].version
    assert Version.objects.count() == 2


def test_learning_nothing_is_a_failure_of_its_own_name(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start("nothing"))
    assert (run.state, run.code) == (Run.State.FAILED, "learned-nothing")
    assert "a coin would do as well" in run.reason
    assert run.version is None


def test_a_crash_is_told_by_the_last_lines_of_its_log(stand_in: Pond) -> None:
    run = stand_in.carry_out(stand_in.start("crash"))
    assert (run.state, run.code) == (Run.State.FAILED, "training-failed")
    assert run.reason.endswith("RuntimeError: out of luck")


def test_a_process_that_is_killed_each_time_is_given_up(stand_in: Pond) -> None:
    run = stand_in.start("killed")
    for _ in range(leases.GIVE_UP_AFTER - 1):
        assert stand_in.carry_out(run).state == Run.State.WAITING
        assert not startable().exists(), "it pauses before the next try"
        Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    run = stand_in.carry_out(run)
    assert (run.state, run.code) == (Run.State.FAILED, "ended-worker")
    assert "signal 9" in run.reason


def test_cancelling_frees_the_device_and_ends_as_cancelled(stand_in: Pond) -> None:
    run = stand_in.start("wait")
    pids: list[int] = []

    def cancel() -> bool:
        if stand_in.waits(run) and not pids:
            pids.append(int((folder_of(run) / "waiting").read_text()))
            cancel_run(actor=stand_in.people["tess"], run=run)
        return False

    ended = stand_in.carry_out(run, cancel)
    assert (ended.state, ended.reason, ended.version) == (Run.State.CANCELLED, "Cancelled by tess.", None)
    assert is_gone(pids[0])
    with device_lock() as is_free:
        assert is_free
    with pytest.raises(Conflict):
        cancel_run(actor=stand_in.people["tess"], run=ended)


def test_a_run_that_goes_on_says_nothing_of_how_its_process_was_ended(pond: Pond) -> None:
    run = pond.start()
    Run.objects.filter(pk=run.pk).update(progress={"stage": "ended", "words": "cancelled: it was asked to stop"})
    leased = carrying._lease(run.pk)
    assert leased is not None and leased.progress == {}


def test_a_cancelled_run_goes_on_from_its_checkpoint(stand_in: Pond) -> None:
    run = stand_in.start("wait")

    def cancel() -> bool:
        if stand_in.waits(run) and not (folder_of(run) / "go").exists():
            cancel_run(actor=stand_in.people["tess"], run=run)
            (folder_of(run) / "ended.json").unlink(missing_ok=True)
        return False

    stand_in.carry_out(run, cancel)
    (folder_of(run) / "go").touch()
    resumed = resume_run(actor=stand_in.people["tess"], run=run)
    assert stand_in.carry_out(resumed).state == Run.State.DONE
    assert [one for one in said(run) if one.startswith("epoch")] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_worker_that_stops_gives_the_run_back_and_the_next_one_goes_on(stand_in: Pond) -> None:
    run = stand_in.start("wait")
    given_back = stand_in.carry_out(run, lambda: stand_in.waits(run))
    assert (given_back.state, given_back.lease_token, given_back.attempts) == (Run.State.WAITING, "", 0)
    assert startable().get() == run
    (folder_of(run) / "go").touch()
    ended = stand_in.carry_out(run)
    assert ended.state == Run.State.DONE
    assert RunEvent.objects.filter(run=run, kind="stage", detail__text="from epoch 1").exists()
    assert [one for one in said(run) if one.startswith("epoch")] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_worker_that_was_killed_holds_nobody_up(stand_in: Pond) -> None:
    run = stand_in.start()
    assert leases.take(leases.free(Run.objects.all()), run.pk)
    assert carrying.carry_out(run.pk) is None
    host = leases._host()
    Run.objects.update(lease_token=f"{host}-{4_190_000}-dead")
    sweep.sweep()
    assert stand_in.carry_out(run).state == Run.State.DONE


def test_a_worker_killed_after_the_last_word_loses_nothing(stand_in: Pond, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stand_in.start()

    def die(*args: object, **more: object) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patched:
        patched.setattr(carrying, "finish", die)
        with pytest.raises(SystemExit):
            carrying.carry_out(run.pk)
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    monkeypatch.setattr(carrying, "TRAINING", ("/nonexistent",))
    assert stand_in.carry_out(run).state == Run.State.DONE


def test_one_run_at_a_time_on_a_device(stand_in: Pond) -> None:
    run = stand_in.start()
    with device_lock() as is_free:
        assert is_free
        assert carrying.carry_out(run.pk) is None
    run.refresh_from_db()
    assert (run.state, run.attempts) == (Run.State.WAITING, 0)


def test_runs_that_wait_are_worked_off_oldest_first(stand_in: Pond) -> None:
    runs = [stand_in.start(name) for name in ("nothing", "")]
    work_off()
    first, second = Run.objects.filter(pk__in=[run.pk for run in runs]).order_by("pk")
    assert (first.state, second.state) == (Run.State.FAILED, Run.State.DONE)
    assert first.done_at is not None and second.started_at is not None and first.done_at <= second.started_at


def test_a_missing_manifest_fails_in_words(stand_in: Pond) -> None:
    run = stand_in.start()
    manifest.path_of(run.snapshot).unlink()
    ended = stand_in.carry_out(run)
    assert (ended.state, ended.code) == (Run.State.FAILED, "manifest-missing")
