"""Comparisons and evaluations as they are: found, listed, told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from classifier.strict_json import to_json
from training.contract import ParetoPoint, pareto
from webapp.access.actors import Actor
from webapp.access.require import allowed, require
from webapp.access.table import Action
from webapp.errors import NotFound
from webapp.projects.models import Label, Project
from webapp.runs.models import Comparison, Evaluation
from webapp.versions.models import Version

JOINED = (
    "project",
    "version_a",
    "version_b",
    "snapshot__project",
    "a__snapshot__project",
    "b__snapshot__project",
    "by",
)
HIDDEN = ("snapshot", "part", "format", "format_version")
"""What the result says as well, and the row says with ids."""


def told() -> QuerySet[Comparison]:
    """Rows that know their verdict and sentence; '' until there is one."""
    headline = {
        name: Coalesce(KeyTextTransform(name, "result"), Value(""), output_field=TextField())
        for name in ("verdict", "sentence")
    }
    return Comparison.objects.select_related(*JOINED).annotate(**headline)


def comparisons_of(project: Project) -> QuerySet[Comparison]:
    """Newest first, without what was found, which may be large."""
    rows = told().filter(project=project).defer("result", "a__report", "b__report")
    return rows.order_by("-pk")


def comparison_by_uid(actor: Actor, uid: UUID | str, action: Action = Action.VIEW_RUNS) -> Comparison:
    """The comparison, if `actor` may do `action` there; NotFound where the project is hidden."""
    row = told().filter(uid=uid).first()
    if row is None or not allowed(actor, Action.VIEW_PROJECT, row.project):
        raise NotFound(f"There is no comparison {uid} that you may see.")
    require(actor, action, row.project)
    return row


def evaluation_by_id(actor: Actor, pk: int) -> Evaluation:
    row = Evaluation.objects.select_related("version", "snapshot__project", "by").filter(pk=pk).first()
    if row is None or not allowed(actor, Action.VIEW_PROJECT, row.snapshot.project):
        raise NotFound(f"There is no evaluation {pk} that you may see.")
    require(actor, Action.VIEW_RUNS, row.snapshot.project)
    return row


def found_of(row: Comparison) -> dict[str, Any]:
    """All that was found, but the galleries; the Pareto front is that of every version evaluated there."""
    if not row.result:
        return {}
    found = {name: value for name, value in row.result.items() if name not in HIDDEN}
    return {**found, "pareto": [to_json(point) for _, point in evaluated_beside(row)]}


def names_of(project: Project, keys: Iterable[str], versions: Iterable[Version] = ()) -> dict[str, str]:
    """Label keys as people call them now; '' is a picture that could not be recognised."""
    wanted = set(keys)
    names = {str(one["key"]): str(one["name"]) for row in versions for one in row.card.get("labels", ())}
    names |= dict(Label.objects.filter(project=project, key__in=wanted).values_list("key", "name"))
    return {key: names.get(key, key) if key else "no answer" for key in wanted}


def evaluated_beside(row: Comparison) -> list[tuple[Evaluation, ParetoPoint]]:
    """Every version evaluated on the same part by accuracy, time and size, and whether any other beats it in all.

    Without those that had seen images of it.
    """
    done = Evaluation.objects.filter(snapshot=row.snapshot, part=row.part, state=Evaluation.State.DONE, seen=0)
    rows = [one for one in done.select_related("version").order_by("pk") if one.report.get("metrics")]
    return list(zip(rows, pareto([_point(one) for one in rows]), strict=True))


def _point(one: Evaluation) -> ParetoPoint:
    speed = one.report.get("speed") or {}
    return ParetoPoint(
        version=one.version.digest,
        name=one.version.name,
        accuracy=float(one.report["metrics"]["accuracy"]["value"]),
        milliseconds=float(speed.get("milliseconds_network", 0.0)),
        size_bytes=int(one.report.get("size_bytes", 0)),
        on_front=True,
    )
