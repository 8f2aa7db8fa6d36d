"""The cast of the REST tests, and a project that answers.

Alice runs the project Savanna, Tess trains its models, Cora curates, Ravi reviews, Vera looks on. Olga belongs to
another project, Gus may do anything on the site, and a guest sits at the machine itself.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.utils import timezone

from tests.api.client import Client, with_session, with_token
from tests.pictures import jpeg
from webapp.access.actors import OPERATOR
from webapp.access.models import Membership, Role, User
from webapp.access.tokens import issue_token
from webapp.api import calls
from webapp.images.models import Image, ImageState
from webapp.predictions import answer
from webapp.predictions.models import Prediction, Region
from webapp.projects.create import create_project
from webapp.projects.models import Label, Project
from webapp.versions.activate import activate
from webapp.versions.models import Pipeline, Version
from webapp.versions.pipelines import make_pipeline

ROLES = {"tess": Role.TRAINER, "alice": Role.ADMIN, "cora": Role.CURATOR, "ravi": Role.REVIEWER, "vera": Role.VIEWER}
LABELS = ("Zebra", "Lion", "Gnu")


@dataclass(frozen=True)
class Cast:
    project: Project
    pipeline: Pipeline
    people: dict[str, User]

    def token(self, who: str, *scopes: str, project: Project | None = None) -> Client:
        """A program of somebody's, allowed everything unless scopes are named."""
        _, secret = issue_token(
            actor=OPERATOR,
            user=self.people[who],
            name="test",
            scopes=scopes or ["admin"],
            project_id=project.pk if project else None,
        )
        return with_token(secret)

    def session(self, who: str, *, csrf: bool = True) -> Client:
        return with_session(self.people[who], csrf=csrf)

    def picture(self, seed: int = 1) -> bytes:
        return jpeg(40, 30, seed=seed)

    def image(self, seed: int = 1, *, label: str = "zebra", score: float = 0.9) -> Image:
        """An image that was sent by Ravi and recognised."""
        sent = self.token("ravi").post(f"/api/v1/classify?project={self.project.slug}&wait=0", self.picture(seed))
        assert sent.status in (200, 202), sent.body
        prediction = Prediction.objects.get(image__file__sha256=hashlib.sha256(self.picture(seed)).hexdigest())
        settle(prediction, label=label, score=score)
        return prediction.image


def settle(prediction: Prediction, *, label: str = "zebra", score: float = 0.9) -> None:
    """What a worker writes when the network has answered."""
    row = Label.objects.get(project=prediction.pipeline.project, key=label)
    keys = [name.lower() for name in LABELS]
    rest = (1 - score) / (len(keys) - 1)
    scores = struct.pack(f"<{len(keys)}e", *(score if key == label else rest for key in keys))
    Region.objects.update_or_create(
        prediction=prediction, position=0, defaults={"label": row, "label_key": label, "score": score, "scores": scores}
    )
    said = {"label": row, "label_key": label, "score": score, "counts": {label: 1}}
    Prediction.objects.filter(pk=prediction.pk).update(state="done", done_at=timezone.now(), **said)
    ImageState.objects.filter(pk=prediction.image_id).update(
        label=row, machine_label=row, score=score, source=ImageState.Source.MACHINE
    )


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    calls._uploads.clear()
    calls._projects.clear()
    answer._words.clear()
    settings.INCOMING_DIR.mkdir(parents=True, exist_ok=True)
    project = create_project(actor=OPERATOR, name="Savanna", slug="savanna", labels=LABELS)
    create_project(actor=OPERATOR, name="Reef", slug="reef", labels=["Cod"])
    people = {name: User.objects.create_user(name, password=None) for name in (*ROLES, "olga")}
    people["gus"] = User.objects.create_superuser("gus", password=None)
    for name, role in ROLES.items():
        Membership.objects.create(user=people[name], project=project, role=role)
    Membership.objects.create(user=people["olga"], project=Project.objects.get(slug="reef"), role=Role.ADMIN)
    version = Version.objects.create(
        project=project,
        name="first",
        role=Version.Role.CLASSIFIER,
        digest=hashlib.sha256(b"first").hexdigest(),
        card={},
    )
    Version.objects.filter(pk=version.pk).update(card={"labels": [{"key": name.lower()} for name in LABELS]})
    pipeline = make_pipeline(project=project, classifier=version)
    activate(actor=OPERATOR, project=project, pipeline=pipeline)
    return Cast(project, pipeline, people)


@pytest.fixture
def open_mode(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cast:
    """The site as `./osprey up` runs it on loopback, with Savanna open to guests."""
    monkeypatch.setattr(settings, "OPEN_MODE", True)
    Project.objects.filter(pk=cast.project.pk).update(open_to_guests=True)
    return cast
