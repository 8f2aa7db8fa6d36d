"""Trials: how long a run would take on this machine, from a few real steps of it, or from what was measured before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from webapp import leases, queue
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.datasets.models import Snapshot
from webapp.errors import Conflict, NotFound
from webapp.projects.models import Project
from webapp.runs.candidates.workload import estimated, takes_as_long
from webapp.runs.models import Trial
from webapp.runs.queue import TASK
from webapp.runs.start import check_choices, check_settings, check_snapshot, start_version
from webapp.versions.models import Version

MOST_WAITING = 5
REMEMBERED = timedelta(days=30)
MEASURED_BEFORE = "Measured before."
JOINED = ("project", "snapshot__project", "start_version", "by")


def start_trial(
    *,
    actor: Actor,
    project: Project,
    snapshot: Snapshot,
    recipe: str = "head",
    config: Mapping[str, Any] | None = None,
    model: Version | None = None,
) -> Trial:
    """A trial that is done already where the same was measured here before, else one that a train worker carries out.

    One that waits for the same is not asked for twice.
    """
    require(actor, Action.TRAIN, project)
    settings = dict(config or {})
    check_snapshot(project, snapshot)
    check_choices(recipe)
    version = start_version(project, model, settings)
    check_settings(actor, recipe, settings, version)
    trial = Trial(
        project=project, snapshot=snapshot, start_version=version, recipe=recipe, config=settings, by=actor.user
    )
    known = _measured_before(trial)
    if known is not None:
        trial.state, trial.device, trial.done_at = Trial.State.DONE, known.device, timezone.now()
        trial.result, trial.reason = estimated(trial, known.result), MEASURED_BEFORE
        if trial.result:
            trial.save()
            return trial
    under_way = Trial.objects.filter(project=project, snapshot=snapshot, state__in=leases.UNDER_WAY)
    same = next((one for one in under_way.select_related(*JOINED) if takes_as_long(one, trial)), None)
    return same or _wait(trial)


def _wait(trial: Trial) -> Trial:
    if Trial.objects.filter(project=trial.project, state__in=leases.UNDER_WAY).count() >= MOST_WAITING:
        raise Conflict("Several trials of this project wait for the device already: wait for one of them.")
    trial.state, trial.reason, trial.done_at = Trial.State.WAITING, "", None
    with transaction.atomic():
        trial.save()
        queue.send(TASK, queue="train")
    return trial


def known_estimate(project: Project, snapshot: Snapshot, recipe: str, model: Version | None) -> dict[str, Any] | None:
    """What a page can say at once: nothing is measured, and no row is written."""
    trial = Trial(project=project, snapshot=snapshot, start_version=model, recipe=recipe, config={})
    known = _measured_before(trial)
    return (estimated(trial, known.result) or None) if known is not None else None


def trial_by_uid(actor: Actor, uid: UUID | str) -> Trial:
    trial = Trial.objects.select_related(*JOINED).filter(uid=uid).first()
    if trial is None or not allowed(actor, Action.VIEW_PROJECT, trial.project):
        raise NotFound(f"There is no trial {uid} that you may see.")
    require(actor, Action.VIEW_RUNS, trial.project)
    return trial


def to_do() -> QuerySet[Trial]:
    """Trials that nobody is at work on, oldest first."""
    return leases.free(Trial.objects.all())


def _measured_before(trial: Trial) -> Trial | None:
    """The newest real measurement of the same network and recipe, by whatever worker there is."""
    rows = Trial.objects.filter(state=Trial.State.DONE, reason="", recipe=trial.recipe)
    recent = rows.filter(done_at__gt=Now() - REMEMBERED).select_related("start_version").order_by("-pk")[:50]
    return next((one for one in recent if takes_as_long(one, trial)), None)
