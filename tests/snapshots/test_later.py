"""What becomes of a snapshot: later leaks, withdrawals, differences, notes, and the ways back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from tests.snapshots.conftest import Fjord, parts_of
from training import contract
from training.contract import ManifestError, ManifestHead, ManifestLine
from webapp.access.models import AuditEvent
from webapp.datasets import manifest
from webapp.datasets.difference import difference
from webapp.datasets.leaks import present_state
from webapp.datasets.models import Snapshot
from webapp.datasets.restore import freeze_again, restore_labels
from webapp.datasets.snapshots import add_note, affected_by_withdrawals, snapshot_named
from webapp.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from webapp.images.models import Image, ImageState, Upload
from webapp.projects.models import Label
from webapp.reviews.models import Annotation, NearDuplicate
from webapp.reviews.undo import undo_change


def of_part(snapshot: Snapshot, part: str) -> int:
    return next(image for image, here in parts_of(snapshot).items() if here == part)


def test_an_old_snapshot_says_that_it_leaks_once_clusters_have_joined(fjord: Fjord) -> None:
    fjord.labelled(40, "cod")
    snapshot = fjord.freeze()
    assert present_state(snapshot)["leaks"] == 0
    joined = [of_part(snapshot, "train"), of_part(snapshot, "test")]
    for image in joined:
        NearDuplicate.objects.create(image_id=image, project=fjord.project, cluster=min(joined))
    Image.objects.filter(pk__in=[of_part(snapshot, "validation"), joined[0]]).update(sequence=fjord.burst())
    now = present_state(snapshot)
    assert (now["leaks"], now["known"]) == (2, 0)
    assert now["clusters"][0]["parts"] == {"test": 1, "train": 1}


def test_withdrawn_images_and_new_labels_are_told(fjord: Fjord) -> None:
    some = fjord.labelled(40, "cod")
    snapshot = fjord.freeze()
    Image.objects.filter(pk=of_part(snapshot, "test")).update(withdrawn_at=timezone.now())
    fjord.say([image for image in some if image.pk == of_part(snapshot, "train")], "hake")
    now = present_state(snapshot)
    assert (now["withdrawn"], now["withdrawn_by_part"], now["relabelled"]) == (1, {"test": 1}, 1)
    assert now["withdrawn_by_source"] == [{"source": str(fjord.upload.uid), "name": "May", "images": 1}]
    after = fjord.freeze(parent=snapshot)
    assert after.counts["left_out"] == {"withdrawn": 1}


def test_the_list_names_snapshots_whose_import_was_withdrawn(fjord: Fjord) -> None:
    fjord.labelled(40, "cod")
    snapshot = fjord.freeze()
    assert affected_by_withdrawals(fjord.project, [snapshot]) == set()
    Upload.objects.filter(pk=fjord.upload.pk).update(state=Upload.State.WITHDRAWN)
    Image.objects.filter(pk=of_part(snapshot, "test")).update(withdrawn_at=timezone.now())
    assert affected_by_withdrawals(fjord.project, [snapshot]) == {snapshot.pk}


def test_a_label_that_was_merged_since_is_no_other_label(fjord: Fjord) -> None:
    some = fjord.labelled(20, "codfish")
    snapshot = fjord.freeze()
    Label.objects.filter(key="codfish").update(merged_into=fjord.label("cod"))
    ImageState.objects.filter(image__in=some).update(label=fjord.label("cod"))
    assert present_state(snapshot)["relabelled"] == 0


def test_the_difference_to_the_parent_is_kept_and_that_to_any_other_is_found(fjord: Fjord) -> None:
    some = fjord.labelled(30, "cod")
    first = fjord.freeze()
    fjord.say(some[:3], "hake")
    fjord.labelled(5, "ling")
    Image.objects.filter(pk=some[9].pk).update(damaged_share=0.5)
    Annotation.objects.filter(review__image=some[5]).update(count=2)
    second = fjord.freeze(parent=first)
    kept = second.counts["difference"]
    assert {kind: kept[kind] for kind in ("added", "removed", "relabelled", "redrawn", "moved", "same")} == {
        "added": 5,
        "removed": 1,
        "relabelled": 3,
        "redrawn": 1,
        "moved": 0,
        "same": 25,
    }
    back = difference(second, first)
    assert (back["added"], back["removed"], back["relabelled"]) == (1, 5, 3)
    assert back["labels"]["removed"] == {"ling": 5}
    changed = next(one for one in back["images"]["relabelled"] if one["image"] == some[0].pk)
    assert (changed["before"]["label"], changed["after"]["label"]) == ("hake", "cod")


def test_labels_are_restored_as_one_change_that_undo_takes_back(fjord: Fjord) -> None:
    some = fjord.labelled(20, "cod")
    box = {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4, "count": 2}
    Annotation.objects.filter(review__image=some[0]).update(**box)
    snapshot = fjord.freeze()
    fjord.say(some[:6], "hake")
    state = lambda image: ImageState.objects.get(pk=image.pk).label.key  # type: ignore[union-attr]  # noqa: E731
    done = restore_labels(actor=fjord.actor("cora"), snapshot=snapshot)
    assert (done.images, done.left, done.missing_words) == (6, 0, 0)
    assert {state(image) for image in some} == {"cod"}
    newest = some[0].reviews.order_by("-pk").first()
    assert newest and newest.annotations.filter(**box).exists()
    assert restore_labels(actor=fjord.actor("cora"), snapshot=snapshot).change is None
    assert done.change
    undo_change(actor=fjord.actor("cora"), change=done.change)
    assert [state(image) for image in some[:7]] == ["hake"] * 6 + ["cod"]


def test_a_restore_of_many_goes_on_where_it_ended(fjord: Fjord) -> None:
    some = fjord.labelled(12, "cod")
    snapshot = fjord.freeze()
    fjord.say(some, "hake")
    first = restore_labels(actor=fjord.actor("cora"), snapshot=snapshot, at_once=8)
    assert (first.images, first.left) == (8, 4)
    assert restore_labels(actor=fjord.actor("cora"), snapshot=snapshot, at_once=8).images == 4


def test_reviewers_do_not_restore(fjord: Fjord) -> None:
    fjord.labelled(12, "cod")
    snapshot = fjord.freeze()
    with pytest.raises(Forbidden):
        restore_labels(actor=fjord.actor("rosa"), snapshot=snapshot)
    with pytest.raises(Forbidden):
        freeze_again(actor=fjord.actor("rosa"), snapshot=snapshot)


def test_an_old_snapshot_can_be_the_newest_again(fjord: Fjord) -> None:
    some = fjord.labelled(20, "cod")
    first = fjord.freeze()
    fjord.say(some[:6], "hake")
    second = fjord.freeze(parent=first)
    again = freeze_again(actor=fjord.actor("ada"), snapshot=first)
    assert again.digest == first.digest and again.parent == second
    assert parts_of(again) == parts_of(first)
    assert again.counts["difference"]["relabelled"] == 6
    with pytest.raises(Conflict):
        freeze_again(actor=fjord.actor("ada"), snapshot=first)


def test_notes_are_added_with_name_and_day_and_change_no_hash(fjord: Fjord) -> None:
    fjord.labelled(12, "cod")
    snapshot = fjord.freeze(notes="for the report")
    before = snapshot.digest
    noted = add_note(actor=fjord.actor("cora"), snapshot=snapshot, text="  used for\nthe poster ")
    assert noted.notes.splitlines()[0] == "for the report"
    assert noted.notes.endswith(", cora: used for the poster") and noted.digest == before
    assert AuditEvent.objects.filter(action="note on snapshot").exists()
    with pytest.raises(Invalid):
        add_note(actor=fjord.actor("cora"), snapshot=snapshot, text=" ")
    with pytest.raises(Forbidden):
        add_note(actor=fjord.actor("vic"), snapshot=snapshot, text="hello")


def test_a_snapshot_is_found_by_name_uid_and_digest(fjord: Fjord) -> None:
    fjord.labelled(12, "cod")
    snapshot = fjord.freeze(name="May")
    for text in ("May", str(snapshot.uid), snapshot.digest[:8]):
        assert snapshot_named(fjord.project, text) == snapshot
    with pytest.raises(NotFound, match="It has: May"):
        snapshot_named(fjord.project, "June")
    manifest.path_of(snapshot).unlink()
    with pytest.raises(Unavailable, match="restore it from a backup"):
        manifest.read(snapshot)


def test_a_manifest_is_read_as_it_was_written(fjord: Fjord) -> None:
    fjord.labelled(3, "cod", site=fjord.site("S"), captured_at="2026-05-01T06:00:00")
    fjord.labelled(3, "fluke", individual=fjord.individual("Tiki"))
    snapshot = fjord.freeze()
    path = manifest.path_of(snapshot)
    head, lines = manifest.read(snapshot)
    text = contract.head_text(head) + "".join(contract.line_text(line) for line in lines)
    assert gzip.decompress(path.read_bytes()).decode() == text
    assert contract.digest_of(path) == snapshot.digest


HEAD = contract.head_text(ManifestHead("fjord", 0)).strip()
LINE = contract.line_text(ManifestLine(1, "ab", "train")).strip()


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda head, line: (head | {"colour": 1}, line), "Line 1, ManifestHead: unknown key 'colour'"),
        (lambda head, line: (head | {"version": 9}, line), "reads 'osprey-manifest' version 1"),
        (lambda head, line: (head, line | {"lable": "cod"}), "Line 2, ManifestLine: unknown key 'lable'"),
        (lambda head, line: (head, line | {"fold": "1"}), "ManifestLine.fold: '1' is not of the kind"),
        (lambda head, line: (head, line | {"image": True}), "ManifestLine.image: True is not of the kind"),
        (lambda head, line: (head, line | {"part": "left-out"}), "does not go with left_out"),
        (lambda head, line: (head, line | {"annotations": [{"box": [1, 2]}]}), "a box is four numbers"),
        (lambda head, line: (head, {"image": 1, "part": "train"}), "no key 'sha256'"),
    ],
)
def test_a_manifest_with_anything_unknown_is_refused(
    tmp_path: Path, break_it: Callable[[dict[str, object], dict[str, object]], tuple[object, object]], words: str
) -> None:
    rows = break_it(json.loads(HEAD), json.loads(LINE))
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ManifestError, match=words.replace("[", r"\[")):
        list(contract.read_manifest(path)[1])


def test_a_manifest_that_was_cut_short_is_refused(fjord: Fjord, tmp_path: Path) -> None:
    fjord.labelled(50, "cod")
    whole = manifest.path_of(fjord.freeze()).read_bytes()
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ManifestError, match="from a backup"):
        list(contract.read_manifest(path)[1])
