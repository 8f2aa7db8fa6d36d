"""Zips: every entry becomes an item with a final state, whatever happens on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests import pictures
from tests.images.conftest import Inbox, Reef
from webapp import leases
from webapp.access.actors import Actor
from webapp.errors import Conflict, Forbidden, NoSpace, OspreyError
from webapp.images import unpack as archives
from webapp.images import uploads
from webapp.images.models import Archive, Image, Item, Upload
from webapp.images.zips import ZipLimits
from webapp.predictions import unpack as unpacking

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it, so nothing is tidied up in the database."""


@pytest.fixture
def send(reef: Reef, inbox: Inbox) -> Callable[..., Archive]:
    def accept(
        content: bytes, *, upload: Upload | None = None, name: str = "trip.zip", by: Actor | None = None
    ) -> Archive:
        return archives.accept_zip(
            actor=by or reef.rosa, upload=upload or reef.upload(), received=inbox.put(content), name=name
        )

    return accept


def states(archive: Archive) -> dict[str, str]:
    return dict(archive.upload.items.values_list("path", "state"))


def reload(archive: Archive) -> Archive:
    return Archive.objects.select_related("upload", "item").get(pk=archive.pk)


def wait_is_over() -> None:
    """As if the time of a lease or a pause had passed."""
    Archive.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def many(count: int) -> bytes:
    return pictures.archive({f"{number}.jpg": pictures.jpeg(16, 16, seed=number) for number in range(count)})


def test_every_picture_of_a_zip_becomes_an_image(send: Callable[..., Archive], inbox: Inbox, store: Path) -> None:
    archive = send(pictures.archive({"a/1.jpg": pictures.jpeg(16, 16), "a/2.png": pictures.png(16, 16, seed=1)}))
    assert archive.upload.state == "working"
    assert not unpacking.unpack(archive.pk)
    archive = reload(archive)
    assert states(archive) == {"trip.zip": "done", "trip.zip/a/1.jpg": "done", "trip.zip/a/2.png": "done"}
    assert uploads.counts(archive.upload)["done"] == 2
    assert Image.objects.count() == 2
    assert (archive.state, archive.upload.state, archive.entries) == ("done", "open", 2)
    assert list(inbox.folder.iterdir()) == []


def test_each_bad_entry_has_its_own_reason_and_no_neighbour_is_lost(send: Callable[..., Archive]) -> None:
    good = pictures.jpeg(16, 16)
    archive = send(
        pictures.archive(
            {
                "../up.jpg": good,
                "/root.jpg": good,
                "C:/drive.jpg": good,
                "inner.zip": pictures.archive({"x.jpg": good}),
                "hidden.jpg": pictures.archive({"x.jpg": good}),
                "page.jpg": pictures.html_named_jpg(),
                "empty.jpg": b"",
                "grows.jpg": bytes(40 * 2**20),
                "good.jpg": good,
                "same.jpg": good,
                "back\\slash.jpg": good,
                "folder/": b"",
                "Thumbs.db": b"x",
                "__MACOSX/._good.jpg": b"x",
            }
        )
    )
    unpacking.unpack(archive.pk)
    archive = reload(archive)
    codes = dict(archive.upload.items.filter(state="rejected").values_list("path", "code"))
    assert codes == {
        "trip.zip/up.jpg": "zip-name",
        "trip.zip/root.jpg": "zip-name",
        "trip.zip/C:/drive.jpg": "zip-name",
        "trip.zip/inner.zip": "zip-nested",
        "trip.zip/hidden.jpg": "zip-nested",
        "trip.zip/page.jpg": codes["trip.zip/page.jpg"],
        "trip.zip/empty.jpg": "empty",
        "trip.zip/grows.jpg": "zip-ratio",
    }
    assert all(archive.upload.items.filter(state="rejected").values_list("reason", flat=True))
    assert states(archive)["trip.zip/good.jpg"] == "done"
    assert states(archive)["trip.zip/same.jpg"] == states(archive)["trip.zip/back/slash.jpg"] == "duplicate"
    assert archive.upload.side_files == {"thumbs.db": 1, "__macosx": 1}
    assert archive.upload.state == "open"


