"""The cast of the review tests: Rosa and Sam, who review, Cora, who curates, Vic, who looks, Eve, who may nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest
from django.utils import timezone

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.images import states
from webapp.images.models import FacetCount, File, Image, ImageState, Upload
from webapp.images.recount import true_counts
from webapp.images.states import MachineSays
from webapp.predictions.models import Prediction
from webapp.projects.models import Field, Label, Project
from webapp.versions.models import Pipeline, Version


@dataclass
class Reef:
    """One project with its people, labels and images; made anew for each example of a property test."""

    slug: str = "reef"
    people: dict[str, Actor] = field(default_factory=dict)
    labels: dict[str, Label] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = Project.objects.create(slug=self.slug, name="Reef")
        roles = {"rosa": Role.REVIEWER, "sam": Role.REVIEWER, "cora": Role.CURATOR, "vic": Role.VIEWER, "eve": None}
        for name, role in roles.items():
            user = User.objects.get_or_create(username=name)[0]
            self.people[name] = Actor(Via.SESSION, user=user)
            if role is not None:
                Membership.objects.create(user=user, project=self.project, role=role)
        fish = Label.objects.create(project=self.project, key="fish", name="Fish")
        self.labels["fish"] = fish
        for key in ("cod", "hake"):
            self.labels[key] = Label.objects.create(project=self.project, key=key, name=key.title(), parent=fish)
        self.labels["nothing"] = Label.objects.create(
            project=self.project, key="nothing", name="Nothing", kind=Label.Kind.BACKGROUND
        )
        Field.objects.create(project=self.project, key="sex", name="Sex", kind="choice", choices=["female", "male"])
        Field.objects.create(project=self.project, key="length", name="Length", kind="number")
        version = Version.objects.create(project=self.project, name="v1", role="classifier", digest="a" * 64)
        self.pipelines = [
            Pipeline.objects.create(project=self.project, classifier=version, digest=digit * 64) for digit in "ab"
        ]
        self.upload = Upload.objects.create(project=self.project)

    def actor(self, name: str) -> Actor:
        return self.people[name]

    def image(self, name: str = "1.jpg") -> Image:
        sha256 = hashlib.sha256(f"{self.project.pk}{name}".encode()).hexdigest()
        file = File.objects.create(sha256=sha256, size=1, storage_key=f"x/{sha256}")
        image = Image.objects.create(
            project=self.project, file=file, upload=self.upload, path=name, width=10, height=10
        )
        states.add_state(image)
        return image

    def predict(self, image: Image, key: str | None, score: float = 0.9, pipeline: int = 0) -> Prediction:
        """The machine's live answer, recorded as a worker records it; no key: it failed."""
        values: dict[str, object] = (
            {"state": "failed", "code": "unreadable", "label": None, "score": None}
            if key is None
            else {"state": "done", "code": "", "label": self.labels[key], "label_key": key, "score": score}
        )
        prediction, _ = Prediction.objects.update_or_create(
            image=image, pipeline=self.pipelines[pipeline], defaults={**values, "done_at": timezone.now()}
        )
        said = MachineSays(failure="unreadable") if key is None else MachineSays(self.labels[key].pk, score)
        states.after_prediction({image.pk: said}, measured={})
        return prediction

    def state(self, image: Image) -> ImageState:
        return ImageState.objects.get(pk=image.pk)

    def counts(self) -> dict[tuple[str, str], int]:
        """The stored counts that are not zero."""
        rows = FacetCount.objects.filter(project=self.project).exclude(count=0)
        return {(row.facet, row.value): row.count for row in rows}

    def check_counts(self) -> None:
        assert self.counts() == true_counts(self.project)


@pytest.fixture
def reef(db: None) -> Reef:
    return Reef()
