"""Evaluations and comparisons in the site: from two versions to a verdict, refusals with an offer, restarts, merges."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from tests.runs.reef import NO_RED, Reef, a_pair
from training.contract import TEST, TRAIN, VALIDATION
from webapp import leases
from webapp.access.actors import SYSTEM, Actor, Via
from webapp.access.models import AuditEvent, User
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.images.models import Image
from webapp.pages.versions import cards
from webapp.projects.labels import label_by_key_or_name, merge_label
from webapp.reviews.models import NearDuplicate, Review
from webapp.runs import sweep as sweeping
from webapp.runs.comparing import evaluate as evaluating
from webapp.runs.comparing.command import FOLDER
from webapp.runs.comparing.compare import carry_out_comparison, compare_now, start_comparison, stop_comparison
from webapp.runs.comparing.evaluate import carry_out_evaluation, evaluate_now, start_evaluation, to_do
from webapp.runs.comparing.find import evaluated_beside
from webapp.runs.comparing.gallery import Chosen, gallery
from webapp.runs.comparing.provenance import seen_images, trained_on
from webapp.runs.comparing.waiting import ready
from webapp.runs.models import Comparison, Evaluation, WorkingHead
from webapp.runs.process import device_lock
from webapp.runs.work_off import work_off
from webapp.versions.models import Version


def compared(reef: Reef, a: Version, b: Version, **more: object) -> Comparison:
    row = start_comparison(actor=reef.people["tess"], project=reef.project, a=a, b=b, **more)  # type: ignore[arg-type]
    found = carry_out_comparison(row.pk) if row.state == leases.WAITING else row
    assert found is not None
    return found


def test_from_two_versions_to_a_verdict(reef: Reef, tmp_path: Path) -> None:
    """Everything real: pictures from the store, two networks, the engine that serves, the statistics."""
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    snapshot = reef.freeze("June", {TEST: reef.add(12)})
    row = start_comparison(actor=reef.people["tess"], project=reef.project, a=old, b=new)
    assert (row.state, row.snapshot) == ("waiting", snapshot)
    assert carry_out_comparison(row.pk) is None, "it waits for both evaluations"
    work_off()
    assert [one.state for one in Evaluation.objects.all()] == ["done", "done"]
    assert not to_do().exists()
    done = carry_out_comparison(row.pk)
    assert done is not None and (done.state, done.reason) == ("done", "")
    found = done.result
    assert found["verdict"] == "better" and found["groups"] == 12 and found["images"] == 36
    assert (found["fixed"], found["broken"], found["both_wrong"]) == (12, 0, 0)
    assert found["metrics"]["accuracy"]["interval"][0] > 0 and found["p"] < 0.01
    assert "fixed_images" not in found
    red = {image.pk for image in reef.images if reef.truth[image.pk] == "red"}
    shown = gallery(done, Chosen(kind="fixed"))
    assert {one.image.pk for one in shown.images} == red and shown.total == 12 and shown.next is None
    assert {(one.truth, one.a, one.b) for one in shown.images} == {("red", "grey", "red")}
    again = start_comparison(actor=reef.people["tess"], project=reef.project, a=old, b=new)
    assert (again.pk, again.state) == (row.pk, "done")
    assert list((tmp_path / FOLDER).iterdir()) == [], "nothing is left of the work"
    assert AuditEvent.objects.filter(action="compare", subject=f"comparison:{row.pk}").count() == 1


def test_an_evaluation_is_made_once_and_answered_at_once(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(4)})
    row = start_evaluation(actor=reef.people["tess"], version=version, snapshot=snapshot)
    done = evaluate_now(version=version, snapshot=snapshot)
    assert (done.pk, done.state) == (row.pk, "done")
    assert done.report["metrics"]["accuracy"]["value"] == 1.0 and done.device != ""
    assert carry_out_evaluation(row.pk) is None, "it is done"
    assert start_evaluation(actor=reef.people["tess"], version=version, snapshot=snapshot).state == "done"


def test_an_evaluation_that_fails_says_why_ends_who_waits_and_begins_again(reef: Reef) -> None:
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    images = reef.add(4)
    snapshot = reef.freeze("June", {TEST: images})
    reef.evaluated(old, snapshot, reef.said(snapshot, images))
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    for file in Path(settings.STORE_DIR).rglob("*.png"):
        file.unlink()
    work_off()
    failed = Evaluation.objects.get(version=new)
    assert (failed.state, failed.code) == ("failed", "evaluation-failed")
    assert "originals of the test part is there" in failed.reason
    row.refresh_from_db()
    assert row.state == "failed" and "New could not be evaluated there" in row.reason
    again = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    assert (again.pk, again.state, again.reason) == (row.pk, "waiting", "")
    assert to_do().get() == failed


def test_it_does_not_begin_while_the_device_is_taken(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(1)})
    row = start_evaluation(actor=SYSTEM, version=version, snapshot=snapshot)
    with device_lock() as is_free:
        assert is_free
        assert carry_out_evaluation(row.pk) is None
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("waiting", 0)


def test_a_worker_that_stops_gives_the_evaluation_back(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(1)})
    row = start_evaluation(actor=SYSTEM, version=version, snapshot=snapshot)
    carry_out_evaluation(row.pk, should_stop=lambda: True)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.lease_token) == ("waiting", 0, "")
    assert to_do().get() == row


def test_figures_on_images_that_were_trained_on_are_told_so_and_stand_beside_no_others(reef: Reef) -> None:
    images = reef.add(4)
    may = reef.freeze("May", {TRAIN: images, TEST: reef.add(1)})
    june = reef.freeze("June", {TEST: images})
    knows, fair = trained(reef, "Knows", may), reef.version("Fair", temperature=2.0)
    row = evaluate_now(version=knows, snapshot=june)
    assert row.seen == 12
    assert row.report["notes"][-1] == "Knows saw 12 of these images while it was trained: the figures flatter it."
    done = compare_now(a=reef.version("Old", mean=NO_RED), b=fair, snapshot=june)
    assert "Knows" not in {point.name for _, point in evaluated_beside(done)}
    assert [card.evaluation for card in cards(reef.project, None) if card.version == knows] == [None]


# ---- what means nothing is refused -----------------------------------------------------------------------------------


def trained(reef: Reef, name: str, snapshot: object, **card: object) -> Version:
    """A version whose card says what it was trained on."""
    return reef.version(name, snapshot=snapshot.digest, **card)  # type: ignore[attr-defined]


def test_a_version_that_saw_the_test_images_is_refused_at_once_and_the_newer_part_is_offered(reef: Reef) -> None:
    first, second = reef.add(12), reef.add(12)
    may = reef.freeze("May", {TEST: first})
    june = reef.freeze("June", {TRAIN: first, TEST: second})
    old, new = trained(reef, "Old", may, mean=NO_RED), trained(reef, "New", june)
    row = start_comparison(actor=reef.people["tess"], project=reef.project, a=old, b=new, snapshot=may)
    assert (row.state, row.code) == ("failed", "seen-images")
    assert row.reason.startswith("New saw 36 of the test images of May")
    offer = row.offer
    assert (offer["act"], offer["snapshot"], offer["a"], offer["b"]) == ("compare", str(june.uid), old.pk, new.pk)
    assert "Evaluate Old, the older version, on the newer test part" in offer["words"]
    assert not Evaluation.objects.exists(), "nothing was asked of a worker"
    taken = start_comparison(actor=reef.people["tess"], project=reef.project, a=old, b=new, snapshot=june)
    assert taken.state == "waiting"


def test_what_a_version_began_from_counts_as_seen(reef: Reef) -> None:
    first = reef.add(12)
    may = reef.freeze("May", {VALIDATION: first, TEST: reef.add(3)})
    june = reef.freeze("June", {TEST: first})
    parent = trained(reef, "Parent", may)
    child = reef.version("Child", parent=parent, temperature=1.5)
    assert [one.name for one in trained_on(child)] == ["May"]
    row = start_comparison(
        actor=SYSTEM, project=reef.project, a=reef.version("Old", mean=NO_RED), b=child, snapshot=june
    )
    assert (row.state, row.code, row.offer["act"]) == ("failed", "seen-images", "freeze")


def at_work(reef: Reef, name: str, images: list[Image]) -> Version:
    """A version made of a head that learned from people's verdicts on these images."""
    for image in images:
        newest = Review.objects.create(image=image, how=Review.How.BLIND)
    version = reef.version(name)
    head = {"project": reef.project, "space": version, "version": version, "state": WorkingHead.State.ACCEPTED}
    WorkingHead.objects.create(**head, up_to=newest.pk)
    return version


