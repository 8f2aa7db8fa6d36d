"""Addresses of the REST interface. Each has its line in access.routes, and its example in api.examples."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.csrf import csrf_exempt

from webapp.api import (
    batches,
    classify,
    docs,
    events,
    images,
    people,
    picture_files,
    projects,
    results,
    reviews,
    status,
    uploads,
    versions,
)
from webapp.api.problems import unknown_address

PROJECT = "api/v1/projects/<slug:slug>"
UPLOAD = "api/v1/uploads/<uuid:uid>"
IMAGE = "api/v1/images/<int:pk>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/classify", classify.classify, name="api-classify"),
    path("classifyfish", classify.classifyfish, name="classifyfish"),
    path("healthz", status.healthz, name="healthz"),
    path("api/v1/status", status.SiteStatus.as_view(), name="api-status"),
    path("api/v1/me", people.Who.as_view(), name="api-me"),
    path("api/v1/batches", batches.Batches.as_view(), name="api-batches"),
    path("api/v1/events", events.events, name="api-events"),
    path("api/v1/uploads", uploads.Uploads.as_view(), name="api-uploads"),
    path(UPLOAD, uploads.OneUpload.as_view(), name="api-upload"),
    path(f"{UPLOAD}/manifest", uploads.Manifest.as_view(), name="api-upload-manifest"),
    path(f"{UPLOAD}/check", uploads.Check.as_view(), name="api-upload-check"),
    path(f"{UPLOAD}/file", batches.UploadFile.as_view(), name="api-upload-file"),
    path(f"{UPLOAD}/zip", batches.UploadZip.as_view(), name="api-upload-zip"),
    path(f"{UPLOAD}/retry", uploads.Retry.as_view(), name="api-upload-retry"),
    path(f"{UPLOAD}/items", uploads.Items.as_view(), name="api-upload-items"),
    path(f"{UPLOAD}/results", results.Results.as_view(), name="api-upload-results"),
    path(f"{UPLOAD}/events", events.upload_events, name="api-upload-events"),
    path("api/v1/images", images.Images.as_view(), name="api-images"),
    path(IMAGE, images.OneImage.as_view(), name="api-image"),
    path(f"{IMAGE}/original", picture_files.Original.as_view(), name="api-image-original"),
    path(f"{IMAGE}/thumbnail/<int:side>", picture_files.Thumbnail.as_view(), name="api-image-thumbnail"),
    path(f"{IMAGE}/predictions", images.ImagePredictions.as_view(), name="api-image-predictions"),
    path(f"{IMAGE}/reviews", reviews.ImageReviews.as_view(), name="api-image-reviews"),
    path(f"{IMAGE}/history", reviews.History.as_view(), name="api-image-history"),
    path("api/v1/reviews/<uuid:uid>/undo", reviews.TakeBack.as_view(), name="api-review-undo"),
    path("api/v1/predictions/<int:pk>", images.OnePrediction.as_view(), name="api-prediction"),
    path("api/v1/predictions/<int:pk>/retry", images.RetryPrediction.as_view(), name="api-prediction-retry"),
    path("api/v1/projects", projects.Projects.as_view(), name="api-projects"),
    path(PROJECT, projects.OneProject.as_view(), name="api-project"),
    path(f"{PROJECT}/labels", projects.Labels.as_view(), name="api-labels"),
    path(f"{PROJECT}/labels/<str:key>", projects.OneLabel.as_view(), name="api-label"),
    path(f"{PROJECT}/sites", projects.Sites.as_view(), name="api-sites"),
    path(f"{PROJECT}/visits", projects.Visits.as_view(), name="api-visits"),
    path(f"{PROJECT}/people", people.People.as_view(), name="api-people"),
    path(f"{PROJECT}/people/<str:username>", people.OnePerson.as_view(), name="api-person"),
    path(f"{PROJECT}/versions", versions.Versions.as_view(), name="api-versions"),
    path(f"{PROJECT}/pipelines", versions.Pipelines.as_view(), name="api-pipelines"),
    path(f"{PROJECT}/activations", versions.Activations.as_view(), name="api-activations"),
    path(f"{PROJECT}/activations/roll-back", versions.RollBack.as_view(), name="api-roll-back"),
    path("api/v1/versions/<int:pk>", versions.OneVersion.as_view(), name="api-version"),
    path("api/v1/tokens", people.Tokens.as_view(), name="api-tokens"),
    path("api/v1/tokens/<int:pk>", people.OneToken.as_view(), name="api-token"),
    path("api/v1/openapi.json", docs.OpenApi.as_view(), name="api-openapi"),
    path("api/v1/docs/", docs.Docs.as_view(), name="api-docs"),
    re_path(r"^api/.*$", csrf_exempt(unknown_address), name="api-unknown"),
]
