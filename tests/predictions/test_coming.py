"""A picture that somebody waits for is decoded while its rows are being written, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from pytest_django import Settings

from classifier.images import decode
from classifier.types import Decoded
from tests.pictures import jpeg
from tests.predictions.rows import send
from webapp import queue
from webapp.images.keep import ReceivedFile
from webapp.images.models import Image
from webapp.predictions import coming, look
from webapp.predictions.drain import Drainer
from webapp.predictions.look import Kept
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project

pytestmark = [pytest.mark.django_db, pytest.mark.databases, pytest.mark.usefixtures("heard")]


@pytest.fixture
def worker(colours: Project, settings: Settings) -> Iterator[Drainer]:
    """One that has seen pictures of the project."""
    send(colours, settings, 1)
    drainer = Drainer("w")
    assert drainer.drain() == 1
    yield drainer
    drainer.close()


def decodes_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded for a claimed row."""
    decoded: list[str] = []

    def noted(path: Path, **words: int) -> Decoded:
        decoded.append(path.name)
        return decode(path, **words)

    monkeypatch.setattr(look, "decode", noted)
    return decoded


def test_a_call_is_announced_before_its_rows_and_its_decode_is_the_only_one(
    colours: Project, settings: Settings, worker: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = decodes_of(monkeypatch)
    send(colours, settings, 2, Priority.CALL)
    assert not queue.wait_for_nudge("gpu", 0.2, heed=worker._heed), "the row is not committed in a test"
    assert len(worker._kept) == 1
    assert worker.drain() == 1
    assert decoded == []
    assert Prediction.objects.filter(state="done").count() == 2
    assert Image.objects.filter(measured_at=None).count() == 0


def test_what_nobody_waits_for_is_not_announced(colours: Project, settings: Settings, worker: Drainer) -> None:
    send(colours, settings, 2, Priority.BULK)
    assert not queue.wait_for_nudge("gpu", 0.05, heed=lambda said: pytest.fail(said))


def test_bytes_that_are_in_the_store_are_not_announced(colours: Project, settings: Settings, worker: Drainer) -> None:
    send(colours, settings, 1, Priority.CALL)
    assert not queue.wait_for_nudge("gpu", 0.05, heed=lambda said: pytest.fail(said))


def test_a_picture_that_never_came_leaves_the_reason_to_who_asks(
    colours: Project, settings: Settings, worker: Drainer
) -> None:
    accepted = send(colours, settings, 2, Priority.CALL)
    image = Image.objects.select_related("file").get(pk=accepted.image_id)
    (settings.STORE_DIR / image.file.storage_key).unlink()
    assert not queue.wait_for_nudge("gpu", 0.2, heed=worker._heed)
    assert worker.drain() == 1
    assert Prediction.objects.get(pk=accepted.prediction_id).code == "original-missing"


def test_of_a_project_never_seen_nothing_is_begun(tmp_path: Path, settings: Settings) -> None:
    drainer = Drainer("new")
    received = ReceivedFile(path=tmp_path / "in-1", sha256="ab" * 32, size=3)
    coming.announce(project_id=7, received=received, key="ab/ab/nothing.jpg")
    assert not queue.wait_for_nudge("gpu", 0.05, heed=drainer._heed)
    assert len(drainer._kept) == 0
    drainer.close()


def test_what_is_being_decoded_is_waited_for_and_a_failure_is_none() -> None:
    kept, good, bad = Kept(), Future[Decoded](), Future[Decoded]()
    kept.keep("a", 256, good)
    kept.keep("b", 256, bad)
    picture = decode(jpeg(40, 30), at_least=256)
    good.set_result(picture)
    bad.set_exception(OSError("gone"))
    assert kept.take("a", 256) is picture
    assert kept.take("b", 256) is None
    assert kept.take("a", 256) is None
