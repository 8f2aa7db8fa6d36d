"""Puts a version in use in the place that its role has in the pipeline, with what the gate of its run said."""

from __future__ import annotations

from typing import Any

from webapp.access.actors import Actor
from webapp.errors import Conflict
from webapp.projects.models import Project
from webapp.runs.models import Run
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Activation, Version
from webapp.versions.pipelines import with_version


def put_in_use(*, actor: Actor, project: Project, version: Version, note: str = "") -> Activation:
    """Refused where it answers already, or where something else was activated in between."""
    now = active_pipeline(project)
    pipeline = with_version(project, now, version)
    if pipeline == now:
        raise Conflict(f"{version} answers in {project.slug} already.", code="activated-meanwhile")
    gate = gate_of(version)
    return activate(actor=actor, project=project, pipeline=pipeline, note=note, gate=gate, expected=now)


def gate_of(version: Version) -> dict[str, Any]:
    """What the gate of its run said, if it had one."""
    run = Run.objects.filter(version=version).exclude(gate={}).order_by("-pk").first()
    return dict(run.gate) if run is not None and run.gate.get("why") else {}
