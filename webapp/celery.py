"""The Celery application. Tasks carry row ids only; the rows are the truth."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

from django.conf import settings  # noqa: E402  (needs the variable above)

app = Celery("osprey", set_as_current=True)
app.conf.update(settings.CELERY)
app.autodiscover_tasks(["webapp.images", "webapp.predictions", "webapp.runs"])
app.autodiscover_tasks(["webapp.predictions", "webapp.runs"], related_name="tasks_io")
app.autodiscover_tasks(["webapp.datasets"], related_name="tasks_export")
app.autodiscover_tasks(["webapp.datasets"], related_name="tasks_freeze")
app.autodiscover_tasks(["webapp.datasets"], related_name="tasks_import")
app.autodiscover_tasks(["webapp.reviews"], related_name="tasks_analysis")
app.autodiscover_tasks(["webapp.reviews"], related_name="tasks_labels")
app.steps["worker"].add("webapp.predictions.worker:Pulse")
