"""The same by page and by program: asked for, followed, refused with what to do, read, compared, restored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.snapshots.conftest import Fjord
from webapp.access.actors import OPERATOR
from webapp.access.tokens import issue_token
from webapp.datasets import freeze_job
from webapp.datasets.freeze_job import request_freeze, run, to_do
from webapp.datasets.models import Freezing, Snapshot
from webapp.datasets.tasks_freeze import wake
from webapp.errors import Conflict, Forbidden
from webapp.images.models import Image
from webapp.reviews.models import Review


def browser(fjord: Fjord, who: str) -> Client:
    client = Client()
    user = fjord.actor(who).user
    assert user is not None
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def program(fjord: Fjord, who: str) -> Client:
    """Calls with a token, which needs no CSRF."""
    user = fjord.actor(who).user
    assert user is not None
    _, secret = issue_token(actor=OPERATOR, user=user, name="test", scopes=["admin"])
    return Client(headers={"Authorization": f"Bearer {secret}"})


def ask(fjord: Fjord, **values: Any) -> Freezing:
    return request_freeze(actor=fjord.actor("cora"), project=fjord.project, **{"options": {}, **values})


def leaking(fjord: Fjord) -> None:
    some = fjord.labelled(10, "cat", part="train", how=Review.How.IMPORTED)
    fjord.labelled(10, "cat", part="test", like=some[0], how=Review.How.IMPORTED)


def test_a_worker_makes_the_snapshot_in_the_name_of_who_asked(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    row = ask(fjord, name="May", notes="first")
    assert list(to_do()) == [row]
    run(row.pk)
    row.refresh_from_db()
    assert (row.state, row.lease_token) == ("done", "") and row.snapshot
    assert (row.snapshot.name, row.snapshot.frozen_by) == ("May", fjord.actor("cora").user)
    run(row.pk)
    assert Snapshot.objects.count() == 1 and not to_do().exists()


def test_a_worker_is_told_at_once_and_again_by_the_regular_look(
    fjord: Fjord, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    fjord.labelled(20, "cod")
    with django_capture_on_commit_callbacks() as asked:
        row = ask(fjord)
    with django_capture_on_commit_callbacks() as again:
        wake()
    for sent in (asked, again):
        assert [one.args for one in sent] == [(freeze_job.TASK, (row.pk,), "io")]


def test_a_refusal_is_kept_with_its_report(fjord: Fjord) -> None:
    leaking(fjord)
    row = ask(fjord, options={"split": "imported"})
    run(row.pk)
    row.refresh_from_db()
    assert (row.state, row.code) == ("failed", "leak")
    assert row.report["leak_report"]["total"] == 1 and row.report["counts"]["used"] == 20
    with pytest.raises(Forbidden):
        ask(fjord, options={"split": "imported"}, sign_leak="I say so")


def test_a_dry_run_reports_and_keeps_nothing(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    row = ask(fjord, dry_run=True)
    run(row.pk)
    row.refresh_from_db()
    assert row.report["counts"]["parts"] == {"train": 16, "validation": 2, "test": 2}
    assert row.snapshot is None and not Snapshot.objects.exists()


def test_one_that_was_stopped_leaves_nothing(fjord: Fjord, monkeypatch: pytest.MonkeyPatch) -> None:
    fjord.labelled(20, "cod")
    row = ask(fjord)
    stopped = lambda *_, **__: freeze_job.stop(actor=fjord.actor("cora"), freezing=row)  # noqa: E731
    monkeypatch.setattr("webapp.predictions.finish.measure_now", lambda project, progress: (stopped(), progress(1, 1)))
    run(row.pk)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("stopped", "Stopped by cora.")
    assert not Snapshot.objects.exists()


def test_a_worker_that_is_gone_is_replaced_and_three_of_them_are_enough(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    row = ask(fjord)
    past = timezone.now() - timedelta(seconds=1)
    Freezing.objects.filter(pk=row.pk).update(state="leased", lease_token="x", lease_until=past, attempts=1)
    run(row.pk)
    row.refresh_from_db()
    assert row.state == "done"
    again = ask(fjord)
    Freezing.objects.filter(pk=again.pk).update(state="leased", lease_token="x", lease_until=past, attempts=3)
    run(again.pk)
    again.refresh_from_db()
    assert (again.state, again.code) == ("failed", "ended-worker")


def test_what_cannot_be_is_refused_before_it_waits(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    fjord.freeze(name="May")
    with pytest.raises(Conflict, match="already"):
        ask(fjord, name="May")
    for _ in range(5):
        ask(fjord)
    with pytest.raises(Conflict, match="wait for one"):
        ask(fjord)


def test_the_pages_from_form_to_snapshot(fjord: Fjord) -> None:
    fjord.labelled(40, "cod", site=fjord.site("North"))
    cora = browser(fjord, "cora")
    listed = cora.get(reverse("snapshots", args=["fjord"]))
    assert "Nothing is frozen yet" in listed.content.decode()
    form = {"how": "shares", "shares": "80/10/10", "group_by": [""], "name": "May", "folds": "2", "preview": "1"}
    page = cora.post(reverse("snapshot-freeze", args=["fjord"]), form)
    run(Freezing.objects.get().pk)
    preview = cora.get(page.headers["Location"]).content.decode()
    assert "It would be 40 of 40 images" in preview and 'name="folds" value="2"' in preview
    del form["preview"]
    page = cora.post(reverse("snapshot-freeze", args=["fjord"]), form)
    waiting = cora.get(page.headers["Location"]).content.decode()
    assert "Waiting for a worker" in waiting
    run(Freezing.objects.latest("pk").pk)
    assert cora.get(page.headers["Location"], headers={"HX-Request": "true"}).headers["HX-Redirect"]
    snapshot = Snapshot.objects.get()
    shown = cora.get(page.headers["Location"], follow=True).content.decode()
    assert (
        snapshot.digest in shown and "Nothing straddles its parts" in shown and "keep them together: 1 site." in shown
    )
    assert f"snapshot={snapshot.uid}&amp;snapshot_part=test&amp;label=cod" in shown
    assert "2 folds within train" in shown


def test_a_refused_page_shows_the_leak_and_lets_only_an_admin_sign(fjord: Fjord) -> None:
    leaking(fjord)
    row = ask(fjord, options={"split": "imported"})
    run(row.pk)
    page = reverse("freezing", args=["fjord", row.uid])
    for_curator, for_admin = (browser(fjord, who).get(page).content.decode() for who in ("cora", "ada"))
    assert "1 leak" in for_curator and "Sign and freeze" not in for_curator
    assert "Sign and freeze" in for_admin
    browser(fjord, "ada").post(
        reverse("snapshot-freeze", args=["fjord"]), {"how": "imported", "group_by": "", "sign_leak": "as published"}
    )
    run(Freezing.objects.latest("pk").pk)
    shown = browser(fjord, "vic").get(reverse("snapshot", args=["fjord", Snapshot.objects.get().uid])).content.decode()
    assert "Frozen with 1 known leak" in shown and "as published" in shown and "Restore its labels" not in shown


def test_pages_of_later_days(fjord: Fjord) -> None:
    some = fjord.labelled(30, "cod")
    first = fjord.freeze()
    fjord.say(some[:2], "hake")
    second = fjord.freeze(parent=first)
    Image.objects.filter(pk=some[5].pk).update(withdrawn_at=timezone.now())
    cora = browser(fjord, "cora")
    shown = cora.get(reverse("snapshot", args=["fjord", second.uid])).content.decode()
    assert "<b>2</b> relabelled" in shown and "1 of its images was withdrawn since" in shown
    changed = cora.get(reverse("snapshot-difference", args=["fjord", second.uid])).content.decode()
    assert "<del>Cod</del> → <ins>Hake</ins>" in changed
    assert cora.get(reverse("snapshot-difference", args=["fjord", first.uid])).status_code == 422
    cora.post(reverse("snapshot-note", args=["fjord", first.uid]), {"text": "kept for the poster"})
    cora.post(reverse("snapshot-restore", args=["fjord", first.uid]), {"what": "labels"})
    cora.post(reverse("snapshot-restore", args=["fjord", first.uid]), {"what": "snapshot"})
    shown = cora.get(reverse("snapshot", args=["fjord", first.uid])).content.decode()
    assert "kept for the poster" in shown and "2 images have their label of Snapshot 1 again" in shown
    assert Snapshot.objects.filter(digest=first.digest).count() == 2


def test_strangers_see_no_snapshot_and_viewers_freeze_none(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    snapshot = fjord.freeze()
    page = reverse("snapshot", args=["fjord", snapshot.uid])
    assert Client().get(page).status_code == 404
    assert browser(fjord, "vic").get(page).status_code == 200
    assert browser(fjord, "vic").post(reverse("snapshot-freeze", args=["fjord"]), {}).status_code == 403
    assert browser(fjord, "rosa").post(reverse("snapshot-note", args=["fjord", snapshot.uid]), {}).status_code == 403


def test_the_same_by_program(fjord: Fjord) -> None:
    some = fjord.labelled(30, "cod")
    cora = program(fjord, "cora")
    asked = cora.post("/api/v1/projects/fjord/snapshots", {"name": "May"}, content_type="application/json")
    assert asked.status_code == 202 and asked.json()["state"] == "waiting"
    run(Freezing.objects.get().pk)
    job = cora.get(asked.headers["Location"]).json()
    one = cora.get(f"/api/v1/snapshots/{job['snapshot']}").json()
    assert (job["state"], one["name"], one["parts"]) == ("done", "May", {"train": 24, "validation": 3, "test": 3})
    assert cora.get("/api/v1/projects/fjord/snapshots").json()["results"][0]["id"] == one["id"]
    assert len(cora.get("/api/v1/projects/fjord/freezings").json()["results"]) == 1
    assert cora.get(f"/api/v1/snapshots/{one['id']}/leaks").json()["now"]["leaks"] == 0
    fjord.say(some[:2], "hake")
    first = Snapshot.objects.get()
    second = fjord.freeze(parent=first)
    changed = cora.get(f"/api/v1/snapshots/{second.uid}/difference").json()
    assert changed["relabelled"] == 2
    refused = cora.get(f"/api/v1/snapshots/{first.uid}/difference")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    done = cora.post(
        f"/api/v1/snapshots/{first.uid}/restore", {"what": "labels"}, content_type="application/json"
    ).json()
    assert done["images"] == 2 and done["change"]
    noted = cora.post(f"/api/v1/snapshots/{first.uid}/notes", {"text": "x"}, content_type="application/json")
    assert noted.status_code == 201
    bad = cora.post("/api/v1/projects/fjord/snapshots", {"options": {"foo": 1}}, content_type="application/json")
    assert bad.status_code == 422 and "Unknown option 'foo'" in bad.json()["detail"]


async def _text(response: Any) -> bytes:
    return b"".join([piece async for piece in response.streaming_content])


def test_the_manifest_is_streamed_whole(fjord: Fjord) -> None:
    fjord.labelled(30, "cod")
    snapshot = fjord.freeze()
    response = browser(fjord, "vic").get(f"/api/v1/snapshots/{snapshot.uid}/manifest")
    rows = [json.loads(row) for row in asyncio.run(_text(response)).splitlines()]
    assert rows[0]["format"] == "osprey-manifest" and len(rows) == 31
    assert response.headers["ETag"] == f'"{snapshot.digest}"'
