"""Starts a training run: checked as a whole, written down, and given to a train worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from training.contract import TRAIN, ConfigError, parse_config
from webapp import queue
from webapp.access import audit
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.datasets.models import Snapshot
from webapp.errors import Conflict, Invalid
from webapp.projects.models import Project
from webapp.runs.candidates.gate import read_rule, rule_values
from webapp.runs.models import Plan, Run
from webapp.runs.queue import NOW, TASK, TONIGHT, WHENS, tonight
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Version

RECIPES = ("head", "fine-tune", "two-stage", "sweep")
MOST_WAITING = 20
FEWEST_LABELS = 2
FILES = ("start_from", "image_weights")
"""Settings that name files of this machine: for its operator alone."""


def start_run(
    *,
    actor: Actor,
    project: Project,
    snapshot: Snapshot,
    recipe: str = "head",
    config: Mapping[str, Any] | None = None,
    model: Version | None = None,
    when: str = NOW,
    gate: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    here: bool = False,
) -> Run:
    """A run on a snapshot, from `model` (without it: from what answers now, else from the starter).

    `config` holds settings of `training.contract.RunConfig`. `gate` is a rule (`candidates.gate`) that what comes out
    has to meet; without one it is always let through. `here`: the caller carries it out himself.
    """
    require(actor, Action.TRAIN, project)
    settings = dict(config or {})
    check_snapshot(project, snapshot)
    check_choices(recipe, when)
    version = start_version(project, model, settings)
    seed = check_settings(actor, recipe, settings, version)
    rule = {"rule": rule_values(read_rule(gate))} if gate else {}
    if Run.objects.filter(project=project, state=Run.State.WAITING).count() >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} runs of this project wait already: cancel some of them first.")
    with transaction.atomic():
        run = Run.objects.create(
            project=project,
            snapshot=snapshot,
            recipe=recipe,
            config={name: value for name, value in settings.items() if name != "seed"},
            seed=seed,
            start_version=version,
            when=when,
            not_before=tonight(actor.user.time_zone if actor.user else "") if when == TONIGHT else None,
            gate=rule,
            plan=plan,
            started_by=actor.user,
        )
        audit.record(
            actor=actor,
            action="start training",
            project_id=project.pk,
            subject=f"run:{run.pk}",
            snapshot=snapshot.name,
            recipe=recipe,
            config=run.config,
            start=version.name if version else settings.get("start", ""),
            **({"plan": plan.name} if plan else {}),
        )
        if not here:
            queue.send(TASK, queue="train")
    return run


def check_snapshot(project: Project, snapshot: Snapshot) -> None:
    if snapshot.project_id != project.pk:
        raise Invalid(f"{snapshot} is a snapshot of another project.")
    if not snapshot.counts.get("parts", {}).get(TRAIN):
        raise Invalid(f"{snapshot} has no image to train on: freeze one with a train part.", code="nothing-to-train-on")
    if snapshot.counts.get("class_by") == "label":
        by_label: Mapping[str, Mapping[str, int]] = snapshot.counts.get("labels", {})
        there = [key for key, parts in by_label.items() if key and parts.get(TRAIN)]
        if len(there) < FEWEST_LABELS:
            only = f"Its train part has the label {there[0]} alone" if there else "Its train part has no label"
            raise Invalid(
                f"{snapshot} has nothing to tell apart. {only}: label pictures of something else too, or of what is "
                "none of these, and freeze again.",
                code="one-label",
            )


def check_choices(recipe: str, when: str = NOW) -> None:
    if recipe not in RECIPES:
        raise Invalid(f"There is no recipe {recipe!r}. There are: {', '.join(RECIPES)}.", code="no-such-recipe")
    if when not in WHENS:
        raise Invalid(f"When? {when!r} is none of {', '.join(WHENS)}.")


def start_version(project: Project, model: Version | None, settings: Mapping[str, Any]) -> Version | None:
    """Where it begins; None where the settings ask for pretrained weights, or for nothing."""
    if settings.get("start", "version") not in ("version", "run"):
        if model is not None:
            raise Invalid(f"Start from {model}, or with start={settings['start']}: not both.")
        return None
    version = model or default_start(project)
    if version is None:
        raise Invalid(
            "There is no model to start from. Name one, or add one: ./osprey models add resnet18", code="no-model"
        )
    if version.role != Version.Role.CLASSIFIER:
        raise Invalid(f"{version} is a {version.get_role_display()}; training starts from a classifier.")
    if version.project_id not in (None, project.pk) and not version.is_starter:
        raise Invalid(f"{version} is a version of another project. Import it into {project.slug} first.")
    if version.broken_at is not None:
        raise Conflict(f"{version} cannot be used: {version.broken_reason}", code="version-broken")
    return version


def default_start(project: Project) -> Version | None:
    """What answers in the project now, else the starter, whose embeddings a project without a model has."""
    live = active_pipeline(project)
    if live is not None and live.classifier is not None:
        return live.classifier
    return starter_for(project)


def starter_for(project: Project) -> Version | None:
    """The project's own, else the first one: they share one network."""
    starters = Version.objects.filter(is_starter=True, role=Version.Role.CLASSIFIER, broken_at=None)
    return starters.filter(project=project).first() or starters.order_by("pk").first()


def check_settings(actor: Actor, recipe: str, settings: Mapping[str, Any], version: Version | None) -> int:
    """The seed, once all settings fit together."""
    if "recipe" in settings or (version is not None and "start_from" in settings):
        raise Invalid("Recipe and model are said beside the settings, not among them.", code="bad-setting")
    named = [name for name in FILES if name in settings]
    if named and not actor.is_trusted:
        raise Invalid(f"`{named[0]}` names a file of the site: only ./osprey retrain takes it.", code="bad-setting")
    start = {"start": "version", "start_from": version.digest} if version else {}
    try:
        config = parse_config({**settings, **start, "recipe": recipe}, origin="the settings")
    except ConfigError as error:
        raise Invalid(str(error), code="bad-setting") from error
    return config.seed
