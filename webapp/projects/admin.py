"""Projects and their words in Django's admin. Names of labels change on the Project page, which keeps the old ones."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from webapp.access.row_admin import PlainAdmin, ReadOnlyAdmin
from webapp.projects.models import Field, Individual, IndividualAlias, Label, LabelName, Project, Site, Visit

PAGES = (("project", "Project"), ("runs", "Train"), ("comparisons", "Compare"), ("models", "Models"))


@admin.register(Project)
class ProjectAdmin(PlainAdmin):
    list_display = ("name", "slug", "pages", "pictures", "open_to_guests", "created_at", "archived_at")
    readonly_fields = ("slug", "pages", "created_by")
    search_fields = ("name", "slug")

    @admin.display(description="pages")
    def pages(self, project: Project) -> SafeString:
        """The way to training and comparison, before there is any run or comparison to list."""
        if project.pk is None:
            return SafeString("")
        links = ((reverse(name, args=[project.slug]), words) for name, words in PAGES)
        return format_html_join(" · ", '<a href="{}">{}</a>', links)


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
