"""All addresses of the site. Every route is listed in access.routes; a test fails for one that is not."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from webapp.pages import signing_in

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("webapp.api.urls")),
    path("", include("webapp.pages.urls")),
    path("admin/login/", signing_in.admin_sign_in, name="admin-sign-in"),
    path("admin/", admin.site.urls),
]

handler400 = "webapp.pages.answering.bad_request"
handler403 = "webapp.pages.answering.forbidden"
handler404 = "webapp.pages.answering.not_found"
handler500 = "webapp.pages.answering.failed"
