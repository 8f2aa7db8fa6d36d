"""Frozen snapshots in Django's admin: to be read."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.datasets.models import Snapshot


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "digest", "frozen_by", "frozen_at")
    list_filter = ("project",)
    list_select_related = ("project", "frozen_by")
