"""Bytes, images and uploads in Django's admin: to be read."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.images.models import Archive, FacetCount, File, Image, ImageState, Item, Sequence, Upload


@admin.register(File)
class FileAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "media_type", "storage_key", "created_at")
    search_fields = ("sha256",)
    ordering = ("-pk",)


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    list_display = ("id", "path", "project", "width", "height", "captured_at", "damaged_share")
    list_filter = ("project",)
    list_select_related = ("project",)
    ordering = ("-pk",)


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "kind", "state", "created_by", "created_at", "closed_at")
    list_filter = ("kind", "state", "project")
    list_select_related = ("project", "created_by")
    ordering = ("-pk",)


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    list_display = ("id", "path", "state", "code", "reason", "changed_at")
    list_filter = ("state",)
    ordering = ("-pk",)


@admin.register(ImageState)
class ImageStateAdmin(ReadOnlyAdmin):
    list_display = ("image_id", "project", "label", "source", "score", "review_state", "failure")
    list_filter = ("project", "review_state", "source")
    list_select_related = ("project", "label")
    ordering = ("-pk",)


admin.site.register([Archive, FacetCount, Sequence], ReadOnlyAdmin)
