"""What the machine says, and its workers, in Django's admin: to be read."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.predictions.models import Prediction, Region, Worker


@admin.register(Prediction)
class PredictionAdmin(ReadOnlyAdmin):
    list_display = ("id", "image_id", "purpose", "state", "label_key", "score", "attempts", "code", "done_at")
    list_filter = ("state", "purpose")
    raw_id_fields = ("image", "pipeline", "label")
    exclude = ("lease_token",)
    ordering = ("-pk",)


@admin.register(Region)
class RegionAdmin(ReadOnlyAdmin):
    list_display = ("id", "prediction_id", "position", "detection_label", "detection_score", "label_key", "score")
    exclude = ("scores",)
    ordering = ("-pk",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "queue", "host", "device", "doing", "message", "seen_at")
