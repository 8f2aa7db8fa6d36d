"""A snapshot is of one moment: what others write while it reads is not in it, and nobody is held up."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from tests.snapshots.conftest import Fjord
from webapp.datasets import gather
from webapp.datasets.freeze_job import request_freeze, run
from webapp.images.models import Image


@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_one_view_of_the_database_while_others_write(fjord: Fjord) -> None:
    fjord.images(2)

    def others_write() -> None:
        fjord.images(1)
        connections.close_all()

    with gather.one_view():
        assert Image.objects.count() == 2
        writer = threading.Thread(target=others_write)
        writer.start()
        writer.join(10)
        assert not writer.is_alive(), "reading holds a writer up"
        assert Image.objects.count() == 2
    assert Image.objects.count() == 3


@pytest.mark.databases
@pytest.mark.django_db(transaction=True)
def test_a_worker_tells_its_progress_and_still_reads_one_view(fjord: Fjord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "BATCH", 4)
    fjord.labelled(20, "cod")
    row = request_freeze(actor=fjord.actor("cora"), project=fjord.project, options={})
    run(row.pk)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("done", "")
    assert row.snapshot and row.snapshot.entries.count() == 20
