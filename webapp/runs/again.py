"""Repeats the training of a version: the same snapshot, start, settings and seed, from its run or from its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.contract import TEST, VALIDATION, ConfigError, RunConfig, as_values, changed, parse_config
from webapp.datasets.models import Snapshot
from webapp.errors import Invalid
from webapp.projects.models import Project
from webapp.runs.models import Evaluation, Run
from webapp.versions.models import Version

SAID_BESIDE = ("recipe", "start_from", "seed")
OF_THE_MACHINE = ("speed", "name", "version", "size_bytes", "notes")
"""What of a report is not the figures: how quick this machine is, and what the version is called."""


@dataclass(frozen=True)
class Again:
    """What `start_run` takes, and the report that is to come out again."""

    snapshot: Snapshot
    recipe: str
    config: Mapping[str, Any]
    model: Version | None
    report: Mapping[str, Any] | None


def again(project: Project, version: Version) -> Again:
    """How `version` was trained; Invalid where that cannot be known, or what it was made of is gone."""
    run = Run.objects.filter(project=project, version=version).select_related("snapshot", "start_version").first()
    if run is not None:
        config = {**run.config, "seed": run.seed}
        return Again(run.snapshot, run.recipe, config, run.start_version, report_on(version, run.snapshot))
    return _from_card(project, version)


def _from_card(project: Project, version: Version) -> Again:
    told = dict(version.card.get("training_config") or {})
    digest = version.card.get("snapshot", "")
    snapshot = Snapshot.objects.filter(project=project, digest=digest).first() if digest else None
    if not told or snapshot is None:
        raise Invalid(
            f"{version} cannot be trained again here: its card names no settings, or no snapshot of {project.slug}.",
            code="not-repeatable",
        )
    if told.get("image_weights"):
        raise Invalid(f"{version} was trained with weights from a file that is not part of it.", code="not-repeatable")
    try:
        config = changed(parse_config(told, origin="the card"))
    except ConfigError as error:
        raise Invalid(str(error), code="not-repeatable") from error
    model = _start(version, told)
    kept = {name: value for name, value in config.items() if name not in SAID_BESIDE}
    if model is not None:
        kept.pop("start", None)
    seed = {"seed": told.get("seed", 0)}
    return Again(snapshot, told["recipe"], {**kept, **seed}, model, report_on(version, snapshot))


def _start(version: Version, told: Mapping[str, Any]) -> Version | None:
    if told.get("start", "version") not in ("version", "run"):
        return None
    found = Version.objects.filter(digest=told.get("start_from", "")).order_by("pk").first()
    if found is None:
        raise Invalid(
            f"{version} began from {told.get('start_from', '')[:12]}, which is not here: import it first.",
            code="not-repeatable",
        )
    return found


def report_on(version: Version, snapshot: Snapshot) -> Mapping[str, Any] | None:
    rows = Evaluation.objects.filter(version=version, snapshot=snapshot, state=Evaluation.State.DONE)
    found = {row.part: row.report for row in rows}
    return found.get(TEST) or found.get(VALIDATION)


def differing(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str] | None:
    """Names of the parts of a report that did not come out the same; None where one of the two is missing.

    A setting that an older Osprey did not know is none that differs: it was as it is unless somebody says otherwise.
    """
    if not before or not now:
        return None
    before, now = _with_all_settings(before), _with_all_settings(now)
    names = sorted((before.keys() | now.keys()) - set(OF_THE_MACHINE))
    return [name for name in names if before.get(name) != now.get(name)]


def _with_all_settings(report: Mapping[str, Any]) -> Mapping[str, Any]:
    given = report.get("configuration")
    return {**report, "configuration": {**as_values(RunConfig()), **given}} if given else report
