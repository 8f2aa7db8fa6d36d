"""Rows for tests of the work queue: a project, a pipeline whose folder nobody opens, and images that wait."""

from __future__ import annotations

import hashlib

from pytest_django import Settings

from tests.pictures import jpeg
from webapp.access.actors import OPERATOR
from webapp.images import states
from webapp.images.keep import ReceivedFile
from webapp.images.models import File, Image, Item, Upload
from webapp.predictions.accept import Accepted, accept_image
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.versions.models import Pipeline, Version


def make_pipeline(slug: str = "reef") -> Pipeline:
    project, _ = Project.objects.get_or_create(slug=slug, defaults={"name": slug.title()})
    version, _ = Version.objects.get_or_create(
        project=project, digest=hashlib.sha256(slug.encode()).hexdigest(), defaults={"name": "v1", "role": "classifier"}
    )
    return Pipeline.objects.get_or_create(project=project, digest=version.digest, defaults={"classifier": version})[0]


def make_waiting(
    pipeline: Pipeline, count: int, *, priority: Priority = Priority.BULK, start: int = 0
) -> list[Prediction]:
    """Images that wait, each an item of one upload."""
    upload = Upload.objects.create(project=pipeline.project)
    return [_make_one(pipeline, upload, priority, number) for number in range(start, start + count)]


def _make_one(pipeline: Pipeline, upload: Upload, priority: Priority, number: int) -> Prediction:
    digest = hashlib.sha256(f"{upload.pk}-{number}".encode()).hexdigest()
    file = File.objects.create(sha256=digest, size=10, media_type="image/jpeg", storage_key=f"x/{digest}.jpg")
    image = Image.objects.create(project=pipeline.project, file=file, upload=upload, width=4, height=3)
    states.add_state(image)
    Item.objects.create(upload=upload, path=f"{number}.jpg", state=Item.State.RECEIVED, image=image)
    return Prediction.objects.create(image=image, pipeline=pipeline, priority=priority)


def send(project: Project, settings: Settings, seed: int, priority: Priority = Priority.BULK) -> Accepted:
    """A real picture, sent."""
    content = jpeg(40, 30, seed=seed)
    path = settings.INCOMING_DIR / f"in-{seed}"
    path.write_bytes(content)
    received = ReceivedFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    upload = project.uploads.get_or_create(name="drained")[0]
    return accept_image(actor=OPERATOR, project=project, received=received, upload=upload, priority=priority)
