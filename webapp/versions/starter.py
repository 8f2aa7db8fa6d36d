"""The first projects, each with the starter version that answers in it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import transaction

from classifier.card import read_card
from classifier.starter import StarterVersion, make_starter
from webapp.access.actors import SYSTEM
from webapp.projects.create import create_project
from webapp.projects.labels import ensure_labels
from webapp.projects.models import Project
from webapp.projects.templates import UNKNOWN
from webapp.versions.activate import activate, newest_activation
from webapp.versions.models import Pipeline, Version
from webapp.versions.pipelines import make_pipeline, versions_of
from webapp.versions.publish import publish_folder

SOURCE = "starter"
CHATTY = ("onnx_ir", "onnxscript")


def install_starter(say: Callable[[str], None]) -> None:
    """Make the starter versions and put each in its project. Killed half-way, it goes on where it was."""
    workshop = Path(settings.DATA_DIR) / "cache" / SOURCE
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    say("making the starter versions (once, some seconds)")
    for starter in make_starter(workshop):
        version = place(starter)
        say(f"project {starter.project_name}: {version.name} is ready")
    shutil.rmtree(workshop)


@transaction.atomic
def place(starter: StarterVersion) -> Version:
    """One starter: its project, labels, version, pipeline; active where nobody has chosen otherwise."""
    project = _project(starter)
    version = publish_folder(actor=SYSTEM, folder=starter.folder, project=project, is_starter=True, share_files=True)
    card = read_card(starter.folder)
    ensure_labels(project=project, labels=[*card.labels, *card.ancestors, UNKNOWN])
    pipeline = make_pipeline(project=project, classifier=version)
    newest = newest_activation(project)
    if newest is None or (newest.pipeline != pipeline and _is_ours(newest.by_id, newest.pipeline)):
        activate(actor=SYSTEM, project=project, pipeline=pipeline, note="starter version")
    return version


def _is_ours(by_id: int | None, pipeline: Pipeline | None) -> bool:
    """Whether a start of the site activated an older starter here: then the newer one may follow it."""
    return by_id is None and pipeline is not None and all(version.is_starter for version in versions_of(pipeline))


def _project(starter: StarterVersion) -> Project:
    project = Project.objects.filter(slug=starter.slug).first()
    if project is not None:
        return project
    project = create_project(
        actor=SYSTEM, name=starter.project_name, slug=starter.slug, labels=(), template_labels=False
    )
    project.notice = starter.notice
    project.open_to_guests = True
    project.save(update_fields=["notice", "open_to_guests"])
    return project
