"""People, roles, tokens and the log in Django's admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from webapp.access.models import ApiToken, AuditEvent, Membership, SignInLink, User
from webapp.access.row_admin import ReadOnlyAdmin

admin.site.site_header = "Osprey: rows"
admin.site.site_title = "Osprey"
admin.site.index_title = "Plain rows. What changes history is done on the pages."


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "time_zone")}),
        ("May", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role", "project")
    list_select_related = ("user", "project")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "prefix", "user", "project", "scopes", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user", "project")
    exclude = ("digest",)


@admin.register(SignInLink)
class SignInLinkAdmin(ReadOnlyAdmin):
    list_display = ("user", "created_at", "expires_at", "used_at")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "user", "via", "action", "project", "subject")
    list_filter = ("via", "project")
    list_select_related = ("user", "project")
    search_fields = ("action", "subject")
