"""What measures the pictures of a project that has no model yet: the starter's network, for its embedding alone."""

from __future__ import annotations

import hashlib

from webapp.versions.models import Pipeline, Version


def measuring_pipeline_id(project_id: int) -> int | None:
    """The project's pipeline for measuring, made at first need; None where the site has no starter version.

    It borrows the starter of another project: it gives no answers, so its labels need not be this project's.
    """
    starter = (
        Version.objects.filter(is_starter=True, role=Version.Role.CLASSIFIER, broken_at=None)
        .order_by("pk")
        .values_list("pk", "digest")
        .first()
    )
    if starter is None:
        return None
    version_id, folder = starter
    digest = hashlib.sha256(f"measures {project_id} {folder}".encode()).hexdigest()
    pipeline, _ = Pipeline.objects.get_or_create(
        project_id=project_id, digest=digest, defaults={"classifier_id": version_id}
    )
    return pipeline.pk
