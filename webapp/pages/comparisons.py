"""Compare: choose two versions, see whether the candidate is better, look at the images, activate it or go back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from training.contract import PARTS, TEST
from webapp.access.actors import Actor
from webapp.access.require import allowed
from webapp.access.table import Action
from webapp.api.comparisons import names_in
from webapp.api.lookup import version_for
from webapp.datasets.snapshots import snapshot_by_uid, snapshots_of
from webapp.errors import Invalid, NotFound, OspreyError
from webapp.leases import UNDER_WAY
from webapp.pages.answering import attempt, page
from webapp.pages.comparison_parts import SLICE_WORDS, comparison_parts
from webapp.pages.versions import timeline
from webapp.projects.find import project_by_slug
from webapp.projects.models import Project
from webapp.runs.candidates.put_in_use import gate_of, put_in_use
from webapp.runs.comparing.choose import comparable, default_pair
from webapp.runs.comparing.compare import start_comparison, stop_comparison
from webapp.runs.comparing.find import comparison_by_uid, comparisons_of, names_of
from webapp.runs.comparing.gallery import (
    ALL,
    BOTH_RIGHT,
    BOTH_WRONG,
    BROKEN,
    FIXED,
    Chosen,
    counts_in,
    divisions_in,
    gallery,
    labels_in,
)
from webapp.runs.models import Comparison
from webapp.versions.activate import newest_activation, roll_back
from webapp.versions.pipelines import versions_of

SHOWN = 50
AT_ONCE = 24
TABS = {FIXED: "Fixed", BROKEN: "Broken", BOTH_WRONG: "Wrong in both", BOTH_RIGHT: "Right in both", ALL: "All"}
NARROWED_BY = ("label", "truth", "answer", "side", "by", "value")


@page()
def comparisons(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.VIEW_RUNS)
    rows = list(comparisons_of(project)[:SHOWN])
    context = {
        "project": project,
        "rows": rows,
        "works": any(row.state in UNDER_WAY for row in rows),
        "may_compare": allowed(actor, Action.COMPARE, project),
        **_form(request, project),
    }
    return render(request, "pages/comparisons.html", context)


def _form(request: HttpRequest, project: Project) -> dict[str, Any]:
    in_use, candidate = default_pair(project)
    versions = list(comparable(project)[: 4 * SHOWN])
    b = _asked(request, "b") or (candidate.pk if candidate else None)
    against = in_use.pk if in_use is not None and in_use.pk != b else next((v.pk for v in versions if v.pk != b), None)
    return {
        "versions": versions,
        "a": _asked(request, "a") or against,
        "b": b,
        "in_use": in_use,
        "snapshots": snapshots_of(project)[:SHOWN],
        "parts": list(reversed(PARTS)),
    }


def _asked(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@page("POST")
def start(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    project = project_by_slug(actor, slug, Action.COMPARE)
    posted = request.POST
    try:
        row = start_comparison(
            actor=actor,
            project=project,
            a=version_for(actor, _number(posted.get("a", ""))),
            b=version_for(actor, _number(posted.get("b", ""))),
            snapshot=snapshot_by_uid(actor, posted["snapshot"]) if posted.get("snapshot") else None,
            part=posted.get("part", TEST),
        )
    except NotFound:
        raise
    except OspreyError as error:
        messages.error(request, error.what)
        return HttpResponseRedirect(reverse("comparisons", args=[slug]))
    return HttpResponseRedirect(reverse("comparison", args=[slug, row.uid]))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Invalid("Choose two versions to compare.")
    return int(text)


@page()
def comparison(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _comparison(actor, slug, uid)
    context = {
        "project": row.project,
        "row": row,
        "is_under_way": row.state in UNDER_WAY,
        "evaluations": [one for one in (row.a, row.b) if one is not None],
        "may_compare": allowed(actor, Action.COMPARE, row.project),
        "may_activate": allowed(actor, Action.ACTIVATE, row.project),
        "gate": gate_of(row.version_b),
        **_standing(row),
        **(comparison_parts(row, request.GET.get("matrix", "")) if row.result else {}),
        **(_gallery(request, row) if row.result_key else {}),
        "script": _script(actor, row),
    }
    return render(request, "pages/comparison.html", context)


@page()
def images(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    """The images alone, as links of the page name them; its script puts them in their place there."""
    row = _comparison(actor, slug, uid)
    context = {"project": row.project, "row": row, "script": _script(actor, row), **_gallery(request, row)}
    return render(request, "pages/comparison_gallery.html", context)


@page("POST")
def stop(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _comparison(actor, slug, uid, Action.COMPARE)
    back = reverse("comparison", args=[slug, uid])
    return attempt(request, back, "Stopped.", lambda: stop_comparison(actor=actor, comparison=row))


@page("POST")
def use_candidate(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    """Let the candidate answer, with a note; what its gate said is kept with the event."""
    row = _comparison(actor, slug, uid, Action.ACTIVATE)
    note, back = request.POST.get("note", ""), reverse("comparison", args=[slug, uid])
    return attempt(
        request,
        back,
        f"{row.version_b} answers from now on.",
        lambda: put_in_use(actor=actor, project=row.project, version=row.version_b, note=note),
    )


@page("POST")
def step_back(request: HttpRequest, actor: Actor, slug: str, uid: UUID) -> HttpResponse:
    row = _comparison(actor, slug, uid, Action.ACTIVATE)
    note, back = request.POST.get("note", ""), reverse("comparison", args=[slug, uid])
    done = "The pipeline before answers again."
    return attempt(request, back, done, lambda: roll_back(actor=actor, project=row.project, note=note))


# ---- what is shown ---------------------------------------------------------------------------------------------------


def _comparison(actor: Actor, slug: str, uid: UUID, action: Action = Action.VIEW_RUNS) -> Comparison:
    found = comparison_by_uid(actor, uid, action)
    if found.project.slug != slug:
        raise NotFound(f"The project {slug} has no comparison {uid}.")
    return found


def _standing(row: Comparison) -> dict[str, Any]:
    """What answers now, and what did before."""
    now = newest_activation(row.project)
    in_use = versions_of(now.pipeline) if now is not None and now.pipeline is not None else []
    return {
        "now": now,
        "a_in_use": row.version_a in in_use,
        "b_in_use": row.version_b in in_use,
        "timeline": timeline(row.project),
    }


def _gallery(request: HttpRequest, row: Comparison) -> dict[str, Any]:
    asked = request.GET
    narrowed = {name: asked[name] for name in NARROWED_BY if asked.get(name)}
    counts = counts_in(row, Chosen(**narrowed))
    whole = "truth" in asked or "answer" in asked  # a cell, whose number is that of all its images
    chosen = Chosen(kind=asked.get("kind") or (ALL if whole else _first_tab(counts)), **narrowed)
    found = gallery(row, chosen, cursor=_asked(request, "cursor") or 0, limit=AT_ONCE)
    names = names_in(row, found) | names_of(row.project, labels_in(row), (row.version_a, row.version_b))
    return {
        "chosen": chosen,
        "gallery": found,
        "thumbs": [(one, names[one.truth], names[one.a], names[one.b]) for one in found.images],
        "tabs": [(kind, words, counts.get(kind, 0)) for kind, words in TABS.items()],
        "narrowed": narrowed,
        "narrowed_query": urlencode(narrowed),
        "divisions": divisions_in(row),
        "gallery_words": _words(chosen, names),
        "label_choices": sorted(((key, names[key]) for key in labels_in(row) if key), key=lambda pair: pair[1].lower()),
    }


def _first_tab(counts: Mapping[str, int]) -> str:
    """Where there is something to see."""
    return next((kind for kind in TABS if counts.get(kind)), FIXED)


def _words(chosen: Chosen, names: Mapping[str, str]) -> str:
    """What the images are narrowed down to."""
    parts = [names.get(chosen.label, chosen.label)] if chosen.label else []
    if chosen.by:
        parts.append(f"{SLICE_WORDS.get(chosen.by, chosen.by)} {chosen.value}")
    if chosen.truth:
        parts.append(f"{names.get(chosen.truth, chosen.truth)} by truth")
    if chosen.answer:
        who = {"a": "version A", "b": "version B", "changed": "only one of both versions"}.get(chosen.side, "")
        answer = "" if chosen.answer == "-" else chosen.answer
        parts.append(f"{names.get(answer, answer)} by {who}")
    return ", ".join(parts)


def _script(actor: Actor, row: Comparison) -> dict[str, Any]:
    return {
        "id": str(row.uid),
        "state": row.state,
        "project": row.project.slug,
        "address": reverse("api-comparison", args=[row.uid]),
        "review": reverse("review", args=[row.project.slug]),
        "mayReview": allowed(actor, Action.REVIEW, row.project),
    }
