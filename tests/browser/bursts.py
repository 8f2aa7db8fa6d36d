"""Sequences of tiny pictures with answers, written as rows: what reviewers work on in the browser tests."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta

from django.db import transaction

from tests import pictures
from webapp.access.actors import OPERATOR
from webapp.access.models import Membership, User
from webapp.images import states, store
from webapp.images.models import File, Image, Sequence, Upload
from webapp.predictions.models import Prediction, Region
from webapp.projects.create import create_project
from webapp.projects.labels import add_label
from webapp.projects.models import Field, Label, Project, Site
from webapp.versions.models import Pipeline, Version

KEYS = ("zebra", "donkey", "lion", "giraffe", "warthog", "empty")
TREE = {"Mammal": "", "Horses": "Mammal", "Zebra": "Horses", "Donkey": "Horses", "Lion": "Mammal", "Giraffe": "Mammal"}
FACES = 12
START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)


def make(name: str, *, sequences: int, frames: int = 3, reviewers: tuple[str, ...] = ("rosa",)) -> str:
    """A camera-trap project of that name; gives its slug."""
    with transaction.atomic():
        project = create_project(actor=OPERATOR, name=name, labels=[], pictures="camera-trap")
        for label, parent in TREE.items():
            above = Label.objects.get(project=project, name=parent) if parent else None
            add_label(actor=OPERATOR, project=project, name=label, parent=above)
        add_label(actor=OPERATOR, project=project, name="Warthog", synonyms=["pumba"])
        Field.objects.get_or_create(project=project, key="sex", defaults={"name": "Sex", "choices": ["female", "male"]})
        for username in reviewers:
            user, _ = User.objects.get_or_create(username=username)
            Membership.objects.create(user=user, project=project, role="reviewer")
        _images(project, sequences, frames)
    return project.slug


def _images(project: Project, sequences: int, frames: int) -> None:
    card = {"labels": [{"key": key, "name": key.title()} for key in KEYS]}
    version = Version.objects.create(
        project=project, name="Savanna small", role="classifier", digest=_digest(project.slug), card=card
    )
    pipeline = Pipeline.objects.create(project=project, digest=_digest(project.slug), classifier=version)
    upload = Upload.objects.create(project=project, name="Card 7")
    sites = [Site.objects.create(project=project, name=f"{place} waterhole") for place in ("North", "South")]
    faces = [pictures.jpeg(320, 240, seed=900 + number) for number in range(FACES)]
    images: list[Image] = []
    for number in range(sequences):
        start = START + timedelta(minutes=7 * number)
        burst = Sequence.objects.create(project=project, site=sites[number % 2], start=start)
        for frame in range(frames):
            images.append(_image(upload, burst, number, frame, start + timedelta(seconds=2 * frame), faces))
    states.add_states(images)
    _answer(pipeline, images, frames)


def _image(upload: Upload, burst: Sequence, number: int, frame: int, moment: datetime, faces: list[bytes]) -> Image:
    sha256 = _digest(f"{upload.project.slug}-{number}-{frame}")
    face = faces[(number * 5 + frame // 2) % FACES]
    for side in (256, 1024):
        store.write_derived(sha256, f"{side}.jpg", face)
    file = File.objects.create(sha256=sha256, size=len(face), media_type="image/jpeg", storage_key=f"x/{sha256}.jpg")
    return Image.objects.create(
        project=upload.project,
        file=file,
        upload=upload,
        path=f"DCIM/{100 + number // 50}/IMG_{number:04}_{frame}.JPG",
        site=burst.site,
        sequence=burst,
        width=320,
        height=240,
        captured_at=f"{moment:%Y-%m-%dT%H:%M:%S}",
        captured_at_utc=moment,
        measured_at=START,
    )


def _answer(pipeline: Pipeline, images: list[Image], frames: int) -> None:
    labels = {label.key: label for label in Label.objects.filter(project=pipeline.project)}
    said: dict[int, states.MachineSays] = {}
    for place, image in enumerate(images):
        number = place // frames
        key = KEYS[number % len(KEYS)]
        score = 0.35 + 0.6 * ((number * 37) % 100) / 100 - 0.02 * (place % frames)
        rest = (1 - score) / (len(KEYS) - 1)
        prediction = Prediction.objects.create(
            image=image, pipeline=pipeline, state="done", label=labels[key], label_key=key, score=score, done_at=START
        )
        box = {} if key == "empty" else {"x": 0.3, "y": 0.35, "width": 0.35, "height": 0.4}
        Region.objects.create(
            prediction=prediction,
            label=labels[key],
            label_key=key,
            score=score,
            scores=struct.pack(f"<{len(KEYS)}e", *[score if one == key else rest for one in KEYS]),
            **box,
        )
        said[image.pk] = states.MachineSays(labels[key].pk, score)
    states.after_prediction(said, measured={})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
