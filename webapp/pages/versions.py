"""Models: the versions of a project, where each is in use, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.errors import NotFound
from webapp.images.models import Image
from webapp.pages.answering import attempt, page
from webapp.predictions.disagreement import beside
from webapp.predictions.live import ANSWERS
from webapp.predictions.models import Prediction
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.backfills.ask import UNDER_WAY, backfills_of, words_of
from webapp.runs.candidates.put_in_use import put_in_use
from webapp.runs.models import Evaluation, Run
from webapp.runs.working_heads.offer import standing
from webapp.versions.activate import active_pipeline, before, newest_activation, roll_back
from webapp.versions.models import Activation, Pipeline, Version
from webapp.versions.pipelines import versions_of

TIMELINE = 30


@dataclass(frozen=True)
class Card:
    """One version with where it is used, and what is known of how good it is."""

    version: Version
    is_in_use: bool
    is_beside: bool
    suggests: bool
    run: Run | None
    evaluation: Evaluation | None
    is_working_head: bool


@page()
def models(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_VERSIONS)
    now = newest_activation(project)
    pipeline = now.pipeline if now else None
    last = backfills_of(project).first()
    context = {
        "project": project,
        "now": now,
        "pipeline": pipeline,
        "in_use": versions_of(pipeline) if pipeline else [],
        "cards": cards(project, pipeline),
        "timeline": timeline(project),
        "before": before(project),
        "may_activate": allowed(actor, Action.ACTIVATE, project),
        "may_curate": allowed(actor, Action.CURATE, project),
        "may_train": allowed(actor, Action.TRAIN, project),
        "may_export": allowed(actor, Action.EXPORT, project),
        "tried": newest_activation(project, Activation.Slot.ALSO),
        "beside": beside(project),
        "learning": standing(project),
        "suggests": newest_activation(project, Activation.Slot.SUGGEST),
        "backfill": words_of(last) if last else None,
        "going": UNDER_WAY,
        "others": answered_by_others(project, pipeline) if pipeline else 0,
        "unanswered": waiting_for(pipeline) if pipeline else 0,
    }
    return render(request, "pages/models.html", context)


def cards(project: Project, live: Pipeline | None) -> list[Card]:
    versions = versions_for(project)
    also, suggests = active_pipeline(project, Activation.Slot.ALSO), active_pipeline(project, Activation.Slot.SUGGEST)
    live_ids, also_ids, suggest_ids = ({one.pk for one in versions_of(row)} if row else set() for row in
                                       (live, also, suggests))  # fmt: skip
    runs = {run.version_id: run for run in Run.objects.filter(version__in=versions).defer("log").order_by("pk")}
    done = Evaluation.objects.filter(version__in=versions, state=Evaluation.State.DONE, seen=0)
    done = done.select_related("snapshot")
    best = {one.version_id: one for one in done.order_by("-part", "pk")}  # the test part goes before validation
    return [
        Card(
            version=one,
            is_in_use=one.pk in live_ids,
            is_beside=one.pk in also_ids - live_ids,
            suggests=one.pk in suggest_ids - live_ids,
            run=runs.get(one.pk),
            evaluation=best.get(one.pk),
            is_working_head=is_working_head(one),
        )
        for one in versions
    ]


def is_working_head(version: Version) -> bool:
    return bool((version.card.get("training_config") or {}).get("recipe") == "working-head")


def answered_by_others(project: Project, live: Pipeline) -> int:
    """Images whose answer, as far as it was recorded, is not that of the pipeline in use."""
    answered = Prediction.objects.filter(
        image=OuterRef("pk"), purpose__in=ANSWERS, state=Prediction.State.DONE
    ).order_by("-done_at", "-pk")
    images = Image.objects.filter(project=project, withdrawn_at=None)
    return images.annotate(by=Subquery(answered.values("pipeline")[:1])).exclude(by=live.pk).exclude(by=None).count()


def waiting_for(live: Pipeline) -> int:
    """Images that wait for their first answer: the first version of a project is asked about all there are."""
    open_ones = (Prediction.State.PENDING, Prediction.State.LEASED)
    return Prediction.objects.filter(pipeline=live, purpose=Prediction.Purpose.LIVE, state__in=open_ones).count()


def versions_for(project: Project) -> list[Version]:
    """The project's own versions, and shared ones that its pipelines use; newest first."""
    own = Version.objects.filter(project=project)
    used: set[int] = set()
    for row in project.pipelines.values_list("detector", "classifier", "identifier", "external"):
        used.update(pk for pk in row if pk)
    shared = Version.objects.filter(project=None, pk__in=used)
    return list((own | shared).select_related("parent", "created_by").order_by("-pk"))


def version_here(project: Project, pk: int) -> Version:
    version = next((one for one in versions_for(project) if one.pk == pk), None)
    if version is None:
        raise NotFound(f"The project {project} has no such version.")
    return version


def timeline(project: Project) -> list[Activation]:
    roles = ("detector", "classifier", "identifier", "external")
    parts = ("by", *(f"{which}__{role}" for which in ("pipeline", "previous") for role in roles))
    return list(Activation.objects.filter(project=project).select_related(*parts).order_by("-pk")[:TIMELINE])


@page("POST")
def use_version(request: HttpRequest, actor: Actor, slug: str, pk: int) -> HttpResponse:
    """Let this version answer, in the place its role has in the pipeline."""
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    version = version_here(project, pk)
    return attempt(
        request,
        reverse("models", args=[slug]),
        f"{version} answers from now on.",
        lambda: put_in_use(actor=actor, project=project, version=version, note=request.POST.get("note", "")),
    )


@page("POST")
def step_back(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.ACTIVATE)
    return attempt(
        request,
        reverse("models", args=[slug]),
        "The pipeline before answers again.",
        lambda: roll_back(actor=actor, project=project, note=request.POST.get("note", "")),
    )
