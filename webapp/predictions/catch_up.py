"""Ask the pipeline in use about images that came while none was, and about no others."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from webapp import queue
from webapp.images.models import Image
from webapp.predictions.models import Prediction, Priority
from webapp.projects.models import Project
from webapp.rows import insert_rows
from webapp.versions.activate import active_pipeline_id
from webapp.versions.models import Activation

BATCH = 500
RECENT = timedelta(days=1)


def catch_up(project_id: int) -> int:
    """Queue the images of a project that no model of it was ever asked about; returns how many there were.

    Another project's results that were imported do not count. In short transactions; repeating it changes nothing.
    """
    queued, after = 0, 0
    while (ids := _never_asked(project_id, after)) and (pipeline_id := active_pipeline_id(project_id)) is not None:
        rows = [Prediction(image_id=image_id, pipeline_id=pipeline_id, priority=Priority.BULK) for image_id in ids]
        with transaction.atomic():
            insert_rows(rows, skip_known=True)
            queue.wake("gpu")
        queued += len(ids)
        after = ids[-1]
    return queued


def catch_up_all() -> None:
    """The same for all projects whose pipeline changed lately: the message about it may have been lost."""
    lately = Activation.objects.filter(slot=Activation.Slot.LIVE, at__gt=timezone.now() - RECENT)
    for project_id in Project.objects.filter(pk__in=lately.values("project_id")).values_list("pk", flat=True):
        catch_up(project_id)


def _never_asked(project_id: int, after: int) -> list[int]:
    asked = Prediction.objects.filter(
        image=OuterRef("pk"), purpose=Prediction.Purpose.LIVE, pipeline__external__isnull=True
    )
    images = Image.objects.filter(~Exists(asked), project_id=project_id, pk__gt=after, withdrawn_at=None)
    return list(images.order_by("pk").values_list("pk", flat=True)[:BATCH])
