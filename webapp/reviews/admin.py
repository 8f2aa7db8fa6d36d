"""What people say in Django's admin: to be read."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.reviews.models import Annotation, Change, Review


@admin.register(Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = ("id", "image_id", "reviewer", "at", "verdict", "how", "queue", "note")
    list_filter = ("verdict", "how")
    list_select_related = ("reviewer",)
    ordering = ("-pk",)


@admin.register(Annotation)
class AnnotationAdmin(ReadOnlyAdmin):
    list_display = ("id", "review_id", "label", "individual", "count")
    list_select_related = ("label", "individual")
    ordering = ("-pk",)


admin.site.register(Change, ReadOnlyAdmin)