def test_a_head_that_learned_at_work_saw_what_was_reviewed_by_then_and_what_is_alike(reef: Reef) -> None:
    reviewed, alike, later = reef.add(1), reef.add(1), reef.add(12)
    june = reef.freeze("June", {TEST: [*reviewed, *alike, *later]})
    for image in (reviewed[0], alike[0]):
        NearDuplicate.objects.create(image=image, project=reef.project, cluster=reviewed[0].pk)
    old, head = reef.version("Old", mean=NO_RED), at_work(reef, "Head", reviewed)
    for image in later:
        Review.objects.create(image=image, how=Review.How.BLIND)
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=head)
    assert (row.state, row.code, row.offer["act"]) == ("failed", "seen-images", "train")
    assert row.reason.startswith("Head saw 4 of the test images of June")
    assert seen_images(reef.version("Child", parent=head, temperature=1.5), june, TEST) == 4


def test_a_head_at_work_is_compared_on_what_nobody_had_reviewed(reef: Reef) -> None:
    reviewed = reef.add(2)
    reef.freeze("June", {TRAIN: reviewed, TEST: reef.add(12)})
    row = start_comparison(
        actor=SYSTEM, project=reef.project, a=reef.version("Old", mean=NO_RED), b=at_work(reef, "Head", reviewed)
    )
    assert row.state == "waiting"


