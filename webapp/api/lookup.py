"""Rows by the ids of an address, for those who may see them; for anybody else they are not there."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import NotFound
from webapp.images.models import Image
from webapp.predictions.models import Prediction
from webapp.projects.find import visible_projects
from webapp.projects.models import Individual, Project, Site
from webapp.versions.models import Pipeline, Version


def image_for(actor: Actor, pk: int, action: Action = Action.VIEW_IMAGES) -> Image:
    rows = Image.objects.select_related(
        "project", "file", "upload", "site", "visit", "sequence", "state__label", "state__machine_label"
    )
    image = rows.filter(pk=pk).first()
    if image is None or not allowed(actor, Action.VIEW_IMAGES, image.project):
        raise NotFound(f"There is no image {pk} that you may see.")
    require(actor, action, image.project)
    return image


def prediction_for(actor: Actor, pk: int, action: Action = Action.VIEW_IMAGES) -> Prediction:
    prediction = Prediction.objects.select_related("image__project").filter(pk=pk).first()
    if prediction is None or not allowed(actor, Action.VIEW_IMAGES, prediction.image.project):
        raise NotFound(f"There is no prediction {pk} that you may see.")
    require(actor, action, prediction.image.project)
    return prediction


def version_for(actor: Actor, pk: int) -> Version:
    version = Version.objects.select_related("project").filter(pk=pk).first()
    seen = visible_projects(actor)
    if version is None or not (seen.filter(pk=version.project_id) if version.project_id else seen).exists():
        raise NotFound(f"There is no version {pk} that you may see.")
    if version.project is not None:
        require(actor, Action.VIEW_VERSIONS, version.project)
    return version


def version_of(actor: Actor, pk: int | None) -> Version | None:
    return version_for(actor, pk) if pk is not None else None


def pipeline_of(project: Project, digest: str) -> Pipeline:
    """By its digest, or the beginning of it where that is clear."""
    found = list(Pipeline.objects.filter(project=project, digest__startswith=digest)[:2]) if digest else []
    if len(found) != 1:
        why = "several pipelines whose ids begin" if found else "no pipeline whose id begins"
        raise NotFound(f"The project {project.slug} has {why} with {digest!r}.")
    return found[0]


def site_of(project: Project, uid: UUID | None) -> Site | None:
    if uid is None:
        return None
    site = Site.objects.filter(project=project, uid=uid).first()
    if site is None:
        raise NotFound(f"The project {project.slug} has no site {uid}.")
    return site


def individuals_of(project: Project, uids: Iterable[UUID]) -> dict[UUID, Individual]:
    wanted = set(uids)
    if not wanted:
        return {}
    found = {one.uid: one for one in Individual.objects.filter(project=project, uid__in=wanted)}
    for uid in wanted - set(found):
        raise NotFound(f"The project {project.slug} has no individual {uid}.")
    return found
