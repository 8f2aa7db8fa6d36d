"""The reef: real pictures in the store, versions that tell colours apart or do not, snapshots to be tested on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from PIL import Image as Picture

from tests.colour_versions import COLOURS, make_colour_version
from tests.training.outcomes import LABELS, outcome
from training.contract import (
    TEST,
    ManifestHead,
    ManifestLabel,
    ManifestLine,
    Measured,
    Outcome,
    Report,
    Speed,
    report_values,
    write_outcomes,
)
from webapp.access.actors import SYSTEM, Actor, Via
from webapp.access.models import Membership, Role, User
from webapp.datasets import manifest
from webapp.datasets.models import Snapshot, SnapshotEntry
from webapp.images.models import File, Image, Upload
from webapp.images.store import ENDINGS
from webapp.projects.create import create_project
from webapp.projects.models import Project
from webapp.runs.comparing.outcomes import keep_outcomes
from webapp.runs.models import Evaluation
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

GREY = ManifestLabel("grey", "nothing but grey", kind="background")
RGB = {"red": (200, 30, 40), "green": (40, 190, 50), "blue": (30, 50, 200)}
NO_RED = (0.3, 0.0, 0.0)
"""The mean of a version that takes red pictures for grey ones."""


@dataclass
class Reef:
    project: Project
    people: dict[str, Actor]
    images: list[Image] = field(default_factory=list)
    truth: dict[int, str] = field(default_factory=dict)
    group: dict[int, str] = field(default_factory=dict)

    def version(self, name: str, *, parent: Version | None = None, **card: Any) -> Version:
        """A published version; the same card gives another folder by its name alone."""
        folder = make_colour_version(Path(settings.DATA_DIR) / f"made-{name}", name=name, **card)
        return publish_folder(actor=SYSTEM, folder=folder, project=self.project, name=name, parent=parent)

    def add(self, groups: int, each: Sequence[str] = COLOURS) -> list[Image]:
        """One picture of each colour in each of so many new groups."""
        upload, _ = Upload.objects.get_or_create(project=self.project)
        made = []
        for number in range(len(self.images), len(self.images) + groups * len(each)):
            colour = each[number % len(each)]
            image = self._image(upload, number, colour)
            self.truth[image.pk], self.group[image.pk] = colour, f"g{number // len(each)}"
            made.append(image)
        self.images += made
        return made

    def _image(self, upload: Upload, number: int, colour: str) -> Image:
        pixels = np.full((24, 24, 3), RGB[colour], np.uint8)
        pixels[number % 24, number // 24 % 24] = 0
        buffer = io.BytesIO()
        Picture.fromarray(pixels).save(buffer, "PNG")
        content = buffer.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"{sha256[:2]}/{sha256[2:4]}/{sha256}{ENDINGS['image/png']}"
        path = Path(settings.STORE_DIR) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        file = File.objects.create(sha256=sha256, size=len(content), storage_key=key, media_type="image/png")
        fields = {"project": self.project, "upload": upload, "file": file, "width": 24, "height": 24}
        return Image.objects.create(path=f"{number}-{colour}.png", **fields)

    def freeze(
        self, name: str, parts: dict[str, Iterable[Image]], *, clusters: dict[int, int] | None = None
    ) -> Snapshot:
        """A snapshot with its manifest in the store and its index in rows."""
        placed = [(image, part) for part, images in parts.items() for image in images]
        lines = [
            ManifestLine(
                image.pk,
                image.file.sha256,
                part,
                path=image.path,
                label=self.truth[image.pk],
                group=self.group[image.pk],
                cluster=(clusters or {}).get(image.pk),
                site_name=f"Site {image.pk % 2}",
                media_type="image/png",
                width=24,
                height=24,
            )
            for image, part in sorted(placed, key=lambda pair: pair[0].pk)
        ]
        head = ManifestHead(project=self.project.slug, seed=0, labels=(*LABELS, GREY), options={"name": name})
        digest = manifest.write(head, lines)
        counts = {"parts": {part: sum(one == part for _, one in placed) for part in parts}}
        key = manifest.key_of(digest)
        snapshot = Snapshot.objects.create(
            project=self.project, name=name, digest=digest, manifest_key=key, counts=counts, leak_report={"total": 0}
        )
        SnapshotEntry.objects.bulk_create(
            SnapshotEntry(snapshot=snapshot, image=image, part=part) for image, part in placed
        )
        return snapshot

    def said(self, snapshot: Snapshot, images: Iterable[Image], wrong: Iterable[Image] = ()) -> list[Outcome]:
        """Right on all images but some, where the next colour is answered."""
        astray = {image.pk for image in wrong}
        found = []
        for image in images:
            truth = self.truth[image.pk]
            answer = COLOURS[(COLOURS.index(truth) + 1) % 3] if image.pk in astray else truth
            sha256 = image.file.sha256
            found.append(outcome(image.pk, truth, answer, group=self.group[image.pk], score=0.8, sha256=sha256))
        return found

    def evaluated(
        self, version: Version, snapshot: Snapshot, outcomes: Sequence[Outcome], part: str = TEST
    ) -> Evaluation:
        """An evaluation as a worker leaves it, without asking a network."""
        folder = Path(settings.DATA_DIR) / f"evaluated-{version.pk}-{snapshot.pk}"
        write_outcomes(folder / f"outcomes-{part}.jsonl.gz", outcomes)
        right = sum(one.is_right for one in outcomes) / len(outcomes)
        report = Report(
            version=version.digest,
            name=version.name,
            snapshot=snapshot.digest,
            part=part,
            images=len(outcomes),
            groups=len({one.group for one in outcomes}),
            labels=(*COLOURS, "grey"),
            metrics={"accuracy": Measured(right)},
            speed=Speed("CPU", "openvino", 32, 100.0, 10.0, 4.0 + version.pk % 3),
            size_bytes=1000 + version.pk,
            architecture="onnx",
            configuration={"learning_rate": 0.001 * version.pk},
        )
        key = keep_outcomes(version, snapshot, folder, part)
        state = Evaluation.State.DONE
        return Evaluation.objects.create(
            version=version, snapshot=snapshot, part=part, state=state, report=report_values(report), outcomes_key=key
        )


def make_reef() -> Reef:
    project = create_project(actor=SYSTEM, name="Reef", labels=["Red", "Green", "Blue"])
    people = {}
    for name, role in (("ada", Role.ADMIN), ("tess", Role.TRAINER), ("vic", Role.VIEWER)):
        user = User.objects.create_user(name)
        Membership.objects.create(user=user, project=project, role=role)
        people[name] = Actor(Via.SESSION, user=user)
    return Reef(project, people)


def a_pair(reef: Reef, groups: int = 12) -> tuple[Version, Version]:
    """Two versions that are evaluated on the snapshot June: the older one is wrong on half of the images."""
    images = reef.add(groups)
    snapshot = reef.freeze("June", {TEST: images})
    old, new = reef.version("Old", mean=NO_RED), reef.version("New")
    reef.evaluated(old, snapshot, reef.said(snapshot, images, wrong=images[: groups * 3 // 2]))
    reef.evaluated(new, snapshot, reef.said(snapshot, images, wrong=images[-2:]))
    return old, new
