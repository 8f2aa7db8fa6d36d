"""Versions, pipelines and activations in Django's admin: to be read; the Models page activates."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.versions.models import Activation, Pipeline, Version


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "role", "project", "architecture", "is_starter", "created_at", "broken_at")
    list_filter = ("role", "project")
    list_select_related = ("project",)
    search_fields = ("name", "digest")


@admin.register(Pipeline)
class PipelineAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "project", "detector", "classifier", "identifier", "created_at")
    list_filter = ("project",)
    list_select_related = ("project", "detector", "classifier", "identifier")


@admin.register(Activation)
class ActivationAdmin(ReadOnlyAdmin):
    list_display = ("at", "project", "slot", "previous", "pipeline", "by", "note", "rolls_back")
    list_filter = ("project", "slot")
    list_select_related = ("project", "previous", "pipeline", "by")
    ordering = ("-pk",)