def test_a_gate_is_refused_as_a_person_is(reef: Reef) -> None:
    images = reef.add(12)
    june = reef.freeze("June", {TEST: images})
    row = compare_now(a=at_work(reef, "Head", images), b=reef.version("New", temperature=2.0), snapshot=june)
    assert (row.state, row.code) == ("failed", "seen-images") and not Evaluation.objects.exists()


def test_an_offer_calls_older_and_newer_what_is_so(reef: Reef) -> None:
    first, second = reef.add(12), reef.add(12)
    may = reef.freeze("May", {TRAIN: first, TEST: second})
    june = reef.freeze("June", {TRAIN: second, TEST: first})
    old, new = trained(reef, "Old", may), trained(reef, "New", may, mean=NO_RED)
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new, snapshot=june)
    assert row.offer["words"] == "Evaluate New on the test part, that of May, and compare there."


def test_near_duplicates_of_training_images_are_found_by_the_comparison_itself(reef: Reef) -> None:
    seen, tested = reef.add(12), reef.add(12)
    clusters = {seen[0].pk: 7, tested[0].pk: 7}
    june = reef.freeze("June", {TRAIN: seen, TEST: tested}, clusters=clusters)
    old, new = reef.version("Old", mean=NO_RED), trained(reef, "New", june)
    for version in (old, new):
        reef.evaluated(version, june, reef.said(june, tested))
    row = compared(reef, old, new)
    assert (row.state, row.code) == ("failed", "seen-images")
    assert "1 of the 36 test images" in row.reason and "1 as a near-duplicate" in row.reason
    assert row.offer["act"] == "freeze" and row.result == {}


def test_too_few_groups_are_no_verdict(reef: Reef) -> None:
    images = reef.add(6)
    snapshot = reef.freeze("June", {TEST: images})
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    reef.evaluated(old, snapshot, reef.said(snapshot, images, wrong=images[::2]))
    reef.evaluated(new, snapshot, reef.said(snapshot, images))
    row = compared(reef, old, new)
    assert row.state == "done" and row.result["verdict"] == "too few groups"
    assert row.result["metrics"]["accuracy"]["interval"] is None and row.result["p"] is None
    assert row.result["fixed"] == 9


def test_words_that_make_no_comparison_are_refused(reef: Reef) -> None:
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    with pytest.raises(Invalid, match="No snapshot of Reef has a test part"):
        compared(reef, old, new)
    snapshot = reef.freeze("June", {TRAIN: reef.add(1)})
    with pytest.raises(Invalid, match=r"June has no image in the 'test' part; it has: train"):
        compared(reef, old, new, snapshot=snapshot)
    with pytest.raises(Invalid, match="are the same model"):
        compared(reef, old, old)
    Version.objects.filter(pk=new.pk).update(broken_at=new.created_at, broken_reason="a bit fell over")
    new.refresh_from_db()
    with pytest.raises(Conflict, match="a bit fell over"):
        compared(reef, old, new)
    stranger = Actor(Via.SESSION, user=User.objects.create_user("stranger"))
    with pytest.raises(Forbidden):
        start_comparison(actor=stranger, project=reef.project, a=old, b=new)


