"""House-keeping: leftovers go, what is in use stays."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from tests import pictures
from tests.images.conftest import Inbox, Reef
from webapp import queue
from webapp.images import sweep, uploads
from webapp.images import unpack as archives
from webapp.images.models import Archive, Item, Upload
from webapp.images.uploads import ManifestEntry

DAY = 24 * 3600


def age(path: Path, seconds: float) -> Path:
    os.utime(path, (time.time() - seconds,) * 2)
    return path


@pytest.mark.usefixtures("db")
def test_temporary_files_go_after_a_day_without_a_byte(store: Path) -> None:
    stale, growing = store / "incoming" / "in-old", store / "incoming" / "in-new"
    for path in (stale, growing):
        path.write_bytes(b"x")
    age(stale, 2 * DAY)
    assert sweep.sweep().files_removed == 1
    assert not stale.exists()
    assert growing.exists()


def test_a_kept_zip_goes_only_when_no_archive_waits_for_it(reef: Reef, inbox: Inbox, store: Path) -> None:
    archive = archives.accept_zip(
        actor=reef.rosa, upload=reef.upload(), received=inbox.put(pictures.archive({"a.jpg": b"x"}))
    )
    kept = age(archives.path_of(archive), 9 * DAY)
    orphan = store / archives.FOLDER / "gone.zip"
    orphan.write_bytes(b"x")
    age(orphan, 2 * DAY)
    assert sweep.remove_orphaned_zips() == 1
    assert kept.exists()
    Archive.objects.update(state="done")
    assert sweep.remove_orphaned_zips() == 1


def test_quiet_uploads_are_closed_with_a_reason_for_each_missing_file(reef: Reef, store: Path) -> None:
    upload = reef.upload(manifest=[ManifestEntry("1.jpg")])
    old = timezone.now() - timedelta(days=8)
    Upload.objects.update(created_at=old)
    Item.objects.update(changed_at=old)
    assert sweep.sweep().uploads_closed == 1
    upload.refresh_from_db()
    assert upload.state == "closed"
    assert "never came" in uploads.list_items(upload)[0].reason


def test_zips_whose_message_was_lost_are_woken(reef: Reef, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(queue, "send", lambda *what, **_: sent.append(what))
    archive = archives.accept_zip(
        actor=reef.rosa, upload=reef.upload(), received=inbox.put(pictures.archive({"a.jpg": b"x"}))
    )
    sent.clear()
    assert sweep.wake_workers() == 1
    assert sent == [(archives.TASK, archive.pk)]
