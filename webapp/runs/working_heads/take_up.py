"""Makes an accepted head a version, has it suggest, and asks it about all that waits for review."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

from django.conf import settings
from django.db import transaction

from webapp import queue
from webapp.access.actors import Actor, Via
from webapp.images.models import ImageState
from webapp.predictions.beside import SUGGEST, forget_waiting
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.rows import insert_rows
from webapp.runs.models import WorkingHead
from webapp.runs.working_heads.learn import Ended, Stop, never, publishing_task, run, workshop
from webapp.versions.activate import activate, active_pipeline
from webapp.versions.models import Pipeline, Version
from webapp.versions.pipelines import with_version
from webapp.versions.publish import publish_folder

log = logging.getLogger(__name__)

PIECE = 500
State = WorkingHead.State


def take_up(pk: int, should_stop: Stop = never) -> WorkingHead | None:
    """Repeated, it comes to the same; None when there is nothing to do."""
    row = WorkingHead.objects.select_related("project", "space", "decided_by").filter(pk=pk).first()
    if row is None or row.state != State.ACCEPTED or row.version_id is not None:
        return None
    try:
        with workshop(row) as folder:
            version = _publish(row, folder, should_stop)
    except Ended as error:
        WorkingHead.objects.filter(pk=pk).update(state=State.FAILED, code="publishing-failed", reason=str(error))
        return None
    if version is None:
        return None
    pipeline = _put_in_place(row, version)
    if pipeline is not None:
        ask_about_what_waits(row.project, pipeline)
    row.refresh_from_db()
    return row


def _publish(row: WorkingHead, folder: Path, should_stop: Stop) -> Version | None:
    name = f"Learned at work from {row.learned_from:,} verdicts"
    task = publishing_task(row, name)
    (folder / "task.json").write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")
    shutil.copyfile(Path(settings.STORE_DIR) / row.head_key, folder / "head.npz")
    if not run(folder, "publish", should_stop):
        return None
    return publish_folder(
        actor=_actor(row),
        folder=folder / "model",
        project=row.project,
        parent=row.space,
        name=name,
        share_files=True,
    )


def _actor(row: WorkingHead) -> Actor:
    return Actor(Via.SYSTEM, user=row.decided_by)


@transaction.atomic
def _put_in_place(row: WorkingHead, version: Version) -> Pipeline | None:
    """None where somebody ended it meanwhile."""
    if not WorkingHead.objects.filter(pk=row.pk, state=State.ACCEPTED, version=None).update(version=version):
        return None
    before = active_pipeline(row.project, SUGGEST)
    pipeline = with_version(row.project, active_pipeline(row.project), version)
    activate(actor=_actor(row), project=row.project, pipeline=pipeline, slot=SUGGEST, note="Learned at work.")
    if before is not None and before != pipeline:
        forget_waiting(row.project, before.pk)
    return pipeline


def ask_about_what_waits(project: Project, pipeline: Pipeline) -> int:
    """Its embedding is stored, so each takes a moment; returns how many are asked about."""
    unreviewed = ImageState.objects.filter(project=project, review_state=ImageState.ReviewState.UNREVIEWED)
    asked, after = 0, 0
    while ids := list(unreviewed.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:PIECE]):
        rows = [
            Prediction(
                image_id=image_id,
                pipeline_id=pipeline.pk,
                purpose=Prediction.Purpose.ALSO,
                priority=Priority.BESIDE,
            )
            for image_id in ids
        ]
        with transaction.atomic():
            insert_rows(rows, skip_known=True)
            queue.wake("gpu")
        asked, after = asked + len(ids), ids[-1]
    return asked
