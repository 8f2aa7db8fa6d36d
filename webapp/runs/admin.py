"""Training runs and comparisons in Django's admin: to be read, with links to the pages that act."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.runs.models import Backfill, Comparison, Evaluation, Plan, Run, RunEvent, Trial, WorkingHead


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("uid", "page", "project_page", "recipe", "state", "started_by", "created_at", "done_at")
    list_filter = ("project", "state", "recipe")
    list_select_related = ("project", "started_by")
    exclude = ("lease_token",)
    readonly_fields = ("page", "project_page")

    @admin.display(description="watch")
    def page(self, run: Run) -> SafeString:
        return format_html('<a href="{}">its page</a>', reverse("run", args=[run.project.slug, run.uid]))

    @admin.display(description="train")
    def project_page(self, run: Run) -> SafeString:
        return format_html('<a href="{}">runs of {}</a>', reverse("runs", args=[run.project.slug]), run.project)


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    list_display = ("uid", "page", "project_page", "version_b", "version_a", "state", "by", "created_at")
    list_filter = ("project", "state")
    list_select_related = ("project", "version_a", "version_b", "by")
    exclude = ("lease_token",)
    readonly_fields = ("page", "project_page")

    @admin.display(description="look")
    def page(self, row: Comparison) -> SafeString:
        return format_html('<a href="{}">its page</a>', reverse("comparison", args=[row.project.slug, row.uid]))

    @admin.display(description="compare")
    def project_page(self, row: Comparison) -> SafeString:
        return format_html(
            '<a href="{}">versions of {}</a>', reverse("comparisons", args=[row.project.slug]), row.project
        )


admin.site.register([RunEvent, Evaluation, Plan, Trial, Backfill, WorkingHead], ReadOnlyAdmin)