# ---- the protocol around it ------------------------------------------------------------------------------------------


def test_a_gate_compares_at_once_and_gets_the_same_row(reef: Reef) -> None:
    old, new = a_pair(reef)
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    done = compare_now(a=old, b=new, snapshot=row.snapshot)
    assert (done.pk, done.state, done.result["verdict"]) == (row.pk, "done", "better")
    assert done.result["broken"] == 2
    assert carry_out_comparison(row.pk) is None


def test_the_galleries_page_on_and_narrow_down(reef: Reef) -> None:
    old, new = a_pair(reef)
    row = compared(reef, old, new)
    first = gallery(row, Chosen(kind="fixed"), limit=5)
    rest = gallery(row, Chosen(kind="fixed"), cursor=first.next or 0, limit=500)
    pages = [one.image.pk for one in (*first.images, *rest.images)]
    assert len(first.images) == 5 and first.next == 5 and rest.next is None
    assert len(set(pages)) == len(pages) == first.total == row.result["fixed"]
    cell = gallery(row, Chosen(truth="red", answer="green", side="a"))
    assert {(one.truth, one.a) for one in cell.images} == {("red", "green")}
    changed = gallery(row, Chosen(truth="red", answer="red", side="changed"))
    assert {one.kind for one in changed.images} == {"fixed"} and changed.total == cell.total
    assert gallery(row, Chosen(truth="no such label")).total == 0
    reef.images[0].withdrawn_at = row.created_at
    reef.images[0].save()
    assert reef.images[0].pk not in [one.image.pk for one in gallery(row, Chosen(kind="fixed")).images]
    with pytest.raises(Invalid):
        gallery(row, Chosen(kind="pretty"))
    with pytest.raises(Invalid, match="cannot be narrowed down by 'camera'. It has: site"):
        gallery(row, Chosen(by="camera", value="one"))


def test_a_label_that_was_merged_since_has_the_comparison_made_again(reef: Reef) -> None:
    old, new = a_pair(reef)
    row = compared(reef, old, new)
    green, red = (label_by_key_or_name(reef.project, key) for key in ("green", "red"))
    merge_label(actor=SYSTEM, label=green, into=red)
    again = compared(reef, old, new)
    assert again.pk == row.pk and again.result["merged"] == {"green": "red"}
    assert "green" not in {one["key"] for one in again.result["classes"]}
    assert again.result["fixed"] < row.result["fixed"], "red answered green is right now"


def test_one_that_waits_can_be_stopped_and_begun_again(reef: Reef) -> None:
    old, new = a_pair(reef)
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    assert stop_comparison(actor=reef.people["tess"], comparison=row).state == "cancelled"
    assert carry_out_comparison(row.pk) is None
    with pytest.raises(Conflict):
        stop_comparison(actor=reef.people["tess"], comparison=row)
    assert compared(reef, old, new).state == "done"


def test_the_sweep_takes_from_the_dead_and_wakes_what_is_ready(reef: Reef, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = a_pair(reef)
    row = start_comparison(actor=SYSTEM, project=reef.project, a=old, b=new)
    assert leases.take(ready(), row.pk)
    row.refresh_from_db()
    dead = f"{row.lease_token.split('-')[0]}-{2**22 + 1}-aaaa"
    Comparison.objects.update(lease_token=dead)
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr("webapp.queue.send", lambda *words, **more: sent.append(words))
    sweeping.sweep()
    row.refresh_from_db()
    assert row.state == "waiting"
    assert ("webapp.runs.tasks_io.compare", row.pk) in sent


def test_what_ends_its_process_again_and_again_is_given_up(reef: Reef) -> None:
    version, snapshot = reef.version("New"), reef.freeze("June", {TEST: reef.add(1)})
    row = start_evaluation(actor=SYSTEM, version=version, snapshot=snapshot)
    Evaluation.objects.update(attempts=leases.GIVE_UP_AFTER)
    done = carry_out_evaluation(row.pk)
    assert done is not None and (done.state, done.code) == ("failed", evaluating.ENDED_WORKER)
