"""Rows for tests of the analyses: images with labels, sites, hashes and embeddings, without a picture behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from webapp.access.actors import OPERATOR
from webapp.images.models import FacetCount, File, Image, ImageState, Upload
from webapp.images.recount import recount
from webapp.predictions.models import Embedding
from webapp.projects.create import create_project
from webapp.projects.models import Label, Project, Site
from webapp.versions.models import Version

SPACE = "tests"


def make_project(name: str = "Reef") -> Project:
    return create_project(actor=OPERATOR, name=name, template_labels=False)


def add_images(
    project: Project,
    labels: Sequence[str],
    *,
    vectors: NDArray[np.floating] | None = None,
    hashes: Sequence[int] | None = None,
    sites: Sequence[str] | None = None,
    parts: Sequence[str] | None = None,
) -> list[int]:
    """One image for each label ('': nobody has looked). Returns their ids, in that order."""
    start = Image.objects.count()
    upload = Upload.objects.get_or_create(project=project, name="set")[0]
    random = np.random.default_rng(start)
    digests = [hashlib.sha256(f"{project.pk}-{start + n}".encode()).hexdigest() for n in range(len(labels))]
    files = File.objects.bulk_create([File(sha256=one, size=1, storage_key=f"x/{one}") for one in digests])
    places = {name: Site.objects.get_or_create(project=project, name=name)[0] for name in set(sites or ()) if name}
    site_of = [places.get(name) for name in sites] if sites else [None] * len(labels)
    hashed = hashes if hashes is not None else random.integers(-(2**63), 2**63 - 1, len(labels)).tolist()
    images = Image.objects.bulk_create(
        [
            Image(
                project=project,
                upload=upload,
                file=file,
                path=f"{start + n}.jpg",
                part=parts[n] if parts else "",
                site=site_of[n],
                width=400,
                height=300,
                measured_at=timezone.now(),
                perceptual_hash=hashed[n],
                brightness=0.5,
                contrast=0.5,
                sharpness=1.0,
            )
            for n, file in enumerate(files)
        ]
    )
    known = {label.key: label for label in Label.objects.filter(project=project)}
    rows = {name: known.get(name.lower()) or _label(project, name) for name in set(labels) if name}
    ImageState.objects.bulk_create(
        [
            ImageState(
                image=image,
                project=project,
                upload=upload,
                site=image.site,
                label=rows.get(label),
                source="human" if label else "none",
                review_state="reviewed" if label else "unreviewed",
            )
            for image, label in zip(images, labels, strict=True)
        ]
    )
    if vectors is not None:
        add_vectors(project, [image.pk for image in images], vectors)
    recount(project)
    return [image.pk for image in images]


def _label(project: Project, name: str) -> Label:
    return Label.objects.get_or_create(project=project, key=name.lower(), defaults={"name": name})[0]


def add_vectors(project: Project, ids: Sequence[int], vectors: NDArray[np.floating]) -> None:
    version = Version.objects.get_or_create(project=project, digest="e" * 64, role="classifier", name="v")[0]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    Embedding.objects.bulk_create(
        [
            Embedding(image_id=image_id, version=version, space=SPACE, vector=row.astype("<f2").tobytes())
            for image_id, row in zip(ids, unit, strict=True)
        ]
    )


def around(centre: int, count: int, *, seed: int = 0, width: int = 64, spread: float = 0.1) -> NDArray[np.float64]:
    """Vectors near one of some centres that are far from each other."""
    middle = np.random.default_rng(1000 + centre).normal(size=width)
    middle /= np.linalg.norm(middle)
    return middle + np.random.default_rng([centre, seed]).normal(size=(count, width)) * spread


def count_of(project: Project) -> int:
    return FacetCount.objects.get(project=project, facet="all", value="").count
