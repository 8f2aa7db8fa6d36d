"""The cast of the page tests: one person for each role in Savanna, a stranger, and an admin of the site."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.conf import settings
from django.contrib.auth import hashers
from django.test import Client

from tests.predictions.rows import make_waiting
from webapp.access.actors import OPERATOR
from webapp.access.models import Membership, Role, User
from webapp.images import states
from webapp.images.models import Image, Item, Upload
from webapp.predictions import answer
from webapp.predictions.models import Prediction, Region
from webapp.projects.create import create_project
from webapp.projects.models import Label, Project
from webapp.versions.models import Activation, Pipeline, Version

PASSWORD = "a heron stands still"


@dataclass(frozen=True)
class Cast:
    project: Project
    people: dict[str, User]
    upload: Upload
    image: Image

    def browser(self, who: str) -> Client:
        """Somebody's browser; `nobody` is signed out."""
        client = Client(enforce_csrf_checks=False)
        if who != "nobody":
            client.force_login(self.people[who], backend="django.contrib.auth.backends.ModelBackend")
        return client


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second for each hash is for thieves, not for tests."""
    monkeypatch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
    hashers.get_hashers.cache_clear()


@pytest.fixture
def cast(db: None) -> Cast:
    answer._words.clear()
    project = create_project(actor=OPERATOR, name="Savanna", labels=["Zebra", "Lion"], pictures="camera-trap")
    create_project(actor=OPERATOR, name="Reef", labels=["Cod"])
    people = {role.value: User.objects.create_user(role.value, password=PASSWORD) for role in Role}
    for role in Role:
        Membership.objects.create(user=people[role.value], project=project, role=role)
    people["stranger"] = User.objects.create_user("stranger", password=PASSWORD)
    people["gus"] = User.objects.create_superuser("gus", password=PASSWORD)
    version = Version.objects.create(
        project=project, name="first", role="classifier", digest="1" * 64, card={"labels": [{"key": "zebra"}]}
    )
    pipeline = Pipeline.objects.create(project=project, digest="2" * 64, classifier=version)
    Activation.objects.create(project=project, pipeline=pipeline)
    return Cast(project, people, *_recognised(pipeline))


def _recognised(pipeline: Pipeline) -> tuple[Upload, Image]:
    """One image that was answered `zebra`, one that failed, as items of one upload."""
    done, failed = make_waiting(pipeline, 2)
    zebra = Label.objects.get(project=pipeline.project, key="zebra")
    Region.objects.create(
        prediction=done, label=zebra, label_key="zebra", score=0.4, x=0.1, y=0.2, width=0.3, height=0.4
    )
    Prediction.objects.filter(pk=done.pk).update(state="done", label=zebra, label_key="zebra", score=0.4)
    Prediction.objects.filter(pk=failed.pk).update(state="failed", code="unreadable", reason="It cannot be read.")
    states.after_prediction(
        {done.image_id: states.MachineSays(zebra.pk, 0.4), failed.image_id: states.MachineSays(failure="unreadable")},
        measured={},
    )
    Item.objects.filter(image=done.image).update(state="done")
    Item.objects.filter(image=failed.image).update(state="failed", code="unreadable", reason="It cannot be read.")
    return done.image.upload, done.image


@pytest.fixture
def open_mode(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setattr(settings, "OPEN_MODE", True)
    Project.objects.filter(pk=cast.project.pk).update(open_to_guests=True)
    return cast
