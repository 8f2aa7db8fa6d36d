"""Train: start a run in three plain choices, and watch it learn."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from training.contract import FEWEST_GROUPS, LEARNED_NOTHING, TEST, TRAIN, VALIDATION
from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.api.runs import chosen_snapshot, chosen_version, standing
from webapp.datasets.freeze import newest_snapshot
from webapp.datasets.snapshots import snapshots_of
from webapp.errors import Invalid, NotFound, OspreyError
from webapp.leases import UNDER_WAY
from webapp.pages.answering import attempt, page
from webapp.pages.plans import gate_words, plans_context
from webapp.pages.report_parts import figures, report_parts
from webapp.pages.versions import versions_for
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.cancel import RESUMABLE, cancel_run, resume_run
from webapp.runs.candidates.trial_words import in_words
from webapp.runs.candidates.trials import known_estimate
from webapp.runs.find import evaluation_of, last_of_kind, run_by_uid, runs_of
from webapp.runs.models import Evaluation, Run
from webapp.runs.start import default_start, start_run, starter_for
from webapp.versions.activate import active_pipeline
from webapp.versions.models import Version
from webapp.versions.pipelines import versions_of

SHOWN = 50
RECIPE_WORDS = {
    "head": ("Quick", "Only the last layer, on what the network already sees: seconds to a minute."),
    "fine-tune": ("Thorough", "The whole network, the deeper layers more gently. Minutes to hours; a GPU helps."),
    "sweep": ("Overnight", "Several networks and settings, judged by validation; the best is published. Hours."),
    "two-stage": ("Rare labels", "First a balanced part of the images, then all of them, so that rare labels count."),
}
OFFERED = ("head", "fine-tune", "sweep")
"""On the page; the others by `./osprey retrain` and REST."""
NETWORK = "pretrained:"
PRETRAINED = {"convnextv2_atto": "ConvNeXt V2 Atto", "resnet18": "ResNet18"}
"""Those asked for first; any other timm network by `./osprey retrain architecture=NAME start=pretrained`."""
WHEN_WORDS = {
    "now": "as soon as the device is free",
    "tonight": "tonight, from 20:00",
    "idle": "when idle: it gives way while pictures wait",
}


@page()
def runs(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_RUNS)
    rows = list(runs_of(project)[:SHOWN])
    may_train = allowed(actor, Action.TRAIN, project)
    context: dict[str, Any] = {
        "project": project,
        "rows": [
            {
                "run": row,
                "recipe": recipe_name(row),
                "when": WHEN_WORDS.get(row.when, row.when),
                "is_under_way": row.state in UNDER_WAY,
            }
            for row in rows
        ],
        "works": any(row.state in UNDER_WAY for row in rows),
        "may_train": may_train,
        **(_form(request, project) if may_train else {}),
        **plans_context(actor, project, may_train),
    }
    return render(request, "pages/runs.html", context)


@page("POST")
def start(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.TRAIN)
    posted = request.POST
    try:
        run = start_run(
            actor=actor,
            project=project,
            snapshot=chosen_snapshot(actor, project, posted.get("snapshot")),
            recipe=posted.get("recipe", "head"),
            when=posted.get("when", "now"),
            **_beginning(posted.get("model", "")),
        )
    except NotFound:
        raise
    except OspreyError as error:
        messages.error(request, error.what)
        return HttpResponseRedirect(reverse("runs", args=[slug]))
    return HttpResponseRedirect(reverse("run", args=[slug, run.uid]))


@page()
def run(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _run(actor, slug, uid)
    now = active_pipeline(row.project)
    may_train = allowed(actor, Action.TRAIN, row.project)
    evaluated = evaluation_of(row)
    context = {
        "project": row.project,
        "run": row,
        "recipe": recipe_name(row),
        "when": WHEN_WORDS.get(row.when, row.when),
        "parts": parts_words(row),
        "report": _outcome(evaluated),
        "told": report_parts(evaluated, request.GET.get("matrix", "")) if evaluated is not None else None,
        "now": now,
        "is_in_use": row.version is not None and now is not None and row.version in versions_of(now),
        "is_under_way": row.state in UNDER_WAY,
        # From the same start with the same seed it would learn nothing again.
        "is_resumable": row.state in RESUMABLE and row.code != LEARNED_NOTHING,
        "may_train": may_train,
        "may_activate": allowed(actor, Action.ACTIVATE, row.project),
        "settings": sorted(row.config.items()),
        "gate": row.gate,
        "gate_words": gate_words(row.gate.get("rule", {})),
        "script": {
            "id": str(row.uid),
            "events": reverse("api-run-events", args=[row.uid]),
            "standing": standing(row),
            "recipe": row.recipe,
        },
    }
    return render(request, "pages/run.html", context)


@page("POST")
def cancel(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _run(actor, slug, uid, Action.TRAIN)
    done = "Cancelled. Its process ends within seconds; what it learned so far is kept for some days."
    return attempt(request, reverse("run", args=[slug, uid]), done, lambda: cancel_run(actor=actor, run=row))


@page("POST")
def resume(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _run(actor, slug, uid, Action.TRAIN)
    done = "It goes on from its last checkpoint."
    return attempt(request, reverse("run", args=[slug, uid]), done, lambda: resume_run(actor=actor, run=row))


# ---- what is shown ---------------------------------------------------------------------------------------------------


def recipe_name(row: Run) -> str:
    return RECIPE_WORDS[row.recipe][0] if row.recipe in RECIPE_WORDS else row.recipe


def parts_words(row: Run) -> list[tuple[str, int]]:
    """How many images it learns from, is watched on, and is tested on."""
    there = row.snapshot.counts.get("parts", {})
    return [(part, there.get(part, 0)) for part in (TRAIN, VALIDATION, TEST)]


def _form(request: HttpRequest, project: Project) -> dict[str, Any]:
    """`?snapshot=` and `?model=` choose beforehand, as links of other pages do."""
    default, newest = default_start(project), newest_snapshot(project)
    known = known_estimate(project, newest, OFFERED[0], default) if newest is not None else None
    return {
        "known_estimate": f"{in_words(known)} on this machine".capitalize() if known else "",
        "snapshots": snapshots_of(project)[:SHOWN],
        "recipes": [(name, *RECIPE_WORDS[name], _took(project, name)) for name in OFFERED],
        "whens": list(WHEN_WORDS.items()),
        "starts": _starts(project),
        "default_start": default,
        "pretrained": PRETRAINED,
        "chosen": {name: request.GET.get(name, "") for name in ("snapshot", "model")},
    }


def _took(project: Project, recipe: str) -> str:
    """How long the last one of this kind took here; nothing is guessed."""
    last = last_of_kind(project, recipe)
    if last is None or last.done_at is None or last.started_at is None:
        return ""
    seconds = (last.done_at - last.started_at).total_seconds()
    took = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
    images = last.snapshot.counts.get("parts", {}).get(TRAIN, 0)
    return f"The last one took {took} for {images:,} training images."


def _outcome(row: Evaluation | None) -> dict[str, Any] | None:
    """What the report says in short, and what was tried on the way to it."""
    if row is None:
        return None
    report = row.report
    return {
        "figures": figures(report),
        "images": report["images"],
        "groups": report["groups"],
        "too_few": report["groups"] < FEWEST_GROUPS,
        "part": report["part"],
        "notes": report.get("notes"),
        "trials": [_trial(one) for one in report.get("trials", ())],
        "variants": [_variant(one) for one in report.get("variants", ())],
    }


def _trial(one: dict[str, Any]) -> dict[str, Any]:
    """One row of what a sweep tried."""
    settings = ", ".join(f"{key}={value}" for key, value in one["settings"].items() if value != "")
    return {**one, "place": one["number"] + 1, "words": settings or "as the settings say"}


def _variant(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "megabytes": one["bytes"] / 1_000_000}


def _run(actor: Actor, slug: str, uid: UUID, action: Action = Action.VIEW_RUNS) -> Run:
    found = run_by_uid(actor, uid, action)
    if found.project.slug != slug:
        raise NotFound(f"The project {slug} has no run {uid}.")
    return found


def _starts(project: Project) -> list[Version]:
    """Its own versions, newest first, and the starter, which may have been left behind long ago."""
    own = [one for one in versions_for(project) if one.role == Version.Role.CLASSIFIER and not one.broken_at]
    starter = starter_for(project)
    return own if starter is None or starter in own else [*own, starter]


def _beginning(text: str) -> dict[str, Any]:
    """A version by its number, or the pretrained weights of a network by name."""
    network = text.removeprefix(NETWORK)
    if network == text:
        return {"model": chosen_version(_number(text))}
    return {"config": {"start": "pretrained", "architecture": network}}


def _number(text: str) -> int | None:
    if text and not text.isdecimal():
        raise Invalid(f"{text[:20]!r} is no version.")
    return int(text) if text else None
