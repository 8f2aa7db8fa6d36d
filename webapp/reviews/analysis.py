"""Passes over a project's data: asked for, leased to one process at a time, their findings replacing the last ones'.

The arithmetic is in modules that the web process never imports; an io worker runs it in a process of its own
(`webapp.reviews.analysis_process`), a command in the foreground.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from webapp import leases, queue
from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import OspreyError
from webapp.images.models import FacetCount, Image
from webapp.projects.models import Project
from webapp.reviews.models import Analysis

log = logging.getLogger(__name__)

TASK = "webapp.reviews.tasks_analysis.analyse"
KEPT = 20
NEWS, NEWS_SHARE = 50, 0.05
SETTLED = timedelta(minutes=1)
"""No picture came for so long: what was sent is here."""
PATIENCE = timedelta(minutes=20)
REST = 10
"""A pass is followed by so many times as long without one."""
State = Analysis.State

Progress = Callable[[str, float], None]
"""Called with what is done now and the share that is done."""


def request(*, actor: Actor, project: Project) -> Analysis:
    """Have the project analysed by a worker; a pass that waits already is the one."""
    require(actor, Action.REVIEW, project)
    analysis = add(project, actor)
    queue.send(TASK, project.pk, queue="io")
    return analysis


@transaction.atomic
def add(project: Project, actor: Actor | None = None) -> Analysis:
    """The pass that waits, or a new one; only the newest passes are kept."""
    Project.objects.select_for_update().get(pk=project.pk)
    waiting = Analysis.objects.filter(project=project, state=State.WAITING).first()
    if waiting is not None:
        return waiting
    kept = Analysis.objects.filter(project=project).order_by("-pk").values_list("pk", flat=True)[: KEPT - 1]
    Analysis.objects.filter(project=project).exclude(pk__in=list(kept)).exclude(state=State.LEASED).delete()
    return Analysis.objects.create(project=project, asked_by=actor.user if actor else None)


def newest(project: Project) -> Analysis | None:
    """The last finished pass: what pages show."""
    return Analysis.objects.filter(project=project, state=State.DONE).order_by("-pk").first()


def under_way(project: Project) -> Analysis | None:
    return Analysis.objects.filter(project=project, state__in=leases.UNDER_WAY).order_by("pk").first()


def to_do() -> QuerySet[Analysis]:
    """Passes that nobody is at work on: new ones, and those whose process is gone."""
    return leases.free(Analysis.objects.all())


def lease(project: Project) -> Analysis | None:
    """Take the oldest pass of a project; None when there is none, or another process has one of it."""
    if Analysis.objects.filter(project=project, state=State.LEASED, lease_until__gte=Now()).exists():
        return None
    for analysis_id in to_do().filter(project=project).values_list("pk", flat=True):
        if not leases.take(to_do(), analysis_id):
            continue
        row = Analysis.objects.select_related("project").get(pk=analysis_id)
        if not leases.is_worn_out(row):
            return row
        _end(row, State.FAILED, reason="It ended its process each time. Is there enough memory?")
    return None


def run(project: Project, *, progress: Progress | None = None, add_one: bool = True) -> Analysis | None:
    """Analyse in this process; None when another one is at it. Progress is stored for the page as well."""
    if add_one:
        add(project)
    row = lease(project)
    if row is None:
        return None
    from webapp.reviews.analyse import steps_of

    steps = steps_of(project)
    try:
        with leases.kept(row):
            for place, (words, act) in enumerate(steps):
                _tell(row, words, place / len(steps), progress)
                row.report |= act()
    except leases.LeaseLost:
        return None
    except Exception as error:
        reason = error.what if isinstance(error, OspreyError) else f"{type(error).__name__}: {error}"
        _end(row, State.FAILED, reason=f"{row.step}: {reason}")
        raise
    _end(row, State.DONE, share=1.0, step="")
    return row


def _tell(row: Analysis, words: str, share: float, progress: Progress | None) -> None:
    row.step, row.share = words, share
    leases.renew(row, step=words, share=share)
    if progress is not None:
        progress(words, share)


def _end(row: Analysis, state: str, **values: Any) -> None:
    leases.end(row, state, report=row.report, **values)
    row.refresh_from_db()


def look() -> None:
    """The regular look: wake what waits, and ask for a pass where enough has changed since the last one."""
    for project_id in set(to_do().values_list("project_id", flat=True)):
        queue.send(TASK, project_id, queue="io")
    for project in Project.objects.filter(archived_at=None):
        if is_due(project):
            add(project)
            queue.send(TASK, project.pk, queue="io")


def is_due(project: Project) -> bool:
    """Whether so much came in, or was reviewed, that the findings are old. Read from the counts alone.

    While pictures stream in, and right after a pass that took long, it can wait: a pass takes a processor, and whoever
    sends pictures waits for their answers.
    """
    counts = FacetCount.objects.filter(project=project, facet__in=["all", "review"])
    now = {(row.facet, row.value): row.count for row in counts}
    total, unreviewed = now.get(("all", ""), 0), now.get(("review", "unreviewed"), 0)
    if not total or under_way(project) is not None:
        return False
    last = Analysis.objects.filter(project=project).order_by("-pk").first()
    if last is not None and last.state == State.FAILED:
        return time.time() - (last.done_at or last.created_at).timestamp() > 3600
    if _streams_in(project, last.created_at if last else None) or (last is not None and _rests(last)):
        return False
    if last is None:
        return True
    then = last.report
    changed = abs(total - then.get("images", 0)) + abs(unreviewed - then.get("unreviewed", 0))
    if then.get("waiting", 0):
        from webapp.predictions.models import Prediction

        waits = Prediction.objects.filter(pipeline__project=project, state__in=["pending", "leased"]).exists()
        return not waits
    return bool(changed >= max(NEWS, NEWS_SHARE * total))


def _streams_in(project: Project, since: datetime | None) -> bool:
    """Whether a picture has just come; not for ever, since some cameras send day and night."""
    came = Image.objects.filter(project=project)
    newest = came.order_by("-pk").values_list("created_at", flat=True).first()
    if newest is None or timezone.now() - newest > SETTLED:
        return False
    since = since or came.order_by("pk").values_list("created_at", flat=True)[0]
    return timezone.now() - since < PATIENCE


def _rests(last: Analysis) -> bool:
    """Whether it is no time yet for another pass, by how long the last one took."""
    ended = last.done_at or last.created_at
    return timezone.now() - ended < REST * (ended - last.created_at)
