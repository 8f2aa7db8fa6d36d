"""Projects and their words in Django's admin. Names of labels change on the Project page, which keeps the old ones."""

from __future__ import annotations

from django.contrib import admin

from webapp.access.row_admin import PlainAdmin, ReadOnlyAdmin
from webapp.projects.models import Field, Individual, IndividualAlias, Label, LabelName, Project, Site, Visit


@admin.register(Project)
class ProjectAdmin(PlainAdmin):
    list_display = ("name", "slug", "pictures", "open_to_guests", "created_at", "archived_at")
    readonly_fields = ("slug", "created_by")
    search_fields = ("name", "slug")


@admin.register(Label)
class LabelAdmin(PlainAdmin):
    list_display = ("name", "key", "scientific_name", "kind", "project", "merged_into", "pinned")
    list_filter = ("kind", "project")
    list_select_related = ("project", "merged_into")
    search_fields = ("name", "key", "scientific_name")
    fields = ("project", "key", "name", "scientific_name", "kind", "merged_into", "position", "pinned", "outside_ids")
    readonly_fields = ("project", "key", "name", "scientific_name", "kind", "merged_into")


@admin.register(Site)
class SiteAdmin(PlainAdmin):
    list_display = ("name", "project", "latitude", "longitude", "time_zone", "sensitive")
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("name",)


@admin.register(Visit)
class VisitAdmin(PlainAdmin):
    list_display = ("name", "project", "site", "start", "end", "device")
    list_filter = ("project",)
    list_select_related = ("project", "site")
    raw_id_fields = ("site",)


@admin.register(Field)
class FieldAdmin(PlainAdmin):
    list_display = ("name", "key", "project", "kind", "shortcut", "position")
    list_filter = ("project",)
    list_select_related = ("project",)


@admin.register(Individual)
class IndividualAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "label", "merged_into")
    list_filter = ("project",)
    list_select_related = ("project", "label", "merged_into")
    search_fields = ("name",)


admin.site.register([LabelName, IndividualAlias], ReadOnlyAdmin)
