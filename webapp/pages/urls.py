"""Addresses of the pages. Each has its line in access.routes."""

from __future__ import annotations

from django.urls import path

from webapp.pages import account, image, new_project, project, recognise, signing_in, status, upload, versions, words

PROJECT = "p/<slug:slug>"

urlpatterns = [
    path("", recognise.home, name="home"),
    path("sign-in/", signing_in.sign_in, name="sign-in"),
    path("sign-in/<str:secret>/", signing_in.sign_in_link, name="sign-in-link"),
    path("sign-out/", signing_in.sign_out, name="sign-out"),
    path("account/", account.account, name="account"),
    path("account/time-zone/", account.set_zone, name="account-zone"),
    path("account/password/", account.set_password, name="account-password"),
    path("account/tokens/", account.make_token, name="account-token"),
    path("account/tokens/<int:pk>/end/", account.end_token, name="account-token-end"),
    path("projects/", project.projects, name="projects"),
    path("projects/new/", new_project.new_project, name="project-new"),
    path(f"{PROJECT}/", project.project, name="project"),
    path(f"{PROJECT}/recognise/", recognise.recognise, name="recognise"),
    path(f"{PROJECT}/models/", versions.models, name="models"),
    path(f"{PROJECT}/models/<int:pk>/use/", versions.use_version, name="model-use"),
    path(f"{PROJECT}/models/back/", versions.step_back, name="models-back"),
    path(f"{PROJECT}/labels/add/", words.add_label, name="label-add"),
    path(f"{PROJECT}/labels/<int:pk>/rename/", words.rename_label, name="label-rename"),
    path(f"{PROJECT}/labels/<int:pk>/merge/", words.merge_label, name="label-merge"),
    path(f"{PROJECT}/sites/add/", words.add_site, name="site-add"),
    path(f"{PROJECT}/visits/add/", words.add_visit, name="visit-add"),
    path(f"{PROJECT}/people/add/", words.invite, name="person-add"),
    path(f"{PROJECT}/people/<int:pk>/", words.set_role, name="person-role"),
    path("u/<uuid:uid>/", upload.upload, name="upload"),
    path("i/<int:pk>/", image.image, name="image"),
    path("status/", status.status, name="status"),
]
