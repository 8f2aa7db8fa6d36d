"""What comes out of a run: its model folder becomes a version that is not in use yet, its report an evaluation."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction
from django.db.models.functions import Now

from training.contract import TEST, VALIDATION
from webapp import leases
from webapp.access.actors import Actor, Via
from webapp.runs import folder as folders
from webapp.runs.comparing.outcomes import keep_outcomes, read_report_values
from webapp.runs.models import Evaluation, Run
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

PARTS = (TEST, VALIDATION)
NAME_LENGTH = 120


def collect(run: Run, folder: Path) -> Version:
    """Publish, and keep the report with its outcomes. Repeated, it comes to the same; the run goes on to its gate."""
    version = publish_folder(
        actor=Actor(Via.SYSTEM, user=run.started_by),
        folder=folder / folders.MODEL,
        project=run.project,
        # The best of a sweep may have begun elsewhere: its card knows.
        parent=run.start_version if run.recipe != "sweep" else None,
        name=_name(run),
        share_files=True,
    )
    _publish_variants(run, version, folder)
    _keep_reports(run, version, folder)
    return version


def _publish_variants(run: Run, version: Version, folder: Path) -> None:
    """The lighter forms that were asked for: versions of their own, children of the one they were made of."""
    root = folder / folders.VARIANTS
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        publish_folder(
            actor=Actor(Via.SYSTEM, user=run.started_by),
            folder=path,
            project=run.project,
            parent=version,
            name=f"{version.name[: NAME_LENGTH - 10]}, {path.name}",
            share_files=True,
        )


def _keep_reports(run: Run, version: Version, folder: Path) -> None:
    """The reports that came with the model, as evaluations, before anybody compares; only while the run is ours."""
    reports = {part: values for part in PARTS if (values := read_report_values(folder, part))}
    kept = {part: keep_outcomes(version, run.snapshot, folder, part) for part in reports}
    with transaction.atomic():
        leases.renew(run)
        for part, values in reports.items():
            said = {"report": values, "outcomes_key": kept[part], "state": Evaluation.State.DONE, "done_at": Now()}
            Evaluation.objects.update_or_create(version=version, snapshot=run.snapshot, part=part, defaults=said)


def _name(run: Run) -> str:
    """As it was asked for, or what it is: of which snapshot, by which recipe."""
    asked = run.config.get("name")
    return str(asked or f"{run.snapshot.name}, {run.recipe} {run.pk}")[:NAME_LENGTH]
