"""Training runs and comparisons in Django's admin: to be read."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.runs.models import Comparison, Evaluation, Run, RunEvent


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("uid", "project", "recipe", "state", "started_by", "created_at", "ended_at")
    list_filter = ("project", "state")
    list_select_related = ("project", "started_by")
    exclude = ("lease_token",)


admin.site.register([RunEvent, Evaluation, Comparison], ReadOnlyAdmin)
