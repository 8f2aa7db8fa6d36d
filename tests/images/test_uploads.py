"""Uploads: listed first, filled later, reopened by their uid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.images.conftest import Reef
from webapp.access.actors import GUEST
from webapp.errors import Conflict, Forbidden, Invalid, NotFound, NotSignedIn
from webapp.images import uploads
from webapp.images.models import Item, Upload
from webapp.images.uploads import ManifestEntry

State = Item.State


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def entries(*paths: str) -> list[ManifestEntry]:
    return [ManifestEntry(path, size=10, modified_at_ms=5) for path in paths]


def test_an_upload_is_reopened_by_its_uid_with_its_list(reef: Reef) -> None:
    upload = reef.upload(name="trip", manifest=entries("a/1.jpg", "a/2.jpg"))
    again = uploads.upload_by_uid(reef.rosa, str(upload.uid))
    assert again == upload
    assert [item.path for item in uploads.list_items(again)] == ["a/1.jpg", "a/2.jpg"]
    assert uploads.counts(again)["expected"] == 2


@pytest.mark.parametrize("uid", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_uid_is_not_found(reef: Reef, uid: str) -> None:
    with pytest.raises(NotFound):
        uploads.upload_by_uid(reef.rosa, uid)


def test_an_upload_of_a_project_one_may_not_see_does_not_exist(reef: Reef) -> None:
    upload = reef.upload()
    with pytest.raises(NotFound):
        uploads.upload_by_uid(reef.eve, upload.uid)
    with pytest.raises(NotFound):
        uploads.upload_by_uid(GUEST, upload.uid)


def test_strangers_open_no_uploads(reef: Reef) -> None:
    with pytest.raises(Forbidden):
        uploads.open_upload(actor=reef.eve, project=reef.project, kind="rest")
    with pytest.raises(NotSignedIn):
        uploads.open_upload(actor=GUEST, project=reef.project, kind="rest")


def test_an_unknown_kind_is_refused_with_the_kinds_there_are(reef: Reef) -> None:
    with pytest.raises(Invalid, match="browser"):
        uploads.open_upload(actor=reef.rosa, project=reef.project, kind="pigeon")


def test_sending_a_part_of_the_list_twice_changes_nothing(reef: Reef, django_assert_max_num_queries: object) -> None:
    upload = reef.upload()
    part = entries(*(f"{number}.jpg" for number in range(2500)), "Thumbs.db")
    first = uploads.extend_manifest(actor=reef.rosa, upload=upload, manifest=part)
    with django_assert_max_num_queries(20):  # type: ignore[operator]
        second = uploads.extend_manifest(actor=reef.rosa, upload=upload, manifest=part)
    assert (first.added, second.added, second.known) == (2500, 0, 2500)
    upload.refresh_from_db()
    assert upload.side_files == {"thumbs.db": 1}
    assert upload.items.count() == 2500


def test_a_raw_file_is_left_out_when_its_jpeg_came_in_an_earlier_part(reef: Reef) -> None:
    upload = reef.upload(manifest=entries("a/IMG_1.JPG"))
    part = uploads.extend_manifest(actor=reef.rosa, upload=upload, manifest=entries("a/IMG_1.NEF", "a/IMG_2.NEF"))
    assert part.left_out == ("a/IMG_1.NEF",)
    assert part.added == 1


def test_two_spellings_of_one_path_are_one_item(reef: Reef) -> None:
    upload = reef.upload(manifest=entries("a\\1.jpg", "a/1.jpg", "./a/1.jpg"))
    assert upload.items.count() == 1


def test_a_list_that_is_too_long_for_one_call_is_refused(reef: Reef) -> None:
    with pytest.raises(Invalid, match="parts of 10,000"):
        reef.upload(manifest=entries(*(str(number) for number in range(10_001))))
    assert not Upload.objects.exists()


def test_closing_settles_what_never_came_and_reopening_expects_it_again(reef: Reef) -> None:
    upload = reef.upload(manifest=entries("1.jpg"))
    closed = uploads.close_upload(actor=reef.rosa, upload=upload)
    assert closed.state == "closed"
    assert uploads.list_items(upload)[0].code == "never-came"
    with pytest.raises(Conflict, match="reopen"):
        uploads.extend_manifest(actor=reef.rosa, upload=upload, manifest=entries("2.jpg"))
    uploads.reopen_upload(actor=reef.rosa, upload=upload)
    uploads.extend_manifest(actor=reef.rosa, upload=upload, manifest=entries("2.jpg"))
    assert uploads.counts(upload)["expected"] == 2


def test_already_here_answers_only_for_images_one_may_see(reef: Reef) -> None:
    here = reef.image("seen")
    from webapp.projects.models import Project

    reef.image("elsewhere", Project.objects.create(slug="other", name="Other"))
    gone = reef.image("withdrawn")
    gone.withdrawn_at = timezone.now()
    gone.save()
    asked = [sha("seen"), sha("elsewhere"), sha("withdrawn"), sha("new")]
    found = uploads.already_here(actor=reef.rosa, project=reef.project, sha256s=asked)
    assert found == {sha("seen"): here.pk}


def test_a_hash_that_is_none_is_named(reef: Reef) -> None:
    with pytest.raises(Invalid, match="'ABC'"):
        uploads.already_here(actor=reef.rosa, project=reef.project, sha256s=["ABC"])


def test_duplicates_are_settled_without_their_bytes_and_twice_is_once(reef: Reef) -> None:
    image = reef.image("seen")
    upload = reef.upload(manifest=entries("old.jpg", "new.jpg"))
    files = {"old.jpg": sha("seen"), "new.jpg": sha("new")}
    for _ in range(2):
        assert uploads.mark_duplicates(actor=reef.rosa, upload=upload, files=files) == {"old.jpg": image.pk}
    counts = uploads.counts(upload)
    assert (counts["duplicate"], counts["expected"]) == (1, 1)
    assert uploads.list_items(upload, state="duplicate")[0].image == image


@pytest.mark.databases
@pytest.mark.parametrize("moment", range(1, 14))
def test_a_twin_that_comes_in_while_one_asks_leaves_no_file_open_that_will_not_be_sent(reef: Reef, moment: int) -> None:
    reef.image("seen")
    upload = reef.upload(manifest=entries("old.jpg", "copy.jpg"))
    asked = 0

    def twin_comes_in(execute: Callable[..., Any], *call: Any) -> Any:
        nonlocal asked
        found = execute(*call)
        asked += 1
        if asked == moment:
            reef.image("twin")
        return found

    files = {"old.jpg": sha("seen"), "copy.jpg": sha("twin")}
    with connection.execute_wrapper(twin_comes_in):
        here = uploads.need_not_send(actor=reef.rosa, upload=upload, files=files)
    states = {item.path: item.state for item in uploads.list_items(upload)}
    assert states == {
        "old.jpg": State.DUPLICATE,
        "copy.jpg": State.DUPLICATE if sha("twin") in here else State.EXPECTED,
    }


def test_bytes_are_asked_for_where_a_file_is_not_settled_by_what_is_here(reef: Reef) -> None:
    image, other = reef.image("seen"), reef.image("other")
    upload = reef.upload(manifest=entries("old.jpg", "changed.jpg"))
    uploads.need_not_send(actor=reef.rosa, upload=upload, files={"changed.jpg": sha("other")})
    files = {"old.jpg": sha("seen"), "unannounced.jpg": sha("seen")}
    assert uploads.need_not_send(actor=reef.rosa, upload=upload, files=files) == {}, "one of them is on no list"
    again = {"old.jpg": sha("seen"), "changed.jpg": sha("seen")}
    assert uploads.need_not_send(actor=reef.rosa, upload=upload, files=again) == {}, "one of them was another picture"
    asked = {"sha256s": [sha("other")], "files": {"old.jpg": sha("seen")}}
    here = uploads.need_not_send(actor=reef.rosa, upload=upload, **asked)  # type: ignore[arg-type]
    assert here == {sha("seen"): image.pk, sha("other"): other.pk}


def test_a_rejected_file_keeps_its_first_final_state(reef: Reef) -> None:
    upload = reef.upload(manifest=entries("a.gif"))
    first = uploads.reject_item(upload=upload, path="a.gif", error=Invalid("This is a GIF.", code="unsupported-format"))
    uploads.reject_item(upload=upload, path="a.gif", error=Invalid("Later.", code="later"))
    first.refresh_from_db()
    assert (first.state, first.code, first.reason) == ("rejected", "unsupported-format", "This is a GIF.")


def test_counts_are_one_query_and_name_every_state(reef: Reef, django_assert_num_queries: object) -> None:
    upload = reef.upload(manifest=entries("1.jpg", "2.jpg"))
    with django_assert_num_queries(1):  # type: ignore[operator]
        counts = uploads.counts(upload)
    assert set(counts) == set(State.values)


def test_items_are_paged_by_key_and_filtered(reef: Reef) -> None:
    upload = reef.upload(manifest=entries(*(f"{number}.jpg" for number in range(5))))
    cod, rock = reef.label("cod"), reef.label("rock", "background")
    for item, label, score in zip(upload.items.order_by("pk"), [cod, cod, rock], [0.9, 0.3, 0.8], strict=False):
        item.image, item.state = reef.image(item.path), State.DONE
        item.save()
        item.image.state.label, item.image.state.score, item.image.state.source = label, score, "machine"
        item.image.state.save()
    first = uploads.list_items(upload, limit=2)
    rest = uploads.list_items(upload, limit=10, after=first[-1].pk)
    assert [item.path for item in [*first, *rest]] == [f"{number}.jpg" for number in range(5)]
    assert [item.path for item in uploads.list_items(upload, label="cod")] == ["0.jpg", "1.jpg"]
    assert [item.path for item in uploads.list_items(upload, low_confidence=True)] == ["1.jpg"]
    assert [item.path for item in uploads.list_items(upload, low_confidence=0.85)] == ["1.jpg", "2.jpg"]
    assert [item.path for item in uploads.list_items(upload, empties=True)] == ["2.jpg"]
    assert [item.path for item in uploads.list_items(upload, state="expected")] == ["3.jpg", "4.jpg"]
    assert [(one.key, one.count) for one in uploads.label_counts(upload)] == [("cod", 2), ("rock", 1)]
    with pytest.raises(Invalid, match="Unknown state"):
        uploads.list_items(upload, state="lost")


def test_only_uploads_nobody_touched_for_a_week_are_quiet(reef: Reef) -> None:
    old = timezone.now() - timedelta(days=8)
    quiet, busy, fresh = (reef.upload(manifest=entries("1.jpg")) for _ in range(3))
    Upload.objects.filter(pk__in=[quiet.pk, busy.pk]).update(created_at=old)
    quiet.items.update(changed_at=old)
    assert list(uploads.quiet_uploads()) == [quiet]
    assert fresh.state == "open"
