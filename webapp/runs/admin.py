"""Training runs and comparisons in Django's admin: to be read, with links to the pages that act."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webapp.access.row_admin import ReadOnlyAdmin
from webapp.runs.models import Comparison, Evaluation, Run, RunEvent


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


admin.site.register([RunEvent, Evaluation, Comparison], ReadOnlyAdmin)
