"""A candidate tried beside: asked about each live picture once its answer is there, and never the answer itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from webapp.access.actors import Actor
from webapp.access.require import require
from webapp.access.table import Action
from webapp.errors import Conflict
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.rows import insert_rows
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Activation, Version
from webapp.versions.pipelines import with_version

ALSO, SUGGEST = Activation.Slot.ALSO, Activation.Slot.SUGGEST
AT_ONCE = 500


def start_beside(
    *, actor: Actor, project: Project, version: Version, note: str = "", gate: Mapping[str, Any] | None = None
) -> Activation:
    """Have `version`, in its place of the pipeline in use, say beside what it would answer; it replaces another one."""
    require(actor, Action.ACTIVATE, project)
    live = active_pipeline(project)
    pipeline = with_version(project, live, version)
    if pipeline == live:
        raise Conflict(f"{version} is in use: there is nothing to try beside it.", code="in-use")
    with transaction.atomic():
        before = active_pipeline(project, ALSO)
        begun = activate(actor=actor, project=project, pipeline=pipeline, slot=ALSO, note=note, gate=gate)
        if before is not None and before != pipeline:
            forget_waiting(project, before.pk)
    return begun


def stop_beside(*, actor: Actor, project: Project, note: str = "") -> Activation:
    """End the trial; what the candidate said stays."""
    require(actor, Action.ACTIVATE, project)
    with transaction.atomic():
        tried = active_pipeline(project, ALSO)
        if tried is None:
            raise Conflict(f"Nothing is tried beside in {project.name}.", code="nothing-beside")
        ended = activate(actor=actor, project=project, pipeline=None, slot=ALSO, note=note)
        forget_waiting(project, tried.pk)
    return ended


def forget_waiting(project: Project, pipeline_id: int) -> int:
    """What is not begun yet need not be done, unless the same pipeline suggests in review."""
    if active_id_of_slots([project.pk], (SUGGEST,)).get(project.pk) == {pipeline_id}:
        return 0
    asked = Prediction.objects.filter(pipeline=pipeline_id, purpose=Prediction.Purpose.ALSO)
    return delete_waiting(asked.filter(priority=Priority.BESIDE))


def delete_waiting(rows: QuerySet[Prediction]) -> int:
    """Questions that nobody has begun to answer are taken back, in short transactions; returns how many."""
    taken_back = 0
    while ids := list(rows.filter(state=Prediction.State.PENDING).values_list("pk", flat=True)[:AT_ONCE]):
        taken_back += Prediction.objects.filter(pk__in=ids, state=Prediction.State.PENDING).delete()[0]
    return taken_back


def tried_beside() -> set[int]:
    """Projects where another pipeline is asked about live pictures as well."""
    slots = Activation.objects.filter(slot__in=(ALSO, SUGGEST)).values_list("project_id", flat=True)
    return set(active_id_of_slots(set(slots), (ALSO, SUGGEST)))


def ask_beside(answered: Mapping[int, Collection[int]], live: Mapping[int, Collection[int]]) -> int:
    """Queue what the pipelines beside are to say of images that were just answered; in the caller's transaction.

    `answered`: images by project; `live`: by project, the pipelines that answered.
    """
    beside = active_id_of_slots(answered, (ALSO, SUGGEST))
    rows = [
        Prediction(
            image_id=image_id, pipeline_id=pipeline_id, purpose=Prediction.Purpose.ALSO, priority=Priority.BESIDE
        )
        for project_id, pipelines in beside.items()
        for pipeline_id in sorted(pipelines - set(live[project_id]))
        for image_id in answered[project_id]
    ]
    insert_rows(rows, skip_known=True)  # whoever recorded the answers looks for more work next
    return len(rows)


def active_id_of_slots(project_ids: Collection[int], slots: Collection[str]) -> dict[int, set[int]]:
    """By project, the pipelines in these slots; by hand, since each recorded batch asks."""
    if not project_ids:
        return {}
    some, places = ", ".join(["%s"] * len(project_ids)), ", ".join(["%s"] * len(slots))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT project_id, slot, pipeline_id FROM versions_activation a WHERE project_id IN ({some}) "
            f"AND slot IN ({places}) AND pipeline_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM versions_activation n "
            "WHERE n.project_id = a.project_id AND n.slot = a.slot AND n.id > a.id)",
            [*project_ids, *map(str, slots)],
        )
        found: dict[int, set[int]] = defaultdict(set)
        for project_id, _, pipeline_id in cursor.fetchall():
            found[project_id].add(pipeline_id)
    return dict(found)
