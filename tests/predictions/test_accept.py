"""Taking pictures in, from many senders at once."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connections
from pytest_django import Settings

from tests.pictures import jpeg
from tests.predictions.rows import make_pipeline
from webapp.access.actors import OPERATOR
from webapp.images.keep import ReceivedFile
from webapp.images.models import FacetCount, File, Image, Item, Upload
from webapp.predictions.accept import Accepted, accept_image
from webapp.predictions.models import Prediction
from webapp.versions.models import Activation, Pipeline

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]
SENDERS = 6


@pytest.fixture
def incoming(tmp_path: Path, settings: Settings) -> Path:
    settings.STORE_DIR, settings.INCOMING_DIR = tmp_path / "store", tmp_path / "store" / "incoming"
    settings.INCOMING_DIR.mkdir(parents=True)
    return tmp_path / "store" / "incoming"


def active(slug: str) -> Pipeline:
    pipeline = make_pipeline(slug)
    Activation.objects.create(project=pipeline.project, pipeline=pipeline)
    return pipeline


def received(incoming: Path, name: str, content: bytes) -> ReceivedFile:
    path = incoming / name
    path.write_bytes(content)
    return ReceivedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def test_the_same_bytes_from_many_senders_at_once_are_one_image_in_each_project(incoming: Path) -> None:
    pipelines = [active("reef"), active("shore")]
    uploads = [Upload.objects.create(project=pipeline.project) for pipeline in pipelines]
    content, together = jpeg(16, 16), Barrier(SENDERS)

    def send(number: int) -> Accepted:
        upload = uploads[number % 2]
        item = Item.objects.create(upload=upload, path=f"{number}.jpg")
        file = received(incoming, f"in-{number}", content)
        together.wait()
        try:
            return accept_image(
                actor=OPERATOR, project=upload.project, received=file, upload=upload, name=item.path, item=item
            )
        finally:
            connections.close_all()

    with ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(send, range(SENDERS)))
    assert sorted(answer.state for answer in answers) == ["duplicate"] * (SENDERS - 2) + ["new"] * 2
    assert (File.objects.count(), Image.objects.count(), Prediction.objects.count()) == (1, 2, 2)
    assert Item.objects.filter(state=Item.State.RECEIVED).count() == 2
    assert list(FacetCount.objects.filter(facet="all").values_list("count", flat=True)) == [1, 1]


def test_the_name_of_a_picture_is_kept_in_the_one_spelling(incoming: Path) -> None:
    upload = Upload.objects.create(project=active("reef").project)
    file = received(incoming, "in-1", jpeg(16, 16))
    name = "..\\camera 3\\\0a\u202egpj.exe"
    accepted = accept_image(actor=OPERATOR, project=upload.project, received=file, upload=upload, name=name)
    assert Image.objects.get(pk=accepted.image_id).path == "camera 3/\ufffda\ufffdgpj.exe"
