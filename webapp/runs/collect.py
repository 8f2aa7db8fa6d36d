"""What comes out of a run: its model folder becomes a version that is not in use yet, its report an evaluation."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from django.conf import settings
from django.db import transaction

from training.contract import TEST, VALIDATION, ReportError, read_report, report_values
from webapp import leases
from webapp.access import audit
from webapp.access.actors import Actor, Via
from webapp.errors import Invalid
from webapp.runs import folder as folders
from webapp.runs.models import Evaluation, Run
from webapp.versions.models import Version
from webapp.versions.publish import publish_folder

OUTCOMES = "outcomes"
PARTS = (TEST, VALIDATION)
NAME_LENGTH = 120


def collect(run: Run, folder: Path) -> Version:
    """Publish, keep the report and its outcomes, and end the run as done. Repeated, it comes to the same."""
    actor = Actor(Via.SYSTEM, user=run.started_by)
    version = publish_folder(
        actor=actor,
        folder=folder / folders.MODEL,
        project=run.project,
        parent=run.start_version,
        name=_name(run),
        share_files=True,
    )
    reports = {part: values for part in PARTS if (values := _report(folder, part))}
    kept = {part: _keep_outcomes(run, version, folder, part) for part in reports}
    with transaction.atomic():
        leases.end(run, Run.State.DONE, version=version, code="", reason="")
        for part, values in reports.items():
            said = {"report": values, "outcomes_key": kept[part]}
            Evaluation.objects.update_or_create(version=version, snapshot=run.snapshot, part=part, defaults=said)
        audit.record(
            actor=actor,
            action="train",
            project_id=run.project_id,
            subject=f"run:{run.pk}",
            version=version.name,
            digest=version.digest,
            snapshot=run.snapshot.name,
        )
    return version


def _name(run: Run) -> str:
    """As it was asked for, or what it is: of which snapshot, by which recipe."""
    asked = run.config.get("name")
    return str(asked or f"{run.snapshot.name}, {run.recipe} {run.pk}")[:NAME_LENGTH]


def _report(folder: Path, part: str) -> dict[str, object]:
    """The report on one part; nothing where the snapshot has none."""
    path = folder / folders.report_name(part)
    if not path.exists():
        return {}
    try:
        report = report_values(read_report(path))
    except ReportError as error:
        raise Invalid(str(error), code="report-unreadable") from error
    # What is no number has no word in JSON, and PostgreSQL takes none of it.
    cleaned: dict[str, object] = json.loads(json.dumps(report), parse_constant=lambda word: None)
    return cleaned


def _keep_outcomes(run: Run, version: Version, folder: Path, part: str) -> str:
    """Per-image outcomes go to the store, where comparisons of any machine find them."""
    source = folder / folders.outcomes_name(part)
    if not source.exists():
        return ""
    key = f"{OUTCOMES}/{version.digest}-{run.snapshot.digest}-{part}.jsonl.gz"
    target = Path(settings.STORE_DIR) / key
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, beside)
    beside.replace(target)
    return key
