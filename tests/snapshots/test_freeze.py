"""Freezing: what goes in and what stays out, near-duplicates that never straddle, the hash, and refusals in words."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.snapshots.conftest import Fjord, parts_of
from training.contract import read_manifest
from webapp.access.models import AuditEvent
from webapp.datasets import manifest
from webapp.datasets.freeze import preview
from webapp.datasets.freeze_options import read_options
from webapp.datasets.models import Snapshot
from webapp.errors import Conflict, Forbidden, Invalid
from webapp.images.models import Image, ImageState, Upload
from webapp.projects.models import Label
from webapp.reviews.models import Annotation, Review


def test_eighty_ten_ten_of_every_label(fjord: Fjord) -> None:
    for key in ("cod", "hake", "ling"):
        fjord.labelled(40, key)
    snapshot = fjord.freeze()
    assert snapshot.counts["parts"] == {"train": 96, "validation": 12, "test": 12}
    assert snapshot.counts["labels"]["cod"] == {"train": 32, "validation": 4, "test": 4}
    assert snapshot.leak_report["total"] == 0
    assert snapshot.entries.count() == 120
    assert AuditEvent.objects.filter(action="freeze snapshot", subject=f"snapshot:{snapshot.pk}").exists()


def test_no_image_is_lost_and_each_reason_is_told(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    unlabelled = fjord.images(2)
    damaged = fjord.labelled(1, "cod", damaged_share=0.2)
    bad, unsure = fjord.images(1), fjord.images(1)
    fjord.say(bad, None, verdict=Review.Verdict.BAD_IMAGE)
    fjord.say(unsure, "fish", verdict=Review.Verdict.CANNOT_TELL)
    disputed = fjord.images(1)
    fjord.say(disputed, "cod", by="rosa")
    fjord.say(disputed, "hake", by="cora")
    fjord.label("person", kind=Label.Kind.IGNORE)
    person, withdrawn = fjord.labelled(1, "person"), fjord.labelled(1, "cod")
    Image.objects.filter(pk=withdrawn[0].pk).update(withdrawn_at=timezone.now())
    lines = {line.image: line for line in manifest.read(fjord.freeze())[1]}
    assert set(lines) == set(Image.objects.values_list("pk", flat=True))
    reasons = {
        "unlabelled": unlabelled[0],
        "damaged": damaged[0],
        "bad-image": bad[0],
        "cannot-tell": unsure[0],
        "reviewers-disagree": disputed[0],
        "label-ignored": person[0],
        "withdrawn": withdrawn[0],
    }
    for reason, image in reasons.items():
        assert (lines[image.pk].part, lines[image.pk].left_out) == ("left-out", reason)


def test_what_is_left_out_can_be_asked_for(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    damaged = fjord.labelled(1, "cod", damaged_share=0.2)
    unsure, empty = fjord.images(1), fjord.images(1)
    fjord.say(unsure, "fish", verdict=Review.Verdict.CANNOT_TELL)
    fjord.say(empty, None)
    snapshot = fjord.freeze(damaged=True, cannot_tell="ancestor", negatives=True)
    assert {damaged[0].pk, unsure[0].pk, empty[0].pk} <= set(parts_of(snapshot))
    assert snapshot.counts["cannot_tell"] == {"used": 1, "out": 0}
    assert "“cannot tell”: 1 used" in " ".join(snapshot.counts["notices"])
    assert snapshot.entries.get(image=empty[0]).label is None


def test_what_only_a_machine_says_is_no_label(fjord: Fjord) -> None:
    fjord.labelled(10, "cod")
    machine = fjord.images(5)
    ImageState.objects.filter(image__in=machine).update(label=fjord.label("cod"), source=ImageState.Source.MACHINE)
    snapshot = fjord.freeze(negatives=True)
    assert not set(parts_of(snapshot)) & {image.pk for image in machine}
    assert snapshot.counts["left_out"]["unlabelled"] == 5


def test_a_merged_label_is_what_it_was_merged_into(fjord: Fjord) -> None:
    fjord.labelled(10, "cod")
    fjord.labelled(10, "codfish")
    Label.objects.filter(key="codfish").update(merged_into=fjord.label("cod"))
    head, lines = manifest.read(fjord.freeze())
    assert {line.label for line in lines} == {"cod"}
    assert [label.key for label in head.labels] == ["cod"]


def test_planted_near_duplicates_never_straddle(fjord: Fjord) -> None:
    some = fjord.labelled(100, "cod")
    for image in some[:25]:
        fjord.labelled(3, "cod", like=image)
    snapshot = fjord.freeze()
    sides = parts_of(snapshot)
    for image in some[:25]:
        twins = Image.objects.filter(perceptual_hash=image.perceptual_hash).values_list("pk", flat=True)
        assert len({sides[twin] for twin in twins}) == 1
    assert snapshot.leak_report["counts"]["cluster"] == 0
    assert len(sides) == 175


def test_two_clusters_that_new_pictures_joined_go_to_train_and_the_loss_is_told(fjord: Fjord) -> None:
    fjord.labelled(60, "cod")
    first = fjord.freeze()
    sides = parts_of(first)
    tested = next(image for image, part in sides.items() if part == "test")
    trained = next(image for image, part in sides.items() if part == "train")
    checked = next(image for image, part in sides.items() if part == "validation")
    Image.objects.filter(pk__in=[tested, trained, checked]).update(perceptual_hash=77)
    joining = fjord.labelled(2, "cod", like=Image.objects.get(pk=tested))
    second = fjord.freeze(parent=first)
    after = parts_of(second)
    assert {after[image] for image in (tested, trained, checked, *(one.pk for one in joining))} == {"train"}
    assert second.leak_report["total"] == 0
    assert sorted(second.counts["moved_images"]) == sorted([[tested, "test"], [checked, "validation"]])
    assert "1 from test" in " ".join(second.counts["notices"])
    rest = set(sides) - {tested, checked}
    assert {image: after[image] for image in rest} == {image: sides[image] for image in rest}


def test_sides_are_remembered_beyond_the_parent(fjord: Fjord) -> None:
    some = fjord.labelled(40, "cod")
    first = fjord.freeze()
    trained = [image.pk for image in some if parts_of(first)[image.pk] == "train"]
    Image.objects.filter(pk__in=trained[:10]).update(damaged_share=0.5)
    second = fjord.freeze(parent=first)
    Image.objects.filter(pk__in=trained[:10]).update(damaged_share=0)
    third = fjord.freeze(parent=second, shares=[1, 0, 99])
    assert {parts_of(third)[image] for image in trained} == {"train"}


def test_sites_stay_whole_when_asked_and_by_default_where_there_are_enough(fjord: Fjord) -> None:
    for number in range(10):
        fjord.labelled(12, "cod", site=fjord.site(f"S{number}"))
    for snapshot in (fjord.freeze(group_by=["site"]), fjord.freeze()):
        by_site: dict[int, set[str]] = {}
        for image, part in parts_of(snapshot).items():
            by_site.setdefault(Image.objects.get(pk=image).site_id or 0, set()).add(part)
        assert all(len(parts) == 1 for parts in by_site.values())
        assert snapshot.counts["parts"] == {"train": 96, "validation": 12, "test": 12}
    assert fjord.freeze(group_by=[]).leak_report["straddle"]["site"] == 10


def test_bursts_individuals_and_authors_stay_whole(fjord: Fjord) -> None:
    for number in range(12):
        fjord.labelled(4, "cod", sequence=fjord.burst())
        fjord.labelled(4, "fluke", individual=fjord.individual(f"w{number}"))
        made = fjord.images(4)
        fjord.say(made, "cod", fields={"author": f"a{number}"})
    snapshot = fjord.freeze(group_by=["individual", "author"])
    groups: dict[str, set[str]] = {}
    for line in manifest.read(snapshot)[1]:
        groups.setdefault(line.sequence or line.individual or line.author, set()).add(line.part)
    assert len(groups) == 36 and all(len(parts) == 1 for parts in groups.values())


def test_the_hash_changes_with_any_image_or_label_and_with_nothing_else(fjord: Fjord) -> None:
    some = fjord.labelled(30, "cod")
    first = fjord.freeze()
    assert fjord.freeze(name="the same", notes="again").digest == first.digest
    fjord.say(some[:1], "hake")
    relabelled = fjord.freeze()
    fjord.images(1)
    added = fjord.freeze()
    assert len({first.digest, relabelled.digest, added.digest}) == 3
    assert first.manifest_key.endswith(f"{first.digest}.jsonl.gz")
    head, lines = read_manifest(manifest.path_of(first))
    assert (head.project, sum(1 for _ in lines)) == ("fjord", 30)


def test_parts_that_came_with_the_data_are_kept_and_a_leak_in_them_is_refused(fjord: Fjord) -> None:
    names = ("training_data", "validation data", "Testing-Data", "interesting_data")
    for part in names:
        fjord.labelled(10, "cat", part=part, how=Review.How.IMPORTED)
    whole = fjord.freeze(split="imported", by="cora")
    assert whole.counts["parts"] == {"train": 10, "validation": 10, "test": 10, "interesting": 10}
    twin = Image.objects.filter(part="training_data").first()
    assert twin
    planted = fjord.labelled(1, "cat", part="Testing-Data", like=twin)
    with pytest.raises(Conflict, match="its parts share 1 cluster of near-duplicates,") as refused:
        fjord.freeze(split="imported", by="cora")
    assert refused.value.code == "leak"
    leak = refused.value.extra["leak_report"]["leaks"][0]  # type: ignore[index]
    assert leak["parts"] == {"train": 1, "test": 1} and set(leak["images"]) == {twin.pk, planted[0].pk}
    assert list((manifest.path_of(whole).parent).iterdir()) == [manifest.path_of(whole)]


def test_only_an_admin_signs_for_a_leak(fjord: Fjord) -> None:
    some = fjord.labelled(10, "cat", part="train", how=Review.How.IMPORTED)
    fjord.labelled(10, "cat", part="test", like=some[0], how=Review.How.IMPORTED)
    with pytest.raises(Forbidden):
        fjord.freeze(split="imported", by="cora", sign_leak="it is what was published")
    snapshot = fjord.freeze(split="imported", by="ada", sign_leak="it is what was published")
    assert snapshot.leak_signed_by == fjord.actor("ada").user
    assert snapshot.leak_report["total"] == 1 and snapshot.leak_report["signed"] == "it is what was published"
    event = AuditEvent.objects.get(action="freeze snapshot")
    assert event.detail["signed"] == "it is what was published"


def test_viewers_and_reviewers_do_not_freeze(fjord: Fjord) -> None:
    fjord.labelled(10, "cod")
    for who in ("vic", "rosa"):
        with pytest.raises(Forbidden):
            fjord.freeze(by=who)


def test_tests_are_on_blind_second_read_and_trusted_imported_labels(fjord: Fjord) -> None:
    shown = fjord.labelled(100, "cod", how=Review.How.SUGGESTED)
    imported = fjord.labelled(40, "cod", how=Review.How.IMPORTED)
    rough = Upload.objects.create(project=fjord.project, options={"trusted": False})
    doubtful = fjord.labelled(40, "cod", how=Review.How.IMPORTED, upload=rough)
    read_twice = fjord.labelled(20, "cod", how=Review.How.SUGGESTED)
    fjord.say(read_twice, "cod", by="rosa", second_reading=True)
    snapshot = fjord.freeze()
    tested = {image for image, part in parts_of(snapshot).items() if part == "test"}
    good = {image.pk for image in (*imported, *read_twice)}
    assert tested <= good and len(tested) == 20
    assert not tested & {image.pk for image in (*shown, *doubtful)}
    assert set(snapshot.counts["how"]["test"]) <= {"imported", "second-read"}
    assert sum(snapshot.counts["how"]["train"].values()) == 160


def test_an_empty_test_part_says_what_to_do(fjord: Fjord) -> None:
    fjord.labelled(50, "cod", how=Review.How.SUGGESTED)
    snapshot = fjord.freeze()
    assert snapshot.counts["parts"].get("test", 0) == 0
    assert "Draw a blind audit" in snapshot.counts["notices"][0]
    assert fjord.freeze(test_labels="any").counts["parts"]["test"] == 5


def test_folds_lie_within_training_and_keep_groups(fjord: Fjord) -> None:
    for _ in range(20):
        fjord.labelled(5, "cod", sequence=fjord.burst())
    snapshot = fjord.freeze(folds=5)
    lines = list(manifest.read(snapshot)[1])
    assert all((line.fold is not None) == (line.part == "train") for line in lines)
    assert all(len({line.fold for line in lines if line.group == group}) == 1 for group in {one.group for one in lines})
    assert len(snapshot.counts["folds"]) == 5 and max(snapshot.counts["folds"]) - min(snapshot.counts["folds"]) <= 5


def test_a_balanced_subset_of_individuals_lists_the_rest(fjord: Fjord) -> None:
    fjord.label("new_whale", kind=Label.Kind.UNKNOWN)
    fjord.labelled(30, "new_whale")
    counts = [13, 12, 11, 10, 3, 1]
    for number, count in enumerate(counts):
        fjord.labelled(count, "fluke", individual=fjord.individual(f"w{number}"))
    snapshot = fjord.freeze(min_images=11, per_class=11, group_by=[])
    assert snapshot.counts["used"] == 33 and snapshot.counts["individuals"] == 3
    assert snapshot.counts["left_out"] == {"label-unknown": 30, "class-too-small": 14, "beyond-per-class": 3}
    assert snapshot.entries.filter(part="left-out").count() == 47


def test_identities_have_queries_gallery_and_unseen_ones(fjord: Fjord) -> None:
    for number, count in enumerate([1] * 10 + [2] * 10 + [5] * 4):
        fjord.labelled(count, "fluke", individual=fjord.individual(f"w{number}"))
    roles = fjord.freeze(split="identity").counts["roles"]
    assert roles["gallery"] >= 10 + 10 + 4 and roles["query"] >= 14 and "unseen" not in roles
    assert fjord.freeze(split="identity", singletons="unseen").counts["roles"]["unseen"] == 10


def test_counts_that_cannot_be_are_refused_with_the_number(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    snapshot = fjord.freeze(counts=[10, 3, 2])
    assert snapshot.counts["parts"] == {"train": 10, "validation": 3, "test": 2}
    assert snapshot.counts["left_out"] == {"beyond-count": 5}
    with pytest.raises(Invalid, match="30 images are asked for and 20 can be used"):
        fjord.freeze(counts=[20, 5, 5])


def test_nothing_to_freeze_says_why(fjord: Fjord) -> None:
    fjord.images(3)
    with pytest.raises(Invalid, match="3 no label of a person or an import"):
        fjord.freeze()
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shared": 1}, "Unknown option 'shared'"),
        ({"shares": [80, 20]}, "three numbers"),
        ({"shares": [0, 50, 50]}, "train is not 0"),
        ({"split": "counts", "counts": [1.5, 1, 1]}, "whole numbers"),
        ({"group_by": ["moon"]}, "one of site"),
        ({"folds": 1}, "One fold is none"),
        ({"seed": "x"}, "whole number"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        read_options(options)


def test_a_preview_counts_and_keeps_nothing(fjord: Fjord) -> None:
    fjord.labelled(20, "cod")
    outcome = preview(actor=fjord.actor("cora"), project=fjord.project, options=read_options({}))
    assert outcome.counts["parts"] == {"train": 16, "validation": 2, "test": 2}
    assert not Snapshot.objects.exists()


def test_boxes_counts_and_flags_are_in_the_manifest(fjord: Fjord) -> None:
    made = fjord.labelled(10, "cod")
    box = {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
    Annotation.objects.filter(review__image=made[0]).update(count=3, occluded=True, **box)
    line = next(line for line in manifest.read(fjord.freeze())[1] if line.image == made[0].pk)
    assert line.annotations[0].box == (0.1, 0.2, 0.3, 0.4)
    assert (line.annotations[0].count, dict(line.annotations[0].flags)) == (3, {"occluded": True})


def test_the_command_freezes_and_answers_in_json(fjord: Fjord, capsys: pytest.CaptureFixture[str]) -> None:
    fjord.labelled(20, "cod")
    call_command("freeze", "--project", "fjord", "--split", "80/10/10", "--name", "May", "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["name"], said["parts"], said["leaks"]) == ("May", {"train": 16, "validation": 2, "test": 2}, 0)
    call_command("freeze", "--project", "fjord", "--counts", "8,1,1", "--seed", "4", "--parent", "none")
    said_in_words = capsys.readouterr().out
    assert (
        "8 images" in said_in_words and "leaks: none" in said_in_words and "10 more images than asked" in said_in_words
    )
    assert Counter(Snapshot.objects.values_list("name", flat=True)) == {"May": 1, "Snapshot 2": 1}


def test_the_command_says_what_was_refused(fjord: Fjord, capsys: pytest.CaptureFixture[str]) -> None:
    fjord.labelled(5, "cat", part="train", how=Review.How.IMPORTED)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("freeze", "--project", "fjord", "--split", "80-20", "--json")
    assert json.loads(capsys.readouterr().out)["code"] == "invalid"
