"""The cast of the snapshot tests: Cora, who curates, Ada, who runs the project, Vic, who looks; and many images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from webapp.access.actors import Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.datasets.freeze import freeze
from webapp.datasets.freeze_options import read_options
from webapp.datasets.models import Snapshot
from webapp.images.models import File, Image, ImageState, Upload
from webapp.images.models import Sequence as Burst
from webapp.projects.models import Individual, Label, Project, Site, Visit
from webapp.reviews import standing
from webapp.reviews.models import Annotation, Review


def far_hash(name: str) -> int:
    """A perceptual hash that is far from those of other names, signed as the column is."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@dataclass
class Fjord:
    """One project with people, places and images made in bulk."""

    project: Project
    upload: Upload
    people: dict[str, Actor] = field(default_factory=dict)
    made: int = 0

    def actor(self, name: str) -> Actor:
        return self.people[name]

    def label(self, key: str, **values: Any) -> Label:
        return Label.objects.get_or_create(project=self.project, key=key, defaults={"name": key.title(), **values})[0]

    def site(self, name: str) -> Site:
        return Site.objects.get_or_create(project=self.project, name=name)[0]

    def visit(self, name: str, site: Site | None = None) -> Visit:
        return Visit.objects.get_or_create(project=self.project, name=name, site=site)[0]

    def burst(self) -> Burst:
        return Burst.objects.create(project=self.project)

    def individual(self, name: str) -> Individual:
        return Individual.objects.get_or_create(project=self.project, name=name)[0]

    def images(self, count: int, *, like: Image | None = None, **values: Any) -> list[Image]:
        """Images that are measured already; `like` another: its near-duplicates."""
        names = [f"{self.made + number:06}.jpg" for number in range(count)]
        self.made += count
        shas = [hashlib.sha256(f"{self.project.slug}/{name}".encode()).hexdigest() for name in names]
        files = File.objects.bulk_create([File(sha256=sha, size=1, storage_key=f"x/{sha}") for sha in shas])
        made = Image.objects.bulk_create(
            [
                Image(
                    project=self.project,
                    file=file,
                    path=name,
                    width=40,
                    height=30,
                    measured_at=timezone.now(),
                    perceptual_hash=like.perceptual_hash if like else far_hash(f"{self.project.pk}{name}"),
                    damaged_share=values.get("damaged_share", 0.0),
                    **{"upload": self.upload, **{key: one for key, one in values.items() if key != "damaged_share"}},
                )
                for name, file in zip(names, files, strict=True)
            ]
        )
        ImageState.objects.bulk_create(
            [ImageState(image=image, project=self.project, upload=image.upload, site=image.site) for image in made]
        )
        return made

    def say(
        self,
        images: Sequence[Image],
        key: str | None,
        *,
        how: str = Review.How.BLIND,
        individual: Individual | None = None,
        verdict: str = Review.Verdict.LABELLED,
        by: str = "cora",
        **values: Any,
    ) -> list[Review]:
        """The same verdict on each; no key: zero annotations."""
        reviewer = None if how == Review.How.IMPORTED else self.people[by].user
        reviews = Review.objects.bulk_create(
            [Review(image=image, how=how, verdict=verdict, reviewer=reviewer, **values) for image in images]
        )
        if key is not None:
            label = self.label(key)
            Annotation.objects.bulk_create(
                [Annotation(review=review, label=label, individual=individual) for review in reviews]
            )
        standing.refresh([image.pk for image in images])
        return reviews

    def labelled(self, count: int, key: str, *, how: str = Review.How.BLIND, **values: Any) -> list[Image]:
        individual = values.pop("individual", None)
        made = self.images(count, **values)
        self.say(made, key, how=how, individual=individual)
        return made

    def freeze(self, *, by: str = "ada", parent: Snapshot | None = None, **values: Any) -> Snapshot:
        acts = {key: values.pop(key) for key in ("name", "notes", "sign_leak") if key in values}
        return freeze(actor=self.actor(by), project=self.project, options=read_options(values), parent=parent, **acts)


def parts_of(snapshot: Snapshot) -> dict[int, str]:
    """Image -> part, left-out ones aside."""
    return dict(snapshot.entries.exclude(part="left-out").values_list("image_id", "part"))


@pytest.fixture
def fjord(db: None, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Fjord:
    monkeypatch.setattr(settings, "STORE_DIR", tmp_path / "store")
    monkeypatch.setattr(settings, "INCOMING_DIR", tmp_path / "store" / "incoming")
    project = Project.objects.create(slug="fjord", name="Fjord")
    here = Fjord(project, Upload.objects.create(project=project, name="May"))
    for name, role in {"cora": Role.CURATOR, "ada": Role.ADMIN, "vic": Role.VIEWER, "rosa": Role.REVIEWER}.items():
        user = User.objects.create(username=name)
        Membership.objects.create(user=user, project=project, role=role)
        here.people[name] = Actor(Via.SESSION, user=user)
    return here
