"""Pipelines: which versions answer together, known by a digest of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from classifier.registry import Active
from webapp.errors import Conflict, Invalid
from webapp.projects.models import Project
from webapp.versions.models import Pipeline, Version

ROLES = ("detector", "classifier", "identifier", "external")


def make_pipeline(
    *,
    project: Project,
    classifier: Version | None = None,
    detector: Version | None = None,
    identifier: Version | None = None,
    external: Version | None = None,
    thresholds: Mapping[str, float] | None = None,
    crop_margin: float = 0.0,
    whole_image_when_nothing_found: bool = True,
) -> Pipeline:
    """The pipeline of exactly these parts and settings: the one there is, or a new one."""
    parts = {"detector": detector, "classifier": classifier, "identifier": identifier, "external": external}
    for role, version in parts.items():
        if version is not None:
            _check(project, role, version)
    if not any(parts.values()):
        raise Invalid("A pipeline needs at least one version.")
    if not 0 <= crop_margin <= 1:
        raise Invalid(f"crop_margin is a share of the box from 0 to 1, not {crop_margin}.")
    digest = _digest(
        {
            "project": str(project.uid),
            **{role: version.digest if version else None for role, version in parts.items()},
            "thresholds": {name: float(value) for name, value in (thresholds or {}).items()},
            "crop_margin": float(crop_margin),
            "whole_image_when_nothing_found": whole_image_when_nothing_found,
        }
    )
    fields = {
        **parts,
        "thresholds": dict(thresholds or {}),
        "crop_margin": crop_margin,
        "whole_image_when_nothing_found": whole_image_when_nothing_found,
    }
    try:
        with transaction.atomic():
            pipeline, _ = Pipeline.objects.get_or_create(project=project, digest=digest, defaults=fields)
    except IntegrityError:
        pipeline = Pipeline.objects.get(project=project, digest=digest)
    return pipeline


def _check(project: Project, role: str, version: Version) -> None:
    if version.role != role:
        raise Invalid(f"{version.name} is a {version.role}, not a {role}.")
    if version.project_id not in (None, project.pk):
        raise Invalid(f"{version.name} is a version of another project. Import it into {project.slug} first.")
    if version.broken_at is not None:
        raise Conflict(f"{version.name} cannot be used: {version.broken_reason}", code="version-broken")


def _digest(content: Mapping[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def versions_of(pipeline: Pipeline) -> list[Version]:
    """Its versions, in the order they are asked."""
    return [version for role in ROLES if (version := getattr(pipeline, role)) is not None]


def with_version(project: Project, base: Pipeline | None, version: Version) -> Pipeline:
    """The pipeline `base` (or an empty one) with this version in the place of its role."""
    parts: dict[str, Version | None] = {role: getattr(base, role) if base else None for role in ROLES}
    parts[version.role] = version
    return make_pipeline(
        project=project,
        detector=parts["detector"],
        classifier=parts["classifier"],
        identifier=parts["identifier"],
        external=parts["external"],
        thresholds=base.thresholds if base else {},
        crop_margin=base.crop_margin if base else 0.0,
        whole_image_when_nothing_found=base.whole_image_when_nothing_found if base else True,
    )


def as_active(project: Project, pipeline: Pipeline) -> Active:
    """The same for the command line, which has no database; folders are relative to the data folder if inside."""
    return Active(
        pipeline=pipeline.digest,
        project=project.slug,
        detector=_relative(pipeline.detector),
        classifier=_relative(pipeline.classifier),
        identifier=_relative(pipeline.identifier),
        thresholds=pipeline.thresholds,
        crop_margin=pipeline.crop_margin,
        whole_image_when_nothing_found=pipeline.whole_image_when_nothing_found,
    )


def _relative(version: Version | None) -> str | None:
    if version is None:
        return None
    folder: Path = settings.VERSIONS_DIR / version.digest
    return str(folder.relative_to(settings.DATA_DIR) if folder.is_relative_to(settings.DATA_DIR) else folder)
