"""Logs of other trainers as charts: darknet's train_log.txt in both dialects, and tables. Nothing of it is kept."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from training.contract import TrainerLog, TrainerLogError, log_lines, parse_trainer_log
from webapp.access.actors import Actor
from webapp.access.table import Action
from webapp.errors import TooLarge
from webapp.pages.answering import page
from webapp.projects.find import project_by_slug

MOST_BYTES = 50_000_000
MOST_CURVES, MOST_POINTS = 40, 1000


@page("GET", "HEAD", "POST")
def trainer_logs(request: HttpRequest, actor: Actor, slug: str) -> HttpResponse:
    context: dict[str, Any] = {"project": project_by_slug(actor, slug, Action.VIEW_RUNS)}
    sent = request.FILES.get("log")
    if sent is not None:
        if (sent.size or 0) > MOST_BYTES:
            raise TooLarge(f"{sent.name} is larger than {MOST_BYTES // 1_000_000} MB: send its end, or fewer columns.")
        try:
            log = parse_trainer_log(log_lines(sent.chunks()))
            context |= {"name": sent.name, "log": log, "script": points_of(log)}
        except TrainerLogError as error:
            messages.error(request, f"{sent.name}: {error}")
    return render(request, "pages/trainer_logs.html", context)


def points_of(log: TrainerLog) -> dict[str, Any]:
    """What the charts draw: each curve thinned, the first and the last point kept."""
    curves = []
    for curve in log.curves[:MOST_CURVES]:
        every = -(-len(curve.steps) // MOST_POINTS)
        places = sorted({*range(0, len(curve.steps), every), len(curve.steps) - 1})
        points = [[curve.steps[place], curve.values[place]] for place in places]
        curves.append({"name": curve.name, "points": points})
    return {"step": log.step, "curves": curves}