@pytest.mark.parametrize("content", [pictures.zip_symlink(), pictures.zip_slip(), pictures.zip_encrypted()])
def test_hostile_zips_leave_nothing_outside_the_store(
    send: Callable[..., Archive], content: bytes, tmp_path: Path
) -> None:
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    archive = send(content)
    unpacking.unpack(archive.pk)
    assert {path for path in tmp_path.rglob("*") if "store" not in path.parts} == before
    assert reload(archive).state == "done"
    assert archive.upload.items.filter(state="rejected").exists()


def test_two_entries_of_one_name_are_two_items(send: Callable[..., Archive]) -> None:
    content = pictures.archive({"a.jpg": pictures.jpeg(16, 16), "b.jpg": pictures.jpeg(16, 16, seed=1)})
    archive = send(content.replace(b"b.jpg", b"a.jpg"))
    unpacking.unpack(archive.pk)
    assert set(states(archive)) == {"trip.zip", "trip.zip/a.jpg", "trip.zip/a (entry 2).jpg"}
    assert Image.objects.count() == 2


def test_a_worker_that_was_killed_is_followed_by_one_that_goes_on(
    send: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = send(many(6))
    accept, seen = unpacking.accept_image, []

    def accept_then_die(**options: object) -> object:
        answer = accept(**options)  # type: ignore[arg-type]
        seen.append(options["name"])
        if len(seen) == 3:
            raise Killed
        return answer

    monkeypatch.setattr(unpacking, "accept_image", accept_then_die)
    with pytest.raises(Killed):
        unpacking.unpack(archive.pk)
    assert not unpacking.unpack(archive.pk), "the lease still holds"
    assert len(seen) == 3
    wait_is_over()
    unpacking.unpack(archive.pk)
    assert reload(archive).state == "done"
    assert len(seen) == len(set(seen)) == 6
    assert Image.objects.count() == 6


def test_a_zip_that_ends_every_worker_is_set_aside(
    send: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    archive = send(many(2))
    monkeypatch.setattr(unpacking, "survey", die)
    for _ in range(3):
        with pytest.raises(Killed):
            unpacking.unpack(archive.pk)
        wait_is_over()
    unpacking.unpack(archive.pk)
    assert reload(archive).state == "failed"
    assert reload(archive).item.code == "ended-worker"


def test_two_workers_never_unpack_one_zip_at_the_same_time(send: Callable[..., Archive]) -> None:
    archive = send(many(1))
    held = archives.lease(archive.pk)
    assert held is not None
    assert archives.lease(archive.pk) is None
    wait_is_over()
    assert archives.lease(archive.pk) is not None
    with pytest.raises(leases.LeaseLost):
        archives.renew(held)


def test_work_goes_on_in_slices_so_that_the_worker_stays_answerable(send: Callable[..., Archive]) -> None:
    archive = send(many(4))
    slices = 1
    while unpacking.unpack(archive.pk, seconds=0):
        slices += 1
    assert slices >= 4
    assert uploads.counts(archive.upload)["done"] == 4


def test_an_io_worker_finds_waiting_zips_without_a_message(send: Callable[..., Archive]) -> None:
    archive = send(many(2))
    unpacking.unpack_what_waits()
    assert reload(archive).state == "done"


def test_a_full_disk_pauses_and_loses_nothing(send: Callable[..., Archive], settings: Settings, inbox: Inbox) -> None:
    archive = send(many(3))
    settings.FREE_DISK_FLOOR_BYTES = 2**60
    assert not unpacking.unpack(archive.pk)
    archive = reload(archive)
    assert archive.state == "waiting"
    assert "disk" in archive.reason
    assert list(inbox.folder.iterdir()) == []
    assert not archives.to_unpack().exists(), "it is not tried again at once"
    settings.FREE_DISK_FLOOR_BYTES = 0
    wait_is_over()
    unpacking.unpack(archive.pk)
    assert uploads.counts(archive.upload)["done"] == 3


def test_a_site_that_cannot_take_more_pauses(send: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise NoSpace("The store is full.")

    archive = send(many(1))
    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "accept_image", refuse)
        unpacking.unpack(archive.pk)
    assert reload(archive).state == "waiting"
    wait_is_over()
    unpacking.unpack(archive.pk)
    assert reload(archive).state == "done"


def test_a_bomb_is_stopped_with_a_reason_and_the_upload_keeps_what_was_done(send: Callable[..., Archive]) -> None:
    archive = send(
        pictures.archive(
            {
                "0.jpg": pictures.jpeg(16, 16),
                **{f"bomb{n}.jpg": bytes(2**20) for n in range(8)},
                "9.jpg": pictures.jpeg(16, 16, seed=9),
            }
        )
    )
    unpacking.unpack(archive.pk, bounds=ZipLimits(archive_grace=2**20))
    archive = reload(archive)
    assert (archive.state, archive.item.state, archive.upload.state) == ("failed", "failed", "open")
    assert "unpacking was stopped" in archive.upload.reason
    assert states(archive)["trip.zip/0.jpg"] == "done"
    assert states(archive)["trip.zip/9.jpg"] == "failed"
    assert uploads.counts(archive.upload)["expected"] == 0


def test_a_zip_cut_short_fails_with_the_remedy(send: Callable[..., Archive]) -> None:
    archive = send(many(3)[:-40])
    unpacking.unpack(archive.pk)
    assert reload(archive).item.code == "not-a-zip"
    assert "copy it again" in reload(archive).item.reason


def test_the_stored_zip_goes_when_it_is_done_and_stays_until_then(
    send: Callable[..., Archive], django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    archive = send(many(1))
    assert archives.path_of(archive).exists()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        unpacking.unpack(archive.pk)
    assert not archives.path_of(archive).exists()


def test_the_same_zip_again_is_the_one_that_is_there(send: Callable[..., Archive], reef: Reef, inbox: Inbox) -> None:
    upload = reef.upload()
    assert send(many(1), upload=upload) == send(many(1), upload=upload)
    assert list(inbox.folder.iterdir()) == []
    other = send(many(2), upload=upload)
    assert other.item.path == "trip (2).zip"


def test_a_zip_that_failed_and_is_sent_again_goes_on(send: Callable[..., Archive], reef: Reef) -> None:
    upload = reef.upload()
    archive = send(many(4), upload=upload)
    unpacking.unpack(archive.pk, seconds=0)
    archives.path_of(archive).unlink()
    unpacking.unpack(archive.pk)
    assert reload(archive).item.code == "file-missing"
    assert send(many(4), upload=upload, name="other.zip") == archive
    unpacking.unpack(archive.pk)
    archive = reload(archive)
    assert (archive.state, archive.upload.state, archive.upload.archives.count()) == ("done", "open", 1)
    assert uploads.counts(upload) | {"done": 4} == uploads.counts(upload)
    assert (uploads.counts(upload)["failed"], archive.upload.reason) == (0, "")


def test_closing_while_a_zip_is_unpacked_closes_when_it_is_done(send: Callable[..., Archive], reef: Reef) -> None:
    archive = send(many(2))
    assert uploads.close_upload(actor=reef.rosa, upload=archive.upload).state == "working"
    unpacking.unpack(archive.pk)
    assert reload(archive).upload.state == "closed"
    assert uploads.counts(archive.upload)["done"] == 2


def test_only_who_may_recognise_sends_zips_and_only_zips_are_taken(send: Callable[..., Archive], reef: Reef) -> None:
    with pytest.raises(Forbidden):
        send(many(1), by=reef.eve)
    with pytest.raises(OspreyError) as caught:
        send(pictures.jpeg(16, 16))
    assert (caught.value.status, caught.value.code) == (415, "not-a-zip")
    upload = reef.upload()
    uploads.close_upload(actor=reef.rosa, upload=upload)
    with pytest.raises(Conflict):
        send(many(1), upload=upload)


def test_entries_keep_their_hash(send: Callable[..., Archive]) -> None:
    picture = pictures.jpeg(16, 16)
    archive = send(pictures.archive({"a.jpg": picture}))
    unpacking.unpack(archive.pk)
    item = Item.objects.get(path="trip.zip/a.jpg")
    assert item.sha256 == hashlib.sha256(picture).hexdigest()
    assert item.image is not None
    assert item.image.path == "trip.zip/a.jpg"
    assert archive.upload == item.image.upload
